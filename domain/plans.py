"""Plans: what they give, when their credits are due, and until when they last. All times are UTC.

An account has a plan in terms: one for each start by the operator, and one for each payment of a plan. A term gives its
plan's credits once a month, counted from the instant at which it begins.
"""

from calendar import monthrange
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from domain.bounds import lowest
from domain.records import record

MONTH = timedelta(days=365.25) / 12
SHORT_MONTH = timedelta(days=27)
"""A paid period that is shorter than this is less than a month. The shortest month has 28 days."""
FOREVER = datetime.max.replace(tzinfo=UTC)
RENEWAL_GRACE = timedelta(days=3)
"""A subscription that renews keeps its plan for this long after its paid period: its next payment takes a while."""


DEFAULT_PRIORITY, DEFAULT_SHARE, PLAN_SHARE = 3, 1, 4


@record
class Turn:
    """How media jobs of an account stand in the queues of workers, where more wait than are made."""

    priority: int = DEFAULT_PRIORITY
    """1 to 5. Jobs with a lower number always go first."""
    share: int = DEFAULT_SHARE
    """Among jobs of one priority, accounts take turns. One with a share of 4 has four turns where others have one."""


@record
class Plan:
    id: str
    name: str
    credits_per_month: int
    output_lifetime: timedelta | None = None
    """How long outputs of its accounts are stored. None: as long as everybody's."""
    turn: Turn = Turn(share=PLAN_SHARE)


NO_PLAN = Plan("", "", 0, turn=Turn())
"""What an account has without an active plan."""


@record
class Subscription:
    """A subscription at the payment provider, as its latest event describes it."""

    cancel_at: datetime | None = None
    """When it will end, if that is certain."""
    ended_at: datetime | None = None


@record
class Term:
    """A span in which an account has a plan."""

    begins_at: datetime
    ends_at: datetime | None
    """The first instant without the plan. None: it has no end yet."""
    paid: bool = False
    """It was bought: its first month is due whatever happens later."""
    subscription: Subscription | None = None

    @property
    def months(self) -> int | None:
        """How many months a paid term has. None: as many as begin before its end."""
        if not self.paid or self.ends_at is None:
            return None
        return max(1, round((self.ends_at - self.begins_at) / MONTH))

    def credits(self, per_month: int) -> int:
        """Credits of one of its months. A paid term that is shorter than a month gives its share."""
        if not self.paid or self.ends_at is None or self.ends_at - self.begins_at >= SHORT_MONTH:
            return per_month
        seconds = max(0, int((self.ends_at - self.begins_at).total_seconds()))
        return per_month * seconds // int(MONTH.total_seconds())

    def starts(self, first: int = 0) -> Iterator[datetime]:
        """Yield the instants at which its months begin, from month number `first` on."""
        end = lowest(self.ends_at, self.subscription.ended_at if self.subscription else None)
        number = first
        while self.months is None or number < self.months:
            at = month_after(self.begins_at, number)
            if (end is not None and at >= end) and not (self.paid and number == 0):
                return
            yield at
            number += 1

    def due(self, given: int, now: datetime) -> tuple[int, datetime | None]:
        """Return how many months are due after `given` ones, and when the next one is.

        The first month of a paid term is due at once, whatever the clocks say.
        """
        count = 0
        for at in self.starts(given):
            if at > now and not (self.paid and given + count == 0):
                return count, at
            count += 1
        return count, None

    def lasts_until(self) -> datetime | None:
        """Return the first instant at which the plan is not active any more, or None if there is no end yet."""
        if self.ends_at is None or self.subscription is None:
            return self.ends_at
        cancel_at, ended_at = self.subscription.cancel_at, self.subscription.ended_at
        renews = ended_at is None and (cancel_at is None or cancel_at > self.ends_at)
        return lowest(self.ends_at + (RENEWAL_GRACE if renews else timedelta()), cancel_at, ended_at)


@record
class Standing:
    """What an account's plan is, for as long as nothing happens to it."""

    plan: str | None
    active: bool
    until: datetime | None


def standing(terms: Iterable[tuple[str, Term]], now: datetime) -> Standing:
    """Return the plan of the term that lasts longest, or the last plan, not active, if no term lasts."""
    ranked = [(term.lasts_until() or FOREVER, term.begins_at, plan) for plan, term in terms]
    if not ranked:
        return Standing(None, False, None)
    end, _, plan = max(ranked)
    return Standing(plan, end > now, None if end == FOREVER else end)


def month_after(anchor: datetime, months: int) -> datetime:
    """Return the instant so many months later: the anchor's day, or the last day of a month that is shorter."""
    years, index = divmod(anchor.month - 1 + months, 12)
    year, month = anchor.year + years, index + 1
    return anchor.replace(year=year, month=month, day=min(anchor.day, monthrange(year, month)[1]))
