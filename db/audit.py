"""Proves the ledger over one snapshot: every check is a query that finds nothing when all is well.

Sums and projections, holds against their transactions, charges against usage, jobs against holds. Each finding names
the check, what is wrong and where; the queries read only numbers and ids.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DataError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.audit_checks import CHECKS
from db.engine import Database
from db.tables import AuditRow

WHOLE_EVERY = timedelta(days=1)
OVERLAP = timedelta(minutes=5)
"""A transaction's time is that of its begin: it may commit this much later."""
MOST_FINDINGS = 100
"""Findings shown per check; the count is always whole."""


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    checks: int
    accounts: int
    transactions: int
    holds_open: int
    drift_credits: int
    """How far the balances are from the lines they project, summed over accounts."""
    counts: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.counts

    def as_dict(self) -> dict[str, Any]:
        return {"clean": self.clean, **asdict(self)}


_TOTALS = """
SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM transactions),
       (SELECT count(*) FROM holds WHERE state = 'open'),
       (SELECT coalesce(sum(abs(a.available - s.available) + abs(a.held - s.held)), 0)
        FROM accounts a LEFT JOIN LATERAL (
            SELECT coalesce(sum(amount) FILTER (WHERE book = 'available'), 0) AS available,
                   coalesce(sum(amount) FILTER (WHERE book = 'held'), 0) AS held
            FROM lines WHERE account_id = a.id) s ON true)
"""


_SCOPED = ("accounts", "api_keys", "holds", "transactions", "lines", "usage", "usage_days", "media_jobs", "idempotency")
_TOUCHED = """
CREATE TEMP TABLE touched ON COMMIT DROP AS
SELECT account_id AS id FROM public.transactions WHERE created_at >= :since
UNION SELECT account_id FROM public.holds WHERE state = 'open'
"""


async def audit(connection: AsyncConnection, *, since: datetime | None = None) -> Report:
    """Runs in a transaction of its own, on a connection that has none yet, and leaves nothing behind.

    With `since`, over the accounts that have moved from then on, or that have open holds: the same checks, before whose
    tables stand views of those accounts' rows.
    """
    await connection.execution_options(isolation_level="REPEATABLE READ")
    transaction = await connection.begin()
    try:
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        if since is not None:
            await _narrow(connection, since)
        return await _report(connection)
    finally:
        await transaction.rollback()


async def _narrow(connection: AsyncConnection, since: datetime) -> None:
    await connection.execute(text(_TOUCHED), {"since": since})
    for table in _SCOPED:
        column = "id" if table == "accounts" else "account_id"
        either = (
            " OR account_id IS NULL AND transaction_id IN (SELECT t.id FROM transactions t)" if table == "lines" else ""
        )
        await connection.execute(
            text(
                f"CREATE TEMP VIEW {table} AS SELECT * FROM public.{table} "  # noqa: S608  # our own names
                f"WHERE {column} IN (SELECT id FROM touched){either}"
            )
        )


async def _report(connection: AsyncConnection) -> Report:
    accounts, transactions, holds_open, drift = (await connection.execute(text(_TOTALS))).one()
    counts: dict[str, int] = {}
    findings: list[Finding] = []
    for name, query in CHECKS.items():
        rows = await _run(connection, query)
        if rows:
            counts[name] = len(rows)
            findings += [Finding(name, str(row[0]), str(row[1])) for row in rows[:MOST_FINDINGS]]
    return Report(len(CHECKS), accounts, transactions, holds_open, int(drift), counts, findings)


async def _run(connection: AsyncConnection, query: str) -> Sequence[Any]:
    """What a check finds. A value that it cannot even read is a finding, and stops no other check."""
    try:
        async with connection.begin_nested():
            return (await connection.execute(text(query))).all()
    except DataError as error:
        return [("ledger", f"the check cannot read what it is about: {type(error.orig).__name__}")]


@dataclass(frozen=True, slots=True)
class Audits:
    """The scheduled audit: incremental since the last clean one, whole once a day. What it found is kept."""

    database: Database

    async def run(self) -> Report:
        began_at = datetime.now(UTC)
        async with self.database.reading() as session:
            since = await _since(session, began_at)
        async with self.database.connection() as connection:
            report = await audit(connection, since=since)
        async with self.database.transaction() as session:
            session.add(
                AuditRow(
                    began_at=began_at,
                    whole=since is None,
                    clean=report.clean,
                    drift_credits=report.drift_credits,
                    counts=report.counts,
                )
            )
        return report


async def _since(session: AsyncSession, now: datetime) -> datetime | None:
    """When the last clean audit began, with some overlap; None when the whole is due."""
    clean = select(AuditRow).where(AuditRow.clean).order_by(col(AuditRow.began_at).desc())
    last = (await session.exec(clean.limit(1))).one_or_none()
    whole = (await session.exec(clean.where(AuditRow.whole).limit(1))).one_or_none()
    if last is None or whole is None or now - whole.began_at > WHOLE_EVERY:
        return None
    return last.began_at - OVERLAP


async def latest(session: AsyncSession) -> AuditRow | None:
    return (await session.exec(select(AuditRow).order_by(col(AuditRow.began_at).desc()).limit(1))).one_or_none()
