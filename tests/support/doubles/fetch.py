"""Reads a whole answer from a transport that pushes its parts."""

import asyncio
from dataclasses import replace

from domain.errors import GatewayError, UpstreamError
from providers.base import Headers, Timeouts, Transport, UpstreamRequest

MAX_ERROR = 64 * 1024
"""Bytes that are read of the body of an error."""


async def fetch(
    transport: Transport, request: UpstreamRequest, timeouts: Timeouts, max_bytes: int
) -> tuple[int, Headers, bytes]:
    """Return the status, headers and body. Raises `UpstreamError`, also for a body above `max_bytes`.

    Only the timeouts `connect` and `total` apply: a whole answer may begin only when all of it is made. Cancelling
    the caller closes the socket.
    """
    collector = _Collector(max_bytes)
    exchange = transport.open(request, replace(timeouts, first_byte=timeouts.total, idle=timeouts.total), collector)
    try:
        await collector.ended.wait()
    finally:
        exchange.close()
    if collector.error is not None:
        raise collector.error
    return collector.status, collector.headers, b"".join(collector.parts)


class _Collector:
    """Implements `providers.base.Sink`."""

    def __init__(self, max_bytes: int) -> None:
        self.status = 0
        self.headers: Headers = {}
        self.parts: list[bytes] = []
        self.error: GatewayError | None = None
        self.ended = asyncio.Event()
        self._left = max_bytes

    def head(self, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers
        if status != 200:
            self._left = min(self._left, MAX_ERROR)

    def data(self, data: bytes) -> None:
        if self.ended.is_set():
            return
        self.parts.append(data[: self._left])
        self._left -= len(data)
        if self._left < 0:
            if self.status == 200:
                self.error = UpstreamError()
            self.ended.set()

    def end(self) -> None:
        self.ended.set()

    def fail(self, error: GatewayError) -> None:
        if not self.ended.is_set():
            self.error = error
            self.ended.set()
