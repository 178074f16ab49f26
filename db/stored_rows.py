"""Counts the rows that are stored for an account: of every table in `db/erasure.py`, by its name there."""

from uuid import UUID

from db.engine import Reader
from db.erasure import ERASED, RETAINED

MAX_COUNTED = 100_000
"""Of one name. Counting ends there, so that a large account costs no more."""
OUTPUTS = "outputs"
"""Files in the object store, by the jobs that made them."""

_OF_USER = "user_id IN (SELECT id FROM users WHERE account_id = :account)"
_CONDITIONS = {
    "accounts": "id = :account",
    "sessions": _OF_USER,
    "one_time_links": _OF_USER,
    "api_key_secrets": "key_id IN (SELECT id FROM api_keys WHERE account_id = :account)",
    "purge_receipts": "purge_id IN (SELECT id FROM purges WHERE account_id = :account)",
}
"""Of tables whose rows do not have the account's id in an index."""
_COUNT = "(SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {rows} LIMIT :limit) AS counted)"
_OF_ACCOUNT = "account_id = :account"
_HOLDS = " + ".join(
    _COUNT.format(table="holds", rows=f"{_OF_ACCOUNT} AND {state}")
    for state in ("state = 'open'", "state IN ('settled', 'void')")
)
"""As two partial indexes have them."""
_TRANSACTIONS = (
    "(SELECT movements - (SELECT coalesce(sum(movements), 0) FROM roll_ups WHERE account_id = :account)"
    " FROM accounts WHERE id = :account)"
)
"""By their positions, as the audit checks: a large account has several of each call."""
_OUTPUTS = (
    "(SELECT coalesce(sum(jsonb_array_length(outputs)), 0) FROM (SELECT outputs FROM media_jobs"
    " WHERE account_id = :account AND state = 'succeeded' AND outputs_deleted_at IS NULL LIMIT :limit) AS counted)"
)


async def count(reader: Reader, account_id: UUID) -> dict[str, int]:
    """Return how much is stored, by name: `MAX_COUNTED` + 1 where there is more than that.

    Also what a purge that runs has not erased yet. Of the calls that a purge has erased, `holds` counts none.
    """
    values = {"account": account_id, "limit": MAX_COUNTED + 1}
    (row,) = await reader.rows(_QUERY, values)
    return {name: min(int(number), MAX_COUNTED + 1) for name, number in zip(_COUNTED, row, strict=True)}


def _every_epoch(rows: str) -> str:
    """Return the condition without the epoch, which an index on the account does not have."""
    return rows.replace(" AND epoch < :epoch", "")


def _retained(table: str) -> str:
    return _COUNT.format(table=table, rows=_CONDITIONS.get(table, _OF_ACCOUNT))


_COUNTED = (
    {entry.name: _COUNT.format(table=entry.table, rows=_every_epoch(entry.rows)) for entry in ERASED}
    | {entry.table: _retained(entry.table) for entry in RETAINED}
    | {"holds": _HOLDS, "transactions": _TRANSACTIONS, OUTPUTS: _OUTPUTS}
)
_QUERY = ("SELECT " + ", ".join(_COUNTED.values())).replace(":account", "%(account)s").replace(":limit", "%(limit)s")
