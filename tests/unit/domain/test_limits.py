"""What a refused call is told to wait is exact: then it passes, and a moment earlier it does not."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.limits import Limits, Used, budget_resets_at, take

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


@given(limit=st.integers(1, 10**7), costs=st.lists(st.integers(1, 10**5), min_size=1, max_size=30))
def test_a_wait_is_neither_too_long_nor_too_short(limit: int, costs: list[int]) -> None:
    tat: datetime | None = None
    for cost in costs:
        taken = take(tat, NOW, cost, limit)
        if isinstance(taken, datetime):
            tat = taken
        elif cost <= limit:  # a call that is larger than the limit never passes
            assert isinstance(take(tat, NOW + taken, cost, limit), datetime)
            assert isinstance(take(tat, NOW + taken - MOMENT, cost, limit), timedelta)


TOMORROW, NEXT_MONTH = datetime(2026, 12, 31, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("limits", "moment"),
    [
        (Limits(credits_day=100, credits_month=1000), TOMORROW),
        (Limits(credits_day=100, credits_month=130), NEXT_MONTH),
        (Limits(credits_month=130), NEXT_MONTH),
        (Limits(credits_day=49), None),
        (Limits(credits_day=100, credits_month=49), None),
    ],
)
def test_a_spent_budget_begins_anew_with_its_day_or_month(limits: Limits, moment: datetime | None) -> None:
    used = Used(day_credits=90, month_credits=90)
    assert budget_resets_at(limits, used, datetime(2026, 12, 30, 23, 59, tzinfo=UTC), 50) == moment
