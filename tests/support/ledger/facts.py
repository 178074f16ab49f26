"""The facts that the bank's model keeps, and the arithmetic of its prices."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from tests.support.ledger.result_codec import EncodedResult

LEAST, MOST = 10, 2**62
INPUT, OUTPUT, CACHED, WRITTEN = 300, 1500, 30, 375
"""Credits per 1,000 tokens, of every text hold that the bank's machine places."""


class Refused(Exception):
    def __init__(self, *result: Any) -> None:
        self.result: EncodedResult = result


@dataclass(slots=True)
class SpendingFacts:
    available: int = 0
    held: int = 0


@dataclass(slots=True)
class KeyFacts:
    account: UUID
    concurrent: int | None = None
    credits_day: int | None = None
    revoked: bool = False
    last_used: date | None = None


@dataclass(slots=True)
class HoldFacts:
    account: UUID
    key: UUID | None
    amount: int
    state: str = "open"
    flat: bool = False
    limit: int | None = None
    choices: int = 1
    input_bound: int = 0
    input_count: int = 0
    relayed: int = 0
    charged: int = 0
    written_off: int = 0
    refunded: int = 0
    most: int | None = None
    lease_until: datetime | None = None
    began: date | None = None
    closed_by: str | None = None

    def facts(self) -> tuple[Any, ...]:
        money = (self.amount, self.limit, self.relayed, self.charged, self.written_off, self.refunded, self.most)
        return self.account, self.key, self.state, *money, self.lease_until is not None, self.closed_by


def thousandths(exact: int) -> int:
    """Rounded up to a whole credit."""
    whole, rest = divmod(exact, 1000)
    return whole + bool(rest)
