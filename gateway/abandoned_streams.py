"""Streams that are read on for clients who have gone: each for so long at most.

A provider that bills on after an abort is read to its end, so that what it generated is billed as it counts it; only so
many at a time, since nobody waits for them. An answer that is kept for a replay is read on however many there are.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta


class AbandonedStreams:
    def __init__(self, limit: timedelta = timedelta(seconds=120), most: int = 32) -> None:
        self._limit = limit
        self._most = most
        self._kept: set[asyncio.TimerHandle] = set()
        self._for_the_bill: set[asyncio.TimerHandle] = set()

    def __len__(self) -> int:
        return len(self._kept) + len(self._for_the_bill)

    def begin(self, stop: Callable[[], None], *, kept: bool) -> asyncio.TimerHandle | None:
        """Calls `stop` when its time is up. None: there are too many; stop now."""
        if not kept and len(self._for_the_bill) >= self._most:
            return None
        alarm = asyncio.get_running_loop().call_later(self._limit.total_seconds(), stop)
        (self._kept if kept else self._for_the_bill).add(alarm)
        return alarm

    def end(self, alarm: asyncio.TimerHandle) -> None:
        alarm.cancel()
        self._kept.discard(alarm)
        self._for_the_bill.discard(alarm)
