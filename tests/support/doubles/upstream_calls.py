"""What a transport is asked, and what comes of it."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from domain.errors import GatewayError
from providers.base import Headers, Timeouts, Transport, UpstreamRequest
from tests.support.doubles.raw_server import RawServer, Visit, answer

LONG = timedelta(seconds=30)
SHORT = timedelta(milliseconds=50)
PATIENT = Timeouts(connect=LONG, first_byte=LONG, idle=LONG, total=LONG)


class Collector:
    """A sink that keeps what it hears."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = {}
        self.parts: list[bytes] = []
        self.error: GatewayError | None = None
        self.ended = asyncio.Event()
        self.begun = asyncio.Event()
        self.events: list[str] = []
        self.at_data: Callable[[], None] = lambda: None

    def head(self, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers
        self.events.append("head")

    def data(self, data: bytes) -> None:
        self.parts.append(data)
        self.begun.set()
        self.at_data()

    def end(self) -> None:
        self.events.append("end")
        self.ended.set()

    def fail(self, error: GatewayError) -> None:
        self.error = error
        self.events.append("fail")
        self.ended.set()

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)


def request(server: RawServer, body: bytes = b"{}", host: str = "127.0.0.1", **headers: str) -> UpstreamRequest:
    return UpstreamRequest(server.url(host), {"Content-Type": "application/json", **headers}, body)


async def collected(transport: Transport, request_: UpstreamRequest, timeouts: Timeouts = PATIENT) -> Collector:
    sink = Collector()
    transport.open(request_, timeouts, sink)
    await sink.ended.wait()
    return sink


def saying(*parts: bytes, then: str = "close") -> Callable[[Visit], Any]:
    """A script: one request is read and answered with these bytes; then the connection closes, or hangs."""

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.write(*parts)
        if then == "hang":
            await visit.reader.read()
            raise ConnectionError

    return script


async def keep_answering(visit: Visit) -> None:
    while True:
        await visit.request()
        await visit.write(answer(b"hello"))
