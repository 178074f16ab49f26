"""The facts that the bank's model keeps, and the arithmetic of its prices and budgets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from domain.limits import Limits
from tests.support.ledger.result_codec import EncodedResult

MIN_CHARGE, MAX_AMOUNT = 10, 2**62
INPUT, OUTPUT, CACHED, WRITTEN = 300, 1500, 30, 375
"""Credits per 1,000 tokens, of every text hold that the bank's machine places."""


class Refused(Exception):
    def __init__(self, *result: Any) -> None:
        self.result: EncodedResult = result


@dataclass(slots=True)
class SpendingFacts:
    available: int = 0
    held: int = 0
    epoch: int = 1


@dataclass(slots=True)
class KeyFacts:
    account: UUID
    limits: Limits
    above: tuple[UUID, ...] = ()
    """The key that made it, the one that made that one, and so on."""
    revoked: bool = False
    last_used: date | None = None
    counted_at: datetime | None = None
    requests: int = 0
    tokens: int = 0
    """Taken in the very moment `counted_at`: a minute later all of them are free again."""


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
    epoch: int = 1
    erased: bool = False
    """A purge has rolled it up. What its keys were counted for it stays."""

    @property
    def tokens(self) -> int:
        """What its keys were counted for it."""
        return self.input_bound + (self.limit or 0) * self.choices

    def facts(self) -> tuple[Any, ...]:
        if self.erased:
            return self.account, None, "erased", 0, None, 0, 0, 0, 0, None, False, self.closed_by
        money = (self.amount, self.limit, self.relayed, self.charged, self.written_off, self.refunded, self.most)
        return self.account, self.key, self.state, *money, self.lease_until is not None, self.closed_by


def thousandths(exact: int) -> int:
    """Rounded up to a whole credit."""
    whole, rest = divmod(exact, 1000)
    return whole + bool(rest)


@dataclass(slots=True)
class Families:
    """Keys, and what each of them is counted: its own calls, and those of all that it made."""

    keys: dict[UUID, KeyFacts]
    holds: Mapping[UUID, HoldFacts]

    def line(self, key_id: UUID | None) -> tuple[UUID, ...]:
        """The keys that count a call of this one."""
        return () if key_id is None else (key_id, *self.keys[key_id].above)

    def open(self, key_id: UUID) -> int:
        return sum(hold.state == "open" for hold in self._counted(key_id))

    def spent(self, key_id: UUID, day: date, period: str) -> int:
        """By the calls that began in that period: what the open ones hold, and what the others cost."""
        return sum(
            hold.amount if hold.state == "open" else hold.charged - hold.refunded
            for hold in self._counted(key_id)
            if hold.began and hold.began.strftime(period) == day.strftime(period)
        )

    def spent_last(self, key_id: UUID) -> tuple[date | None, int, int]:
        day = self.keys[key_id].last_used
        if day is None:
            return None, 0, 0
        return day, self.spent(key_id, day, "%Y%m%d"), self.spent(key_id, day, "%Y%m")

    def left(self, key_id: UUID | None, day: date, over: int | None = None) -> int:
        """What the budgets have left for a call that began that day.

        `over`: what is left of a period once its key counts another one.
        """
        return min((left for one in self.line(key_id) for left in self._left(one, day, over)), default=MAX_AMOUNT)

    def _left(self, key_id: UUID, day: date, over: int | None) -> Iterable[int]:
        key = self.keys[key_id]
        for limit, period in ((key.limits.credits_day, "%Y%m%d"), (key.limits.credits_month, "%Y%m")):
            counted = key.last_used is not None and key.last_used.strftime(period) == day.strftime(period)
            if limit is not None:
                yield max(0, limit - self.spent(key_id, day, period)) if counted or over is None else over

    def _counted(self, key_id: UUID) -> Iterable[HoldFacts]:
        return (hold for hold in self.holds.values() if key_id in self.line(hold.key))

    def take(self, key_id: UUID | None, now: datetime, *, requests: int = 0, tokens: int = 0) -> None:
        """Out of what each key of the line may do in a minute. Never less than nothing is taken."""
        for key in (self.keys[one] for one in self.line(key_id)):
            if key.counted_at != now:
                key.counted_at, key.requests, key.tokens = now, 0, 0
            key.requests += requests if key.limits.requests else 0
            key.tokens = max(0, key.tokens + (tokens if key.limits.tokens else 0))

    def taken(self, now: datetime) -> dict[UUID, tuple[int, int]]:
        return {
            name: (key.requests, key.tokens) if key.counted_at == now else (0, 0) for name, key in self.keys.items()
        }
