"""Reads the rest of streams whose clients have disconnected, each for a limited time.

A provider that goes on billing after an abort is read to its end, so that its own count is billed. The number of such
streams is limited, because no client waits for them. An answer that is stored for a replay is always read.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta


class AbandonedStreams:
    def __init__(self, timeout: timedelta = timedelta(seconds=120), max_for_bill: int = 32) -> None:
        self._timeout = timeout
        self._max_for_bill = max_for_bill
        self._for_replay: set[asyncio.TimerHandle] = set()
        self._for_bill: set[asyncio.TimerHandle] = set()

    def __len__(self) -> int:
        return len(self._for_replay) + len(self._for_bill)

    def begin(self, stop: Callable[[], None], *, replayed: bool) -> asyncio.TimerHandle | None:
        """Call `stop` when the time is up. Returns None if there are too many streams: then stop now."""
        if not replayed and len(self._for_bill) >= self._max_for_bill:
            return None
        timer = asyncio.get_running_loop().call_later(self._timeout.total_seconds(), stop)
        (self._for_replay if replayed else self._for_bill).add(timer)
        return timer

    def end(self, timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        self._for_replay.discard(timer)
        self._for_bill.discard(timer)
