"""What a refused call is told to wait is exact: then it passes, and a moment earlier it does not."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.limits import take

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
