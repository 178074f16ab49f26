"""Work that a cancellation does not interrupt."""

import asyncio

import pytest

from domain.uninterrupted import uninterrupted


async def test_what_must_not_be_cut_off_is_not() -> None:
    going, may_end = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        going.set()
        await may_end.wait()
        return "done"

    task = asyncio.create_task(uninterrupted(work()))
    await going.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    may_end.set()
    assert await task == "done"


async def test_what_must_not_be_cut_off_may_fail() -> None:
    async def work() -> None:
        raise ValueError("why not")

    with pytest.raises(ValueError, match="why not"):
        await uninterrupted(work())
