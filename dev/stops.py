"""The signals that stop the stack."""

import asyncio
from signal import SIGHUP, SIGINT, SIGTERM, Signals

ECHO = 0.3
"""Seconds in which one Ctrl-C may arrive twice, from the terminal and from make. A later one counts as a second."""


class Stopped(Exception):
    """Raised inside a task group to end it."""


class Stops:
    """Listens for signals. The first one sets `stopping`; a second Ctrl-C sets `hurry`."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        self.hurry = asyncio.Event()
        self._since = 0.0

    def listen(self) -> None:
        loop = asyncio.get_running_loop()
        for signal in (SIGINT, SIGTERM, SIGHUP):
            loop.add_signal_handler(signal, self._hear, signal)

    async def interrupt(self) -> None:
        """Wait for the first signal, then raise `Stopped`."""
        await self.stopping.wait()
        raise Stopped

    def _hear(self, signal: Signals) -> None:
        now = asyncio.get_running_loop().time()
        if not self.stopping.is_set():
            self._since = now
            self.stopping.set()
        elif signal == SIGINT and now - self._since > ECHO:
            self.hurry.set()
