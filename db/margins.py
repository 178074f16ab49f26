"""Compares charges with what providers bill, for the operator only.

Groups by day, model and key come from the roll-ups, which are kept without end. Groups by provider come from single
rows, as long as those are kept. Partial indexes find the few calls with a write-off or a refund.
"""

from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.margins import By, Margin, Span

_NO_KEY = "'00000000-0000-0000-0000-000000000000'"
_OF_DAYS = {By.DAY: "day", By.MODEL: "model", By.KEY: f"nullif(key_id, {_NO_KEY})"}
_OF_ROWS = {By.DAY: "{at}::date", By.MODEL: "u.model", By.KEY: "u.key_id", By.PROVIDER: "u.provider"}
_ROLLED_UP = """
SELECT {group}, sum(calls), sum(costed), sum(credits), sum(provider_cost) FROM usage_days
WHERE day >= :since AND day < :until AND (account_id = :account OR CAST(:account AS uuid) IS NULL) GROUP BY 1
"""
_SINGLE = """
SELECT {group}, count(*), count(provider_cost), sum(credits), coalesce(sum(provider_cost), 0) FROM usage u
WHERE {within} GROUP BY 1
"""
_WRITTEN_OFF = "SELECT {group}, sum(written_off) FROM usage u WHERE written_off > 0 AND {within} GROUP BY 1"
_REFUNDED = """
SELECT {group}, sum(l.amount) FROM transactions t
JOIN lines l ON l.transaction_id = t.id AND l.book = 'available' LEFT JOIN usage u ON u.hold_id = t.hold_id
WHERE t.kind = 'refund' AND {within} GROUP BY 1
"""


async def margins(session: AsyncSession, by: By, span: Span) -> list[Margin]:
    """Return the margins in the order of their groups. Calls without a group come last. Needs a transaction."""
    connection = await session.connection()
    await connection.execute(text("SET LOCAL statement_timeout = '10min'"))
    parameters = {"since": span.since, "until": span.until, "account": span.account_id}

    async def rows(query: str, table: str) -> list[Any]:
        at = f"({table}.created_at AT TIME ZONE 'UTC')"
        group = _OF_DAYS[by] if query is _ROLLED_UP else _OF_ROWS[by].format(at=at)
        bounds = f"{table}.created_at >= {_midnight('since')} AND {table}.created_at < {_midnight('until')}"
        within = f"{bounds} AND ({table}.account_id = :account OR CAST(:account AS uuid) IS NULL)"
        return list((await connection.execute(text(query.format(group=group, within=within)), parameters)).all())

    charges = {row[0]: row for row in await rows(_SINGLE if by is By.PROVIDER else _ROLLED_UP, "u")}
    lost = dict(tuple(row) for row in await rows(_WRITTEN_OFF, "u"))
    given_back = dict(tuple(row) for row in await rows(_REFUNDED, "t"))
    groups = sorted(charges.keys() | lost.keys() | given_back.keys(), key=lambda group: (group is None, str(group)))
    return [_margin(group, charges.get(group), given_back.get(group, 0), lost.get(group, 0)) for group in groups]


def _margin(group: Any, row: Any, refunded: Any, written_off: Any) -> Margin:
    if row is None:
        return Margin(group, refunded=int(refunded), written_off=int(written_off))
    return Margin(group, int(row[1]), int(row[2]), int(row[3]), int(refunded), int(written_off), Decimal(row[4]))


def _midnight(name: str) -> str:
    return f"CAST(:{name} AS date)::timestamp AT TIME ZONE 'UTC'"
