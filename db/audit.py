"""Proves the ledger over one snapshot: every check is a query that finds nothing when all is well.

Sums and projections, holds against their transactions, charges against usage, jobs against holds. Each finding names
the check, what is wrong and where; the queries read only numbers and ids.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.audit_checks import CHECKS

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


async def audit(connection: AsyncConnection) -> Report:
    """Runs in a transaction of its own, on a connection that has none yet. Writes nothing."""
    await connection.execution_options(isolation_level="REPEATABLE READ")
    async with connection.begin():
        await connection.execute(text("SET TRANSACTION READ ONLY"))
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        accounts, transactions, holds_open, drift = (await connection.execute(text(_TOTALS))).one()
        counts: dict[str, int] = {}
        findings: list[Finding] = []
        for name, query in CHECKS.items():
            rows = (await connection.execute(text(query))).all()
            if rows:
                counts[name] = len(rows)
                findings += [Finding(name, str(row[0]), str(row[1])) for row in rows[:MOST_FINDINGS]]
    return Report(len(CHECKS), accounts, transactions, holds_open, int(drift), counts, findings)
