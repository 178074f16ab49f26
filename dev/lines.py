"""Reads a child's output line by line."""

import asyncio
from collections.abc import Callable
from typing import IO

MAX_BYTES = 64 * 1024

Hear = Callable[[str], None]


class Lines(asyncio.Protocol):
    """Splits a pipe's bytes into lines of bounded length."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._tell(line)
        if len(self._rest) > MAX_BYTES:
            self._tell(self._rest)
            self._rest = b""

    def connection_lost(self, exc: Exception | None) -> None:
        if self._rest:
            self._tell(self._rest)

    def _tell(self, line: bytes) -> None:
        self._hear(line.decode(errors="replace").rstrip("\r"))


async def follow(pipe: IO[bytes], hear: Hear) -> asyncio.ReadTransport:
    """Call `hear` with each line of the pipe until its other end is closed. Returns at once."""
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: Lines(hear), pipe)
    return transport
