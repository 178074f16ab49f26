"""When a plan's months begin, what a paid term gives, and until when a plan lasts."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.plans import RENEWAL_GRACE, Standing, Subscription, Term, month_after, standing


def at(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[misc,arg-type]


instants = st.integers(0, 100 * 366 * 86_400).map(lambda seconds: at(2000, 1, 1) + timedelta(seconds=seconds))


def test_the_last_day_of_a_shorter_month_stands_for_a_day_that_it_lacks() -> None:
    days = [month_after(at(2027, 10, 31, 9), months).date().isoformat() for months in range(6)]
    assert days == ["2027-10-31", "2027-11-30", "2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31"]


@given(anchor=instants, months=st.integers(0, 600))
def test_months_are_of_calendar_length_and_keep_the_time_of_day(anchor: datetime, months: int) -> None:
    this, following = month_after(anchor, months), month_after(anchor, months + 1)
    assert timedelta(days=28) <= following - this <= timedelta(days=31)
    assert (this.timetz(), following.timetz()) == (anchor.timetz(), anchor.timetz())
    assert (following.year * 12 + following.month) - (anchor.year * 12 + anchor.month) == months + 1
    assert following.day == anchor.day or (following + timedelta(days=1)).day == 1


@given(
    anchor=instants,
    lasts=st.none() | st.timedeltas(timedelta(0), timedelta(days=1500)),
    looks=st.lists(st.timedeltas(timedelta(0), timedelta(days=1600)), min_size=1, max_size=20),
)
def test_each_month_is_due_once_however_seldom_one_looks(
    anchor: datetime, lasts: timedelta | None, looks: list[timedelta]
) -> None:
    """Whatever was missed is due the next time, and nothing is due that begins after the end."""
    end = anchor + lasts if lasts is not None else None
    term, months_given, next_at = Term(anchor, end), 0, None
    for look in sorted(looks):
        months, next_at = term.due(months_given, anchor + look)
        months_given += months
        assert term.due(months_given, anchor + look) == (0, next_at)
    last = anchor + max(looks)
    begun = [start for number in range(60) if (start := month_after(anchor, number)) <= last]
    assert months_given == len([start for start in begun if end is None or start < end])
    assert next_at is None or next_at > last


@pytest.mark.parametrize(
    ("since", "until", "months"),
    [
        (at(2026, 1, 31), at(2026, 2, 28), 1),
        (at(2026, 2, 28), at(2026, 3, 31), 1),
        (at(2026, 7, 15), at(2026, 10, 15), 3),
        (at(2027, 2, 28), at(2028, 2, 28), 12),
        (at(2026, 3, 1), at(2026, 3, 8), 1),
    ],
)
def test_a_payment_is_for_whole_months(since: datetime, until: datetime, months: int) -> None:
    assert Term(since, until, paid=True).due(0, since + timedelta(days=500)) == (months, None)


@given(anchor=instants)
def test_the_first_month_of_what_was_paid_is_due_at_once(anchor: datetime) -> None:
    """Also when the payment provider's clock is before ours, and when its subscription has ended since."""
    term = Term(anchor, month_after(anchor, 1), paid=True, subscription=Subscription(ended_at=anchor))
    assert term.due(0, anchor - timedelta(seconds=30))[0] == 1
    assert term.due(1, anchor + timedelta(days=300)) == (0, None)


def test_less_than_a_month_gives_its_share() -> None:
    week = Term(at(2026, 3, 1), at(2026, 3, 8), paid=True)
    assert week.credits(1_000_000) == 1_000_000 * 7 * 86_400 // 2_629_800
    assert Term(at(2026, 2, 1), at(2026, 3, 1), paid=True).credits(1_000_000) == 1_000_000
    assert Term(at(2026, 3, 1), at(2026, 3, 2)).credits(1_000_000) == 1_000_000, "by the operator's hand: whole"


BEGIN, END = at(2026, 5, 1), at(2026, 6, 1)


@pytest.mark.parametrize(
    ("subscription", "until"),
    [
        (None, END),
        (Subscription(), END + RENEWAL_GRACE),
        (Subscription(cancel_at=END), END),
        (Subscription(cancel_at=END + timedelta(days=60)), END + RENEWAL_GRACE),
        (Subscription(cancel_at=END + timedelta(days=1)), END + timedelta(days=1)),
        (Subscription(ended_at=BEGIN + timedelta(days=3)), BEGIN + timedelta(days=3)),
        (Subscription(ended_at=END + timedelta(days=1)), END),
    ],
)
def test_a_plan_that_was_paid_for_lasts_until(subscription: Subscription | None, until: datetime) -> None:
    assert Term(BEGIN, END, paid=True, subscription=subscription).lasts_until() == until


def test_an_account_has_the_plan_that_lasts_longest() -> None:
    short, long, forever = Term(BEGIN, END), Term(BEGIN, END + timedelta(days=9)), Term(BEGIN, None)
    assert standing([], BEGIN) == Standing(None, False, None)
    assert standing([("a", long), ("b", short)], BEGIN) == Standing("a", True, long.ends_at)
    assert standing([("a", long), ("b", forever)], BEGIN) == Standing("b", True, None)
    assert standing([("a", short)], END) == Standing("a", False, END), "at its end it is over"
