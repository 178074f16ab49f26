"""Bodies that arrive slowly, and which of them give way to whoever waits for their room."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from domain.errors import ServiceUnavailable
from gateway import arrivals, body_budget
from gateway.body_budget import BodyBudget, BodyClaim
from tests.unit.gateway.test_body_budget import taken

WAIT = timedelta(seconds=0.1)
"""Long enough for some looks at slow bodies."""


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(body_budget, "_LOOK_SECONDS", 0.01)


class Body:
    """One that arrives until it is whole, or gives way."""

    def __init__(self, budget: BodyBudget, owner: str, size: int, came: int = 0) -> None:
        self.claim, self.whole = BodyClaim(budget), asyncio.Event()
        self._owner, self._size, self._came, self._begun = owner, size, came, asyncio.Event()
        self.task = asyncio.create_task(self._arrive())

    async def _arrive(self) -> None:
        with self.claim:
            async with self.claim.arriving() as arrival:
                await self.claim.take(self._owner, self._size)
                arrival.begin()
                arrival.bytes += self._came
                self._begun.set()
                await self.whole.wait()

    async def arriving(self) -> "Body":
        await self._begun.wait()
        return self


async def slow(budget: BodyBudget, owner: str, size: int) -> Body:
    return await Body(budget, owner, size).arriving()


async def fast(budget: BodyBudget, owner: str, size: int) -> Body:
    return await Body(budget, owner, size, came=10**12).arriving()


async def gave_way(body: Body) -> bool:
    """Whether the body has given way. One that has not is whole now."""
    if not body.task.done():
        body.whole.set()
    try:
        await body.task
    except ServiceUnavailable:
        return True
    return False


async def test_slow_bodies_of_who_uses_more_give_way_and_no_more_of_them_than_are_needed() -> None:
    budget = BodyBudget(100)
    ann = [await slow(budget, "ann", 25), await slow(budget, "ann", 25)]
    bob = [await fast(budget, "bob", 25), await slow(budget, "bob", 25)]
    with await taken(budget, "cy", 20):
        assert budget.used <= 100
        assert [await gave_way(body) for body in (*ann, *bob)].count(True) == 1
        assert budget.used == 20
    assert budget.used == 0


async def test_the_slowest_is_first() -> None:
    budget = BodyBudget(100)
    ann = [await Body(budget, "ann", 25, came=1000).arriving(), await slow(budget, "ann", 25)]
    with await taken(budget, "bob", 50), await taken(budget, "cy", 10):
        assert [await gave_way(body) for body in ann] == [False, True]


@pytest.mark.parametrize(("anns", "wanted"), [(0, 11), (40, 20)], ids=["of who uses less", "that is not enough"])
async def test_a_slow_body_stays(anns: int, wanted: int) -> None:
    budget = BodyBudget(100, WAIT)
    with await taken(budget, "bob", 50), await taken(budget, "dan", 40 - anns), await taken(budget, "ann", anns):
        ann = await slow(budget, "ann", 10)
        with pytest.raises(ServiceUnavailable):
            await taken(budget, "cy", wanted)
        assert not await gave_way(ann)


async def test_fast_bodies_stay_and_so_do_those_that_have_just_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = BodyBudget(100, WAIT)
    ann = await fast(budget, "ann", 50)
    monkeypatch.setattr(arrivals, "GRACE_SECONDS", 60.0)
    bob = await slow(budget, "bob", 50)
    with pytest.raises(ServiceUnavailable):
        await taken(budget, "cy", 20)
    assert [await gave_way(body) for body in (ann, bob)] == [False, False]


async def test_a_body_that_is_whole_in_the_moment_in_which_it_gives_way_is_not_read_without_room() -> None:
    budget = BodyBudget(100)
    ann = await slow(budget, "ann", 50)
    with await taken(budget, "bob", 50):
        (arrival,) = budget.arrivals.slow()
        ann.whole.set()
        arrival.end()
        assert budget.used == 50
        assert await gave_way(ann)


async def test_a_reader_that_is_cancelled_is_cancelled() -> None:
    budget = BodyBudget(100)
    ann = await slow(budget, "ann", 50)
    ann.task.cancel()
    with suppress(asyncio.CancelledError):
        await ann.task
    assert ann.task.cancelled()
    assert (budget.used, list(budget.arrivals.slow())) == (0, [])
