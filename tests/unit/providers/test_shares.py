"""How many places an account may take: all while it is alone, and never those that others could need."""

import pytest

from providers.shares import MAX_OWNERS, MEMORY_SECONDS, Shares


@pytest.mark.parametrize(
    ("places", "others", "taken"), [(8, 0, 8), (8, 1, 6), (8, 3, 6), (2, 1, 1), (1, 1, 1), (4, 9, 3)]
)
def test_an_account_takes_so_many_places_when_others_are_about(places: int, others: int, taken: int) -> None:
    shares = Shares()
    for owner in ("a", *range(others)):
        shares.see(owner, 0.0)
    count = 0
    while count < places and shares.may_take("a", places):
        shares.take("a")
        count += 1
    assert count == taken
    if others and places > 1:
        assert shares.may_take(0, places)


def test_the_places_that_are_taken_are_not_counted_for_each_owner() -> None:
    shares = Shares()
    for owner in range(3):
        shares.see(owner, 0.0)
        shares.take(owner)
        shares.take(owner)
    shares.give_back(0)
    assert shares._taken == shares._running.total() == 5


def test_who_has_not_called_for_long_is_no_other() -> None:
    shares = Shares()
    shares.see("b", 0.0)
    shares.see("a", MEMORY_SECONDS + 1)
    shares.take("a")
    assert shares.may_take("a", 2)
    for owner in range(2 * MAX_OWNERS):
        shares.see(owner, MEMORY_SECONDS + 2)
    assert len(shares._seen) == MAX_OWNERS
