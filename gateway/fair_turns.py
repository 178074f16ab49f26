"""Lets owners take turns with work in threads, one piece of work of an owner at a time: accounts, or networks.

Parsing and counting a large request takes the interpreter for a while. In the order of arrival, one account's many
requests would be in front of everybody else's.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Hashable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from contextvars import copy_context
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from domain.errors import RateLimited

MAX_RUNNING = 2
MAX_WAITING = 8
"""Large requests of one account, beside the one that is looked through."""
_RETRY_AFTER = timedelta(seconds=1)
Result = TypeVar("Result")


class FairTurns:
    def __init__(
        self, max_running: int = MAX_RUNNING, max_waiting: int = MAX_WAITING, threads: Executor | None = None
    ) -> None:
        """Without `threads`, work runs in those of the event loop."""
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._threads = threads
        self._running: set[Hashable] = set()
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()

    async def run(self, owner: Hashable, work: Callable[[], Result]) -> Result:
        """Run work in a thread in this owner's turn. Raises `RateLimited` when too much of the owner's work waits.

        The turn ends with the work, not with its caller: nobody gets more turns by leaving.
        """
        await self._enter(owner)
        running = asyncio.get_running_loop().run_in_executor(self._threads, copy_context().run, work)
        running.add_done_callback(partial(self._done, owner))
        return await asyncio.shield(running)

    async def run_large(self, large: bool, owner: Hashable, work: Callable[[], Result]) -> Result:
        """Do the work here and now, unless it is large: then `run` it."""
        return await self.run(owner, work) if large else work()

    def _done(self, owner: Hashable, running: asyncio.Future[Any]) -> None:
        if not running.cancelled():
            running.exception()  # whoever waits gets it: nobody may
        self._leave(owner)

    @asynccontextmanager
    async def turn(self, owner: Hashable) -> AsyncIterator[None]:
        """Have this owner's turn until the end of the block. Raises `RateLimited` as `run` does."""
        await self._enter(owner)
        try:
            yield
        finally:
            self._leave(owner)

    async def _enter(self, owner: Hashable) -> None:
        waiting = self._waiting.get(owner, ())
        if len(waiting) >= self._max_waiting:
            raise RateLimited("Too much of this waits already. Wait, and try again.", retry_after=_RETRY_AFTER)
        if waiting or owner in self._running or len(self._running) >= self._max_running:
            await self._wait(owner)
        else:
            self._running.add(owner)

    def _leave(self, owner: Hashable) -> None:
        self._running.discard(owner)
        self._next()

    async def _wait(self, owner: Hashable) -> None:
        """Wait until `_next` gives this owner its turn."""
        ours: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(ours)
        try:
            await ours
        except asyncio.CancelledError:
            if ours.done() and not ours.cancelled():  # the turn was given just now: it goes on to the next
                self._leave(owner)
            elif ours in self._waiting.get(owner, ()):
                self._remove(owner, ours)
            raise

    def _remove(self, owner: Hashable, ours: asyncio.Future[None]) -> None:
        queue = self._waiting[owner]
        queue.remove(ours)
        if not queue:
            del self._waiting[owner]

    def _next(self) -> None:
        """Give free turns to owners who have none, whoever has waited longest for one first."""
        for owner in list(self._waiting):
            if len(self._running) >= self._max_running:
                return
            if owner in self._running:
                continue
            queue = self._waiting.pop(owner)
            while queue and queue[0].done():  # it has just been cancelled, and has not left the queue yet
                queue.popleft()
            if not queue:
                continue
            queue.popleft().set_result(None)
            if queue:
                self._waiting[owner] = queue  # behind everybody else
            self._running.add(owner)
