"""Transactions of one account come one after the other, before they take a connection of the pool."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID


class Turns:
    """`most` transactions at a time; of one account one, since the others would only wait for its lock."""

    def __init__(self, most: int) -> None:
        self._all = asyncio.Semaphore(most)
        self._accounts: dict[UUID, tuple[asyncio.Lock, int]] = {}
        """With how many hold or wait for it."""

    @asynccontextmanager
    async def of(self, account_id: UUID) -> AsyncIterator[None]:
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
