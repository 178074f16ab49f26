"""What a purge erases and what it retains: each table with rows of an account is in one of the two lists below.

A new table of yours gets an entry in `ERASED`, if it has content or says what somebody did, or else in `RETAINED`, with
the reason that receipts and docs/privacy.md state. A test names every table that is in neither. Rows of `ERASED` have a
column `epoch` (`db.columns.epoch`): those of epochs before the account's own are deleted.
"""

from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from types import MappingProxyType
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.records import record

OLD = "account_id = :account AND epoch < :epoch"
"""The rows of an account that were written before its purge began."""


class Way(Enum):
    """How rows are deleted."""

    ROWS = "rows"
    """By the application, which has the right to."""
    FUNCTION = "function"
    """By `erase_rows` of `db/functions.sql`: the application itself may not delete them."""
    ROLL_UP = "roll_up"
    """With its call, when the ledger rolls it up."""


@record
class Erased:
    """Rows that a purge deletes, in the order of the list: rows that refer to others come before those."""

    name: str
    """In the receipt."""
    table: str
    rows: str = OLD
    """A condition in SQL with `:account` and `:epoch`."""
    one: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """By what a partial purge may name ("conversation", "share", "job"): a condition with `:account` and `:id`."""
    way: Way = Way.ROWS


@record
class Retained:
    """Rows that stay, and why."""

    table: str
    fields: str
    reason: str
    until: str


@record
class Extent:
    """What one purge erases: all of an account that is older than an epoch, or one thing of it."""

    account_id: UUID
    epoch: int
    """The account's, since this purge began."""
    kind: str | None = None
    id: str | None = None
    purge_id: UUID | None = None
    """For rows that the application may not delete itself."""

    def parameters(self) -> dict[str, object]:
        return {"account": self.account_id, "epoch": self.epoch, "id": self.id}


_ACCOUNT = "until the account is closed"
_BY_LAW = "as long as the operator's law says"
_AS_USED = "until it ends, is used or expires"
_JOBS = "job_id IN (SELECT id FROM media_jobs WHERE account_id = :account AND epoch < :epoch)"
_OF_THE_JOB = MappingProxyType({"job": "account_id = :account AND subject = CAST(:id AS uuid)"})
ERASED: tuple[Erased, ...] = (
    Erased("webhook_deliveries", "webhook_deliveries", one=_OF_THE_JOB),
    Erased("events", "events", one=_OF_THE_JOB),
    Erased("webhook_secrets", "webhook_secrets"),
    Erased("webhook_endpoints", "webhook_endpoints"),
    Erased("job_files", "job_files", _JOBS),
    Erased(
        "upload_parts",
        "upload_parts",
        "upload_id IN (SELECT id FROM uploads WHERE account_id = :account AND epoch < :epoch)",
    ),
    Erased("uploads", "uploads"),
    Erased("job_inputs", "job_inputs", _JOBS),
    Erased(
        "media_jobs",
        "media_jobs",
        one=MappingProxyType({"job": "account_id = :account AND id = CAST(:id AS uuid)"}),
        way=Way.FUNCTION,
    ),
    Erased(
        "shares",
        "shares",
        one=MappingProxyType({"share": "account_id = :account AND encode(slug_hash, 'hex') = :id"}),
    ),
    Erased(
        "messages",
        "messages",
        one=MappingProxyType({"conversation": "account_id = :account AND conversation_id = CAST(:id AS uuid)"}),
    ),
    Erased(
        "conversations",
        "conversations",
        one=MappingProxyType({"conversation": "account_id = :account AND id = CAST(:id AS uuid)"}),
    ),
    Erased(
        "idempotency_keys",
        "idempotency",
        one=MappingProxyType({"job": "account_id = :account AND hold_id = CAST(:id AS uuid)"}),
        way=Way.FUNCTION,
    ),
    Erased("usage_days", "usage_days", way=Way.FUNCTION),
    Erased("running_balances", "running_balances", way=Way.FUNCTION),
    Erased("usage_entries", "usage", way=Way.ROLL_UP),
)
RETAINED: tuple[Retained, ...] = (
    Retained("accounts", "balance, epoch, plan, settings, limits' counters", "the account goes on", _ACCOUNT),
    Retained("users", "e-mail address, password hash", "its owner signs in with them", _ACCOUNT),
    Retained(
        "sessions", "hash of the cookie, times", "its owner stays signed in, unless the request ends sessions", _AS_USED
    ),
    Retained("one_time_links", "hash of the link, e-mail address, expiry", "a mailed link works once", _AS_USED),
    Retained("data_keys", "number and time of the destroyed keys", "no epoch's key is ever made again", _ACCOUNT),
    Retained("api_keys", "name, scopes, limits, counters, times", "the keys go on", _ACCOUNT),
    Retained("api_key_secrets", "hash of the token, its first and last characters", "the keys go on", _ACCOUNT),
    Retained(
        "holds",
        "id, times, and that it has ended",
        "a late step of an erased call meets it, and writes nothing",
        "as holds are kept (YOUT_HOLD_RETENTION)",
    ),
    Retained(
        "transactions",
        "grants, payments and adjustments: amount, time, hashed reference; one sum of all erased calls",
        "the balance, and that no payment counts twice",
        _ACCOUNT,
    ),
    Retained("lines", "the amounts of these movements", "the balance", _ACCOUNT),
    Retained("purges", "id, times, counts", "a purge can be followed, and is not done twice at once", _ACCOUNT),
    Retained("roll_ups", "sums of the erased calls", "the audit proves with them that no charge is missing", _ACCOUNT),
    Retained("purge_receipts", "this receipt", "it proves what was erased", _ACCOUNT),
    Retained(
        "plan_terms", "plan, times, months that were given", "the plan goes on, and gives no month twice", _ACCOUNT
    ),
    Retained("payments", "ids at Stripe, amounts, what was bought", "records of payments are required by law", _BY_LAW),
    Retained("payment_customers", "id at Stripe", "later payments and refunds find the account by it", _ACCOUNT),
    Retained("payment_subscriptions", "ids at Stripe, times", "a subscription goes on until it is cancelled", _ACCOUNT),
)


def entries(extent: Extent) -> list[tuple[Erased, str]]:
    """Return what the purge erases, each with the condition of its rows."""
    if extent.kind is None:
        return [(entry, entry.rows) for entry in ERASED]
    return [(entry, entry.one[extent.kind]) for entry in ERASED if extent.kind in entry.one]


async def count(session: AsyncSession, extent: Extent) -> dict[str, int]:
    """Count the rows that are left to erase, by name."""
    connection = await session.connection()
    counts: dict[str, int] = {}
    for entry, rows in entries(extent):
        query = text(f"SELECT count(*) FROM {entry.table} WHERE {rows}")  # noqa: S608  # our own text
        counts[entry.name] = int((await connection.execute(query, _used(rows, extent))).scalar_one())
    return counts


async def erase(session: AsyncSession, extent: Extent, batch: int) -> tuple[str, int] | None:
    """Delete one batch of the first rows that are left. Return their name and number, or None when none is left.

    The caller commits.
    """
    connection = await session.connection()
    for entry, rows in entries(extent):
        if entry.way is Way.ROLL_UP:
            continue
        if entry.way is Way.FUNCTION:
            values: dict[str, object] = {"purge": extent.purge_id, "table": entry.table, "batch": batch}
            deleted = await connection.execute(text("SELECT erase_rows(:purge, :table, :batch)"), values)
            gone = int(deleted.scalar_one())
        else:
            some = f"SELECT ctid FROM {entry.table} WHERE {rows} LIMIT {batch}"  # noqa: S608  # our own text
            statement = text(f"DELETE FROM {entry.table} WHERE ctid = ANY(ARRAY({some}))")  # noqa: S608
            gone = (await connection.execute(statement, _used(rows, extent))).rowcount
        if gone:
            return entry.name, gone
    return None


def _used(rows: str, extent: Extent) -> dict[str, object]:
    return {name: value for name, value in extent.parameters().items() if f":{name}" in rows}
