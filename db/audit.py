"""Audits the ledger over one snapshot: each check is a query that returns no row when the books are right.

The checks compare sums and projections, holds and their transactions, charges and usage, jobs and holds. A finding
names the check, what is wrong and where; the queries read only numbers and ids.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import DataError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import audit_scope
from db.audit_checks import CHECKS
from db.audit_scope import SCOPES, Scope
from db.engine import Database
from db.tables import AuditRow

WHOLE_EVERY = timedelta(days=1)
OVERLAP = timedelta(minutes=5)
"""The time of a transaction is that of its start; it may commit this much later."""
MAX_FINDINGS = 100
"""Findings shown per check. The count includes all."""


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
    """The differences between balances and the sums of their postings, added up over accounts."""
    counts: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.counts

    def as_dict(self) -> dict[str, Any]:
        return {"clean": self.clean, **asdict(self)}


_TOTALS = """
SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM transactions),
       (SELECT count(*) FROM public.holds WHERE state = 'open'),
       (SELECT coalesce(sum(abs(a.available - coalesce(s.available, 0)) + abs(a.held - coalesce(s.held, 0))), 0)
        FROM accounts a LEFT JOIN (
            SELECT account_id, coalesce(sum(amount) FILTER (WHERE book = 'available'), 0) AS available,
                   coalesce(sum(amount) FILTER (WHERE book = 'held'), 0) AS held
            FROM lines WHERE account_id IS NOT NULL GROUP BY account_id) s ON s.account_id = a.id)
"""
SETTINGS = ("SET LOCAL statement_timeout = 0", "SET LOCAL work_mem = '64MB'", "SET LOCAL jit = off")
"""Settings of the audit's transaction, which sorts and hashes whole tables."""


async def audit(connection: AsyncConnection, *, since: datetime | None = None) -> Report:
    """Run every check in one transaction, which is rolled back. The connection must not be in a transaction.

    With `since`, check only what has moved from then on, and what is open: see `db/audit_scope.py`.
    """
    await connection.execution_options(isolation_level="REPEATABLE READ")
    transaction = await connection.begin()
    try:
        await _run_all(connection, SETTINGS)
        return await _report(connection, since)
    finally:
        await transaction.rollback()


async def _run_all(connection: AsyncConnection, statements: Iterable[str]) -> None:
    for statement in statements:
        await connection.execute(text(statement.replace(":", "\\:")))


async def _report(connection: AsyncConnection, since: datetime | None) -> Report:
    counts: dict[str, int] = {}
    findings: list[Finding] = []
    totals: tuple[Any, ...] = ()
    if since is not None:
        await _run_all(connection, audit_scope.begin(since))
    for scope in Scope:
        if since is not None:
            await _run_all(connection, audit_scope.enter(scope, since))
        if scope is Scope.ACCOUNTS:
            totals = tuple((await connection.execute(text(_TOTALS))).one())
        checks = {name: query for name, query in CHECKS.items() if SCOPES.get(name, Scope.MOVED) is scope}
        for name, rows in zip(checks, await _checked(connection, checks.values()), strict=True):
            if rows:
                counts[name] = len(rows)
                findings += [Finding(name, str(row[0]), str(row[1])) for row in rows[:MAX_FINDINGS]]
    accounts, transactions, holds_open, drift = totals
    return Report(len(CHECKS), accounts, transactions, holds_open, int(drift), counts, findings)


async def _checked(connection: AsyncConnection, queries: Collection[str]) -> list[Sequence[Any]]:
    """Return the rows of each check. All are sent at once, and one by one if the data of one cannot be read."""
    driver = (await connection.get_raw_connection()).driver_connection
    if not isinstance(driver, psycopg.AsyncConnection):
        raise TypeError("not a psycopg connection")
    try:
        async with connection.begin_nested(), driver.pipeline():
            running = [await driver.execute(query.encode()) for query in queries]
            return [await each.fetchall() for each in running]
    except psycopg.DataError:
        return [await _run(connection, query) for query in queries]


async def _run(connection: AsyncConnection, query: str) -> Sequence[Any]:
    """Return the rows of a check. A value that the query cannot read is a finding too, and stops no other check."""
    try:
        async with connection.begin_nested():
            return (await connection.execute(text(query))).all()
    except DataError as error:
        return [("ledger", f"the check cannot read what it is about: {type(error.orig).__name__}")]


@dataclass(frozen=True, slots=True)
class Audits:
    """The scheduled audit: incremental since the last clean one, whole once a day. It stores its results."""

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
    """Return when the last clean audit began, less `OVERLAP`, or None when a whole audit is due."""
    clean = select(AuditRow).where(AuditRow.clean, AuditRow.began_at <= now).order_by(col(AuditRow.began_at).desc())
    last = (await session.exec(clean.limit(1))).one_or_none()
    whole = (await session.exec(clean.where(AuditRow.whole).limit(1))).one_or_none()
    if last is None or whole is None or now - whole.began_at > WHOLE_EVERY:
        return None
    return last.began_at - OVERLAP


async def latest(session: AsyncSession) -> AuditRow | None:
    return (await session.exec(select(AuditRow).order_by(col(AuditRow.began_at).desc()).limit(1))).one_or_none()
