"""Lets a process answer a few messages of a visitor at a time, or a few reads of a caller. More wait for a place."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from datetime import timedelta

from domain.errors import RateLimited

PATIENCE = timedelta(seconds=30)
OF_VISITORS = "Without an account, {most} messages are answered at a time. Wait for them, or sign in."
OF_CALLERS = "{most} of your requests are answered at a time. Wait for them, and try again."
_RETRY_AFTER = timedelta(seconds=2)


class Places:
    def __init__(self, most: int, patience: timedelta = PATIENCE, message: str = OF_VISITORS) -> None:
        """`message` tells who finds no place."""
        self._most, self._patience, self._message = most, patience, message
        self._owners: dict[Hashable, tuple[asyncio.Semaphore, int]] = {}
        """The places of each owner, and how many requests have one or wait for one."""

    @asynccontextmanager
    async def of(self, owner: Hashable) -> AsyncIterator[None]:
        """Have a place until the end of the block. Raises `RateLimited` when none becomes free."""
        places, users = self._owners.get(owner, (asyncio.Semaphore(self._most), 0))
        self._owners[owner] = places, users + 1
        try:
            await self._wait(places)
            try:
                yield
            finally:
                places.release()
        finally:
            places, users = self._owners[owner]
            if users == 1:
                del self._owners[owner]
            else:
                self._owners[owner] = places, users - 1

    async def _wait(self, places: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                await places.acquire()
        except TimeoutError:
            raise RateLimited(self._message.format(most=self._most), retry_after=_RETRY_AFTER) from None
