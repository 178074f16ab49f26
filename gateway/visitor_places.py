"""Lets a process answer a few messages of a visitor at a time. More of them wait for a place."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from datetime import timedelta

from domain.errors import RateLimited

PATIENCE = timedelta(seconds=30)
_RETRY_AFTER = timedelta(seconds=2)


class Places:
    def __init__(self, most: int, patience: timedelta = PATIENCE) -> None:
        self._most, self._patience = most, patience
        self._visitors: dict[Hashable, tuple[asyncio.Semaphore, int]] = {}
        """The places of each visitor, and how many messages have one or wait for one."""

    @asynccontextmanager
    async def of(self, visitor: Hashable) -> AsyncIterator[None]:
        """Have a place until the end of the block. Raises `RateLimited` when none becomes free."""
        places, users = self._visitors.get(visitor, (asyncio.Semaphore(self._most), 0))
        self._visitors[visitor] = places, users + 1
        try:
            await self._wait(places)
            try:
                yield
            finally:
                places.release()
        finally:
            places, users = self._visitors[visitor]
            if users == 1:
                del self._visitors[visitor]
            else:
                self._visitors[visitor] = places, users - 1

    async def _wait(self, places: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                await places.acquire()
        except TimeoutError:
            message = f"Without an account, {self._most} messages are answered at a time. Wait for them, or sign in."
            raise RateLimited(message, retry_after=_RETRY_AFTER) from None
