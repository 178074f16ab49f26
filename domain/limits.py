"""What a key may use: requests and tokens per minute (GCRA), concurrent calls, credits per UTC day and month.

GCRA keeps one moment per limit, the theoretical arrival time: a call of some cost moves it on by cost x (60 s / limit),
and is allowed while it is no more than a minute ahead. Exact, no windows, one number. Pure: the ledger keeps the
numbers under the key's lock, so they hold across processes.
"""

from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta

from domain.bounds import lowest
from domain.records import record

PERIOD = timedelta(minutes=1)
_PERIOD_MICROS = 60_000_000


@record
class Limits:
    """The limits of a key. None means no limit."""

    requests: int | None = None
    """Per minute."""
    tokens: int | None = None
    """Per minute, input and output, as bounded when a call begins."""
    concurrent: int | None = None
    credits_day: int | None = None
    credits_month: int | None = None

    def within(self, ceiling: "Limits") -> "Limits":
        """These limits, each lowered to the operator's ceiling."""
        if self == NO_LIMITS:
            return ceiling
        return Limits(
            lowest(self.requests, ceiling.requests),
            lowest(self.tokens, ceiling.tokens),
            lowest(self.concurrent, ceiling.concurrent),
            lowest(self.credits_day, ceiling.credits_day),
            lowest(self.credits_month, ceiling.credits_month),
        )

    def or_else(self, other: "Limits") -> "Limits":
        """These limits, and those of `other` where there is none."""
        return replace(other, **{name: limit for name, limit in asdict(self).items() if limit is not None})


@dataclass(slots=True)
class Used:
    """A key's counters. Budgets count what is held and what was charged, in the period in which the call began."""

    requests_tat: datetime | None = None
    tokens_tat: datetime | None = None
    open_holds: int = 0
    day: date | None = None
    day_credits: int = 0
    month: date | None = None
    month_credits: int = 0

    def at(self, now: datetime) -> "Used":
        """The counters of the periods that `now` is in: these very ones, or new ones when a day has begun."""
        today = now.date()
        if self.day == today:
            return self
        month = today.replace(day=1)
        in_month = self.month_credits if self.month == month else 0
        return replace(self, day=today, day_credits=0, month=month, month_credits=in_month)

    def spend(self, began: date, credits: int) -> None:
        """Count credits on (or, negative, off) the budgets of the periods in which a call began."""
        if self.day == began:
            self.day_credits += credits
        if self.month is not None and (self.month.year, self.month.month) == (began.year, began.month):
            self.month_credits += credits

    def budget_of(self, began: date, limits: Limits, over: int | None = None) -> int | None:
        """What is left of the budgets that a call which began then counts on; None when there is none.

        Of a period that is not counted any more nobody knows what is left: `over` says what that comes to.
        """
        in_month = self.month is not None and (self.month.year, self.month.month) == (began.year, began.month)
        day, month = limits.credits_day, limits.credits_month
        if day is not None:
            day = max(0, day - self.day_credits) if self.day == began else over
        if month is not None:
            month = max(0, month - self.month_credits) if in_month else over
        return lowest(day, month)


NO_LIMITS = Limits()


@record
class Left:
    """What is left of a limit per minute, and the moment at which all of it is available again."""

    limit: int
    remaining: int
    reset: timedelta


def left(tat: datetime | None, now: datetime, limit: int) -> Left:
    ahead = max(timedelta(0), tat - now) if tat else timedelta(0)
    headroom = max(0, _PERIOD_MICROS - _micros(ahead))
    return Left(limit, headroom * limit // _PERIOD_MICROS, ahead)


def take(tat: datetime | None, now: datetime, cost: int, limit: int | None) -> datetime | timedelta:
    """Return the new arrival time, or how long to wait until the call is allowed."""
    start = max(tat, now) if tat else now
    if limit is None:
        return start
    then = start + timedelta(microseconds=-(-cost * _PERIOD_MICROS // limit))
    over = then - now - PERIOD
    return then if over <= timedelta(0) else over


def advance(tat: datetime | None, now: datetime, cost: int, limit: int | None) -> datetime | None:
    """Take more for a call that was already allowed, without a check."""
    if limit is None:
        return tat
    return (max(tat, now) if tat else now) + timedelta(microseconds=-(-cost * _PERIOD_MICROS // limit))


def give_back(tat: datetime | None, now: datetime, cost: int, limit: int | None) -> datetime | None:
    """Give back what a call took and did not use, at the limit that it was taken from. Unused time is not saved."""
    if tat is None or limit is None or cost <= 0:
        return tat
    return max(tat - timedelta(microseconds=cost * _PERIOD_MICROS // limit), min(tat, now))


def budget_left(limits: Limits, used: Used) -> int | None:
    """Credits that the key may still hold now; None when it has no budget."""
    if limits.credits_day is None and limits.credits_month is None:
        return None
    day = None if limits.credits_day is None else max(0, limits.credits_day - used.day_credits)
    month = None if limits.credits_month is None else max(0, limits.credits_month - used.month_credits)
    return lowest(day, month)


def budget_resets_at(limits: Limits, used: Used, now: datetime, amount: int) -> datetime | None:
    """The moment from which the budgets allow `amount`, if little else is spent by then. None: a limit is lower."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    tomorrow, month = today + timedelta(days=1), (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    moment = now
    for limit, spent, resets_at in (
        (limits.credits_day, used.day_credits, tomorrow),
        (limits.credits_month, used.month_credits, month),
    ):
        if limit is not None and amount > limit:
            return None
        if limit is not None and amount > limit - spent:
            moment = max(moment, resets_at)
    return moment


def _micros(span: timedelta) -> int:
    return span // timedelta(microseconds=1)
