"""Owners take turns, with one item each."""

from domain.round_robin import RoundRobin


def filled(*items: str) -> RoundRobin[str]:
    queue: RoundRobin[str] = RoundRobin()
    for item in items:
        queue.add(item[0], item)
    return queue


def drained(queue: RoundRobin[str]) -> list[str]:
    items = []
    while queue:
        items.append(queue.take())
    return items


def test_owners_take_turns_and_keep_their_own_order() -> None:
    assert drained(filled("a1", "a2", "a3", "b1", "c1", "c2")) == ["a1", "b1", "c1", "a2", "c2", "a3"]


def test_who_comes_later_is_behind_those_who_wait() -> None:
    queue = filled("a1", "a2")
    assert queue.take() == "a1"
    queue.add("b", "b1")
    assert drained(queue) == ["a2", "b1"]


def test_an_owner_can_be_taken_out() -> None:
    queue = filled("a1", "b1", "a2")
    assert list(queue.remove("a")) == ["a1", "a2"]
    assert list(queue.remove("a")) == []
    assert list(queue) == ["b1"]


def test_an_owner_that_may_not_have_a_turn_is_passed_over_and_stays_in_front() -> None:
    queue: RoundRobin[int] = RoundRobin()
    for owner, item in (("a", 1), ("b", 2), ("b", 3)):
        queue.add(owner, item)
    assert queue.take_of(lambda owner: owner == "b") == 2
    assert queue.take_of(lambda owner: owner == "c") is None
    assert [queue.take(), queue.take()] == [1, 3]
