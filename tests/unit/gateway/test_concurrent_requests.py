"""Bounds of what is answered at a time: by owner, and a wait that ends."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from domain.errors import RateLimited
from gateway.concurrent_requests import ConcurrentRequests


async def test_more_requests_of_an_owner_wait() -> None:
    requests, running, peak = ConcurrentRequests(2), 0, 0

    async def answer(owner: str) -> None:
        nonlocal running, peak
        async with requests.slot(owner):
            running += 1
            peak = max(peak, running)
            await asyncio.sleep(0)
            running -= 1

    await asyncio.gather(*(answer("ann") for _ in range(20)))
    assert peak == 2
    async with requests.slot("ann"), requests.slot("ann"), requests.slot("bob"):
        pass


async def test_a_request_that_waits_too_long_is_an_error_and_leaves_no_trace() -> None:
    requests = ConcurrentRequests(1, timedelta(milliseconds=1), "only {limit}")
    async with requests.slot("ann"):
        with pytest.raises(RateLimited, match="only 1"):
            await requests.slot("ann").__aenter__()
    async with requests.slot("ann"):
        pass


async def test_what_is_made_in_parts_has_a_slot_while_a_part_is_made_and_none_while_it_is_read() -> None:
    requests, closed = ConcurrentRequests(1), asyncio.Event()

    async def made() -> AsyncGenerator[int]:
        try:
            for number in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(requests.slot("ann").__aenter__(), 0.001)
                yield number
        finally:
            closed.set()

    read = []
    async for part in requests.parts("ann", made()):
        async with requests.slot("ann"):
            read.append(part)
    assert (read, closed.is_set()) == ([0, 1, 2], True)
