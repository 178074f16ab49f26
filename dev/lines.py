"""Lines of a child's output as they come."""

import asyncio
from collections.abc import Callable
from typing import IO

LONGEST = 64 * 1024

Hear = Callable[[str], None]


class Lines(asyncio.Protocol):
    """Cuts a pipe into lines; one without an end is cut too."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._tell(line)
        if len(self._rest) > LONGEST:
            self._tell(self._rest)
            self._rest = b""

    def connection_lost(self, exc: Exception | None) -> None:
        if self._rest:
            self._tell(self._rest)

    def _tell(self, line: bytes) -> None:
        self._hear(line.decode(errors="replace").rstrip("\r"))


async def follow(pipe: IO[bytes], hear: Hear) -> asyncio.ReadTransport:
    """Call `hear` with every line until the pipe is closed at its other end."""
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: Lines(hear), pipe)
    return transport
