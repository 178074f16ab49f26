"""Answers a request on its connection, without ASGI. uvicorn still owns the connection, so the state of its request
cycle is kept up to date.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from starlette.types import Receive, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from api.exchange import Headers, StreamClient
from api.request_figures import STATUS
from api.wire.base import ErrorAnswer

_CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
_CLOSE = b"connection: close\r\n"
_CONTROL = bytes(set(range(32)) - set(b"\t\r\n")) + b"\x7f"


def _has_body(cycle: RequestResponseCycle) -> bool:
    return not cycle.more_body


class DirectExchange:
    """Implements `api.exchange.Exchange`."""

    __slots__ = ("_client", "_cycle", "begun", "has_body", "more_headers", "receive", "scope")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self.scope: Scope = cycle.scope  # type: ignore[assignment]  # uvicorn's own type of the same
        self.begun = False
        self.receive: Receive = cycle.receive  # type: ignore[assignment]
        """Receives the body as in ASGI. The edge replaces it by one with bounds."""
        self.more_headers: Callable[[], Headers] = tuple
        """Gives the headers that the edge adds to every answer."""
        self.has_body: Callable[[], bool] = partial(_has_body, cycle)
        """True when all of the request has arrived. A method here would make a reference cycle for each call."""
        self._cycle = cycle
        self._client: StreamClient | None = None

    async def reply(self, status: int, headers: Headers, body: bytes) -> None:
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()  # the client has not read the previous answer
        if cycle.disconnected:
            return
        head = self._head(status, [*headers, (b"content-length", b"%d" % len(body))])
        cycle.chunked_encoding = False
        cycle.transport.write(head + b"\r\n" + body)
        self._complete()

    def listen(self, client: StreamClient) -> None:
        self._client = client
        if self._cycle.disconnected:
            client.gone()

    def begin(self, headers: Headers) -> None:
        cycle = self._cycle
        head = self._head(200, headers)
        if cycle.disconnected:
            return
        self.scope["state"]["event_stream"] = True
        cycle.chunked_encoding = cycle.scope["http_version"] == "1.1"  # in HTTP/1.0, closing the connection ends it
        cycle.transport.write(head + (_CHUNKED if cycle.chunked_encoding else b"\r\n"))

    def write(self, data: bytes) -> bool:
        cycle = self._cycle
        if not cycle.disconnected:
            cycle.transport.write(b"%x\r\n%b\r\n" % (len(data), data) if cycle.chunked_encoding else data)
        return not cycle.flow.write_paused

    def unsent(self) -> int:
        return self._cycle.transport.get_write_buffer_size()

    async def end(self) -> None:
        if not self._cycle.disconnected:
            if self._cycle.chunked_encoding:
                self._cycle.transport.write(b"0\r\n\r\n")
            self._complete()

    def abort(self) -> None:
        self._cycle.disconnected = True
        self._cycle.transport.abort()

    def connection_lost(self) -> None:
        cycle = self._cycle
        if not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            if self._client is not None:
                self._client.gone()

    def writable(self) -> None:
        if self._client is not None:
            self._client.writable()

    def _head(self, status: int, headers: Headers) -> bytes:
        """Write the head without the empty line. Raises RuntimeError for a header with a control character."""
        cycle = self._cycle
        lines = [b"%b: %b\r\n" % header for header in (*cycle.default_headers, *headers, *self.more_headers())]
        written = b"".join(lines)
        ends = (written.count(b"\r"), written.count(b"\n"))
        if ends != (len(lines), len(lines)) or len(written.translate(None, _CONTROL)) != len(written):
            raise RuntimeError("a header's value has a control character")
        self.begun = cycle.response_started = True
        self.scope["state"][STATUS] = status
        cycle.waiting_for_100_continue = False
        return STATUS_LINE[status] + (written if cycle.keep_alive else written + _CLOSE)

    def _complete(self) -> None:
        cycle = self._cycle
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


Handler = Callable[[DirectExchange], Awaitable[None]]


class DirectApp(Protocol):
    """An ASGI application that answers some requests directly."""

    def direct(self, scope: Scope) -> Handler | None:
        """Return the handler of a request, or None if the request goes through ASGI."""

    def error_response(self, target: bytes, headers: Headers, error: ErrorAnswer) -> tuple[Headers, bytes]:
        """Write the answer to a request that is not valid HTTP: its headers, and its body.

        `target` and `headers` are what was read of it, and may be cut off.
        """


def as_asgi(handler: Handler, exchange: DirectExchange) -> Callable[..., Awaitable[None]]:
    """Wrap a handler for uvicorn's task, which closes the connection if the answer was not completed."""

    async def run(*_: Any) -> None:
        await handler(exchange)

    return run
