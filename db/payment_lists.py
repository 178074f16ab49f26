"""The operator's list of payments."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

_UNKNOWN = "money went back of a payment that is not known here"
# Money that went back of a charge of which no payment is known, too: it is not lost from sight.
_PAYMENTS = """
SELECT id, account_id, amount, currency, credits, taken, due, problem, paid_at FROM payments
WHERE problem IS NOT NULL OR NOT :unmatched
UNION ALL
SELECT c.id, NULL, greatest(c.refunded, d.withheld)::bigint, '', 0, 0, 0, :unknown, c.created_at
FROM payment_charges c CROSS JOIN LATERAL (
    SELECT coalesce(sum((value->>'amount')::bigint) FILTER (WHERE (value->>'withheld')::boolean), 0) AS withheld
    FROM jsonb_each(c.disputes)
) d
WHERE NOT EXISTS (SELECT FROM payments p WHERE p.id = c.payment_id) AND (c.refunded > 0 OR d.withheld > 0)
ORDER BY paid_at DESC, id LIMIT :limit
"""


_FIGURES = """
SELECT (SELECT count(*) FROM payments WHERE problem IS NOT NULL),
       (SELECT coalesce(sum(due), 0)::bigint FROM payments WHERE due > 0)
"""


@dataclass(frozen=True, slots=True)
class Figures:
    unmatched: int
    """Payments that have given nothing."""
    due: int
    """Credits that accounts owe, because money went back."""


@dataclass(frozen=True, slots=True)
class Payment:
    id: str
    account_id: UUID | None
    amount: int
    currency: str
    credits: int
    taken: int
    due: int
    problem: str | None
    paid_at: datetime


async def payments(session: AsyncSession, *, unmatched: bool, limit: int) -> list[Payment]:
    """Return payments, the newest first; or only what needs the operator."""
    values = {"unmatched": unmatched, "unknown": _UNKNOWN, "limit": limit}
    rows = await (await session.connection()).execute(text(_PAYMENTS), values)
    return [Payment(*row) for row in rows]


async def figures(session: AsyncSession) -> Figures:
    unmatched, due = (await (await session.connection()).execute(text(_FIGURES))).one()
    return Figures(unmatched, due)
