"""Bounds how many requests of one owner a process answers at a time: messages of a visitor, reads of an account."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Hashable
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import TypeVar

from domain.errors import RateLimited

Part = TypeVar("Part")

TIMEOUT = timedelta(seconds=30)
OF_VISITORS = "Without an account, no more than {limit} can be answered at a time. Wait a moment, or sign in."
OF_ACCOUNTS = "No more than {limit} of your requests can be answered at a time. Wait a moment, and try again."
OF_EVENTS = "No more than {limit} large events of a network can be read at a time. Send them again later."
_RETRY_AFTER = timedelta(seconds=2)


class ConcurrentRequests:
    def __init__(self, limit: int, timeout: timedelta = TIMEOUT, message: str = OF_VISITORS) -> None:
        """`limit`: of each owner. `timeout`: how long a request waits. `message` is that of the error."""
        self._limit, self._timeout, self._message = limit, timeout, message
        self._owners: dict[Hashable, tuple[asyncio.Semaphore, int]] = {}
        """The slots of each owner, and how many requests have one or wait for one."""

    @asynccontextmanager
    async def slot(self, owner: Hashable) -> AsyncIterator[None]:
        """Have a slot until the end of the block. Raises `RateLimited` when none becomes free."""
        slots, users = self._owners.get(owner, (asyncio.Semaphore(self._limit), 0))
        self._owners[owner] = slots, users + 1
        try:
            await self._acquire(slots)
            try:
                yield
            finally:
                slots.release()
        finally:
            slots, users = self._owners[owner]
            if users == 1:
                del self._owners[owner]
            else:
                self._owners[owner] = slots, users - 1

    async def parts(self, owner: Hashable, source: AsyncGenerator[Part]) -> AsyncGenerator[Part]:
        """Yield what is made, with a slot while each part is made: none while its reader takes it.

        Raises `RateLimited` as `slot` does.
        """
        async with aclosing(source):
            while True:
                async with self.slot(owner):
                    try:
                        part = await anext(source)
                    except StopAsyncIteration:
                        return
                yield part

    async def _acquire(self, slots: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                await slots.acquire()
        except TimeoutError:
            raise RateLimited(self._message.format(limit=self._limit), retry_after=_RETRY_AFTER) from None
