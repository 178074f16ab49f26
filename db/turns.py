"""Queues the transactions of one account before they take a connection of the pool."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class Turns:
    """Lets `maximum` transactions run at a time, and one of each account: others would only wait for its lock."""

    def __init__(self, maximum: int) -> None:
        self._all = asyncio.Semaphore(maximum)
        self._accounts: dict[Hashable, tuple[asyncio.Lock, int]] = {}
        """The lock of each account, and how many hold it or wait for it."""

    @asynccontextmanager
    async def of(self, account_id: Hashable) -> AsyncIterator[None]:
        lock, users = self._accounts.get(account_id, (asyncio.Lock(), 0))
        self._accounts[account_id] = lock, users + 1
        try:
            async with lock, self._all:
                yield
        finally:
            lock, users = self._accounts[account_id]
            if users == 1:
                del self._accounts[account_id]
            else:
                self._accounts[account_id] = lock, users - 1
