"""Reads charges by day, account, model and key, in pages. The caller commits."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.margins import Span

_NO_KEY = UUID(int=0)
_PAGE = """
SELECT account_id, day, model, key_id, kind, sum(calls), sum(input_tokens), sum(output_tokens), sum(credits),
       sum(provider_cost), sum(costed)
FROM usage_days WHERE day >= :since AND day < :until {account} {after}
GROUP BY account_id, day, model, key_id, kind ORDER BY account_id, day, model, key_id, kind LIMIT :limit
"""
_AFTER = """
AND (account_id, day, model, key_id, kind) > (CAST(:account_id AS uuid), CAST(:day AS date), CAST(:model AS text),
    CAST(:key_id AS uuid), CAST(:kind AS text))
"""


@dataclass(frozen=True, slots=True)
class UsageOfDay:
    """What a key of an account was charged for a model on one day, in UTC."""

    day: date
    account_id: UUID
    key_id: UUID | None
    """None: calls without a key, as of a browser."""
    model: str
    kind: str
    calls: int
    input_tokens: int
    output_tokens: int
    credits: int
    provider_cost: Decimal
    """In credits, of the calls whose cost is known."""
    costed_calls: int

    @property
    def position(self) -> dict[str, Any]:
        key = self.key_id or _NO_KEY
        return {"account_id": self.account_id, "day": self.day, "model": self.model, "key_id": key, "kind": self.kind}


async def page(session: AsyncSession, span: Span, after: UsageOfDay | None, limit: int) -> list[UsageOfDay]:
    """Return the next rows by account, day, model and key."""
    values: dict[str, Any] = {"since": span.since, "until": span.until, "limit": limit}
    if span.account_id is not None:
        values["only"] = span.account_id
    if after is not None:
        values |= after.position
    account = "" if span.account_id is None else "AND account_id = :only"
    query = _PAGE.format(account=account, after="" if after is None else _AFTER)
    return [_usage(row) for row in await (await session.connection()).execute(text(query), values)]


def _usage(row: Any) -> UsageOfDay:
    account_id, day, model, key_id, kind, *sums = row
    calls, input_tokens, output_tokens, credits, cost, costed = sums
    key = None if key_id == _NO_KEY else key_id
    counts = int(calls), int(input_tokens), int(output_tokens), int(credits)
    return UsageOfDay(day, account_id, key, model, kind, *counts, Decimal(cost), int(costed))
