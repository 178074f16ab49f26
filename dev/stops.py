"""Being told to stop, and being told again."""

import asyncio
from signal import SIGHUP, SIGINT, SIGTERM, Signals

ECHO = 0.3
"""One Ctrl-C may arrive twice (terminal and make); only a later one is meant as a second."""


class Stopped(Exception):
    """Raised inside a task group to end it."""


class Stops:
    """`told` after the first signal, `hurry` after a second Ctrl-C."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.hurry = asyncio.Event()
        self._since = 0.0

    def listen(self) -> None:
        loop = asyncio.get_running_loop()
        for signal in (SIGINT, SIGTERM, SIGHUP):
            loop.add_signal_handler(signal, self._hear, signal)

    async def interrupt(self) -> None:
        """Raise `Stopped` once told."""
        await self.told.wait()
        raise Stopped

    def _hear(self, signal: Signals) -> None:
        now = asyncio.get_running_loop().time()
        if not self.told.is_set():
            self._since = now
            self.told.set()
        elif signal == SIGINT and now - self._since > ECHO:
            self.hurry.set()
