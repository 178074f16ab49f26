"""Lists the credits that came to an account, or were taken: grants, plans, payments, the operator's corrections."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from db.pages import Page
from domain.ledger import TransactionKind

# The condition on the kind is that of a partial index: none of the account's calls is looked at.
_INCOMING = """
SELECT t.id, t.position, t.created_at, t.kind, l.amount, t.note
FROM transactions t JOIN lines l ON l.transaction_id = t.id AND l.book = 'available'
WHERE t.account_id = :account_id AND t.kind IN ('grant', 'adjust')
  AND (CAST(:after AS bigint) IS NULL OR t.position < :after)
ORDER BY t.position DESC LIMIT :limit
"""


@dataclass(frozen=True, slots=True)
class Incoming:
    id: UUID
    position: int
    created_at: datetime
    kind: TransactionKind
    credits: int
    """Less than zero: they were taken."""
    note: str | None = field(repr=False)


async def incoming(session: AsyncSession, account_id: UUID, page: Page) -> list[Incoming]:
    """Return them, the newest first. One more than the limit if there is a next page."""
    values = {"account_id": account_id, "after": page.after, "limit": page.limit + 1}
    rows = await (await session.connection()).execute(text(_INCOMING), values)
    return [Incoming(row[0], row[1], row[2], TransactionKind(row[3]), row[4], row[5]) for row in rows]
