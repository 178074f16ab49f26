"""Work off the loop, account by account: one that floods waits for itself alone."""

import asyncio
import contextlib
import threading

import pytest

from domain.errors import RateLimited
from gateway.fair_turns import FairTurns
from tests.support.stack import eventually


class Work:
    """Pieces of work that end when they are told to, and the order in which they began."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self._gate = threading.Semaphore(0)

    def __call__(self, name: str) -> str:
        self.begun.append(name)
        assert self._gate.acquire(timeout=30)
        return name

    def finish(self, pieces: int = 1) -> None:
        self._gate.release(pieces)


@pytest.fixture
def work() -> Work:
    return Work()


def start(turns: FairTurns, work: Work, *names: str) -> list[asyncio.Task[str]]:
    """Each for the account that its name begins with."""
    return [asyncio.create_task(turns.run(name[0], lambda name=name: work(name))) for name in names]  # type: ignore[misc]


async def begun(work: Work, count: int) -> list[str]:
    async def enough() -> bool:
        return len(work.begun) >= count

    assert await eventually(enough)
    await asyncio.sleep(0.02)
    return work.begun


async def test_a_flood_of_one_account_does_not_go_before_its_neighbour(work: Work) -> None:
    turns = FairTurns(max_running=1)
    tasks = start(turns, work, "a1", "a2", "a3", "a4")
    await begun(work, 1)
    tasks += start(turns, work, "b1", "c1")
    work.finish(6)
    assert await asyncio.gather(*tasks) == ["a1", "a2", "a3", "a4", "b1", "c1"]
    assert work.begun == ["a1", "a2", "b1", "c1", "a3", "a4"]


async def test_one_account_never_has_all_turns(work: Work) -> None:
    turns = FairTurns(max_running=2)
    tasks = start(turns, work, "a1", "a2", "a3")
    assert await begun(work, 1) == ["a1"]
    tasks += start(turns, work, "b1")
    assert await begun(work, 2) == ["a1", "b1"]
    work.finish(4)
    await asyncio.gather(*tasks)


async def test_too_many_waiting_requests_are_refused(work: Work) -> None:
    turns = FairTurns(max_running=1, max_waiting=2)
    tasks = start(turns, work, "a1", "a2", "a3")
    await begun(work, 1)
    with pytest.raises(RateLimited):
        await turns.run("a", lambda: work("a4"))
    tasks += start(turns, work, "b1")
    work.finish(4)
    assert await asyncio.gather(*tasks) == ["a1", "a2", "a3", "b1"]


@pytest.mark.parametrize("given", [False, True])
async def test_who_gives_up_waiting_keeps_nobody_from_a_turn(work: Work, given: bool) -> None:
    turns = FairTurns(max_running=1)
    first, second, third = start(turns, work, "a1", "b1", "c1")
    await begun(work, 1)
    if given:  # the turn and the cancellation come in the same moment
        work.finish()
        await first
    second.cancel()
    work.finish(3)
    with contextlib.suppress(asyncio.CancelledError):
        await second
    assert await third == "c1"
    (last,) = start(turns, work, "b2")
    work.finish()
    assert await last == "b2"


async def test_a_turn_is_not_given_to_who_gives_up_in_the_same_moment(work: Work) -> None:
    turns = FairTurns(max_running=1)
    first, second, third = start(turns, work, "a1", "b1", "c1")
    await begun(work, 1)
    first.cancel()
    second.cancel()  # it is next, and has not left the queue yet when the first one's turn goes on
    left = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(error) for error in left] == [asyncio.CancelledError] * 2
    work.finish(2)
    assert await third == "c1"


async def test_who_leaves_does_not_end_the_turn_of_work_that_runs(work: Work) -> None:
    turns = FairTurns(max_running=1)
    left, waits = start(turns, work, "a1", "a2")
    await begun(work, 1)
    left.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await left
    assert await begun(work, 1) == ["a1"]
    work.finish(2)
    assert await waits == "a2"


async def test_work_that_fails_gives_its_turn_back() -> None:
    turns = FairTurns(max_running=1)

    def fail() -> None:
        raise ValueError

    for _ in range(3):
        with pytest.raises(ValueError):  # noqa: PT011  # whatever it is
            await turns.run("a", fail)
    assert await turns.run("b", lambda: 1) == 1
