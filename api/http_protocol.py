"""uvicorn's HTTP/1.1, extended for clients that offer an upgrade, that close their writing side after the request, that
send their head slowly, that go on sending after they were answered, or that have just connected when the process stops.

Requests that the application answers directly (`api.direct`) skip ASGI. All other rules apply to them too.
"""

import asyncio
import weakref
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api import errors
from api.direct import DirectApp, DirectExchange, as_asgi
from api.exchange import Headers
from api.wire.base import ErrorAnswer

MAX_HEAD_BYTES = 64 * 1024
PROBE_SECONDS = (0.0, 0.05, 0.5, 2.0)
"""Pauses before each check whether a client that has closed its side is still there. The last one is repeated."""
MAX_INTERIM_ANSWERS = 4
"""Go's client accepts five. Two are enough to find out that a client is gone."""
TOO_LARGE = "The request's headers are too large."
_PROBE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""Clients skip any number of these before an answer's head (RFC 9110, 15.2)."""
_HOP_BY_HOP = frozenset({b"upgrade", b"http2-settings", b"connection"})


class _HeadTooLarge(Exception):
    """A head above the bound that arrived in one piece."""


class _NotOneHost(Exception):
    """HTTP/1.1 has exactly one Host header (RFC 9112, 3.2): with two, a proxy may have taken the other one."""


class Http1Protocol(HttpToolsProtocol):
    max_head_seconds = 15.0
    """The time from the start of a connection, or from the first byte of a request, to the end of its head."""
    max_last_head_seconds = 2.0
    """The same from the moment on at which the process stops, for a request that was not there yet."""
    max_drain_seconds = 5.0
    """How long a client may go on sending a body after its answer, so that it can read the answer."""
    max_drain_bytes = 32 * 1024 * 1024
    """The most bytes of such a body: with more, a client without a key could keep the event loop busy."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._head_bytes = 0
        """Bytes read of the head, or since the last body data: chunk headers and trailers."""
        self._in_head = True
        self._head_timer: asyncio.TimerHandle | None = None
        self._drain_timer: asyncio.TimerHandle | None = None
        self._drained_bytes = 0
        self._probe_timer: asyncio.TimerHandle | None = None
        self._upgrading = False
        self._direct: DirectApp | None = self.app if hasattr(self.app, "direct") else None
        self._exchange: DirectExchange | None = None
        """The exchange that is being answered, if it is answered directly."""
        self._ending = False
        """True if nothing more is read: the connection closes after the present answer."""
        self._stopping = False
        """True if the process stops: the connection closes after the next answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self.max_head_seconds, self._head_too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head_timer, self._drain_timer, self._probe_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        if self._exchange is not None:
            self._exchange.connection_lost()

    def shutdown(self) -> None:
        """Take the request that a client, often a proxy, sends right after it has connected. It would be lost."""
        self._stopping = True
        if self._head_timer is None:
            super().shutdown()
            return
        self._head_timer.cancel()
        self._head_timer = self.loop.call_later(self.max_last_head_seconds, self._head_too_slow)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._exchange is not None:
            self._exchange.writable()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if cycle.more_body:
            cycle.transport = LingeringTransport(self.transport, cycle)
        handler = None if self._direct is None or app is not self.app else self._direct.direct(cycle.scope)
        if handler is None:
            self._exchange = None
            cycle.scope.setdefault("state", {})["abort"] = self.transport.abort
        else:
            self._exchange = DirectExchange(cycle)
            app = as_asgi(handler, self._exchange)
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self.parser is None or self._ending or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _HeadTooLarge):
                self._refuse(431, TOO_LARGE)
            elif isinstance(error.__context__, _NotOneHost):
                self._refuse(400, "Send one Host header.")
            else:
                self._refuse(400, "This is not a valid HTTP/1.1 request.")
        else:
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431, TOO_LARGE)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer a client that closes its writing side and still reads, then close the connection."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body or self.parser is None:
            return False
        cycle.keep_alive = False
        self._probe(0)
        return True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._upgrading = False
        self._in_head = True
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.max_head_seconds, self._head_too_slow)
            self._head_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # trailers after a body are ignored
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if (
            self._head_bytes > MAX_HEAD_BYTES
            and len(self.url) + sum(len(n) + len(v) for n, v in self.headers) > MAX_HEAD_BYTES
        ):
            raise _HeadTooLarge
        if [name for name, _ in self.headers].count(b"host") != 1 and self.parser.get_http_version() == "1.1":
            raise _NotOneHost
        self._in_head = False
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if self.parser.should_upgrade():
            self._upgrading = True
            return
        if not self._ending:
            super().on_headers_complete()
            if self._stopping:
                self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        if self._upgrading:
            return
        super().on_body(body)
        if self._drain_timer is not None:
            self._drained_bytes += len(body)
            if self._drained_bytes > self.max_drain_bytes:
                self.transport.close()

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        if self._upgrading:
            return
        if self.cycle.response_complete:
            self._drained()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._probe_timer is not None:
            self._probe_timer.cancel()
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self.cycle.body = bytearray()
            self._drained_bytes = 0
            self._drain_timer = self.loop.call_later(self.max_drain_seconds, self.timeout_keep_alive_handler)

    def _drained(self) -> None:
        """Reuse the connection: the rest of a request that was answered early has arrived."""
        self.cycle.more_body = False
        if not self.cycle.keep_alive:
            self._ending = True
            self.transport.close()
        elif self._drain_timer is not None:
            self._drain_timer.cancel()
            self._drain_timer = None
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _without_upgrade(self, rest: bytes) -> None:
        """Parse the request again without its offer to upgrade, which a server may ignore."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(405, "CONNECT is not allowed here.")
            return
        head = [b"%b: %b\r\n" % header for header in self.headers if header[0] not in _HOP_BY_HOP]
        if not self.parser.should_keep_alive():
            head.append(b"connection: close\r\n")
        version = self.parser.get_http_version().encode()
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        self.data_received(b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(head)) + rest)

    def _probe(self, count: int) -> None:
        """Write to a client that has closed its side. If it is gone, it answers with a reset, and later writes fail."""
        cycle = self.cycle
        if self.transport.is_closing() or cycle.response_complete:
            return
        if self.pipeline or cycle.scope["http_version"] != "1.1":
            return  # another answer is being written, or the client does not know interim answers
        if not cycle.response_started and count < MAX_INTERIM_ANSWERS:
            self.transport.write(_PROBE)
        elif cycle.chunked_encoding and _is_event_stream(cycle):
            self.transport.write(b"2\r\n:\n\r\n")
        seconds = PROBE_SECONDS[min(count + 1, len(PROBE_SECONDS) - 1)]
        self._probe_timer = self.loop.call_later(seconds, self._probe, count + 1)

    def _head_too_slow(self) -> None:
        self._head_timer = None
        if self.headers is not None:  # a request has begun
            self._refuse(408, "The request's head took too long.")
        else:
            self.timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg)

    def _refuse(self, status: int, message: str) -> None:
        """Answer an invalid request with an error in the usual envelope, and close the connection.

        A valid request before it is answered first. An invalid body counts as one that was cut off.
        """
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and not cycle.more_body:
            self._ending = True
            cycle.keep_alive = False
            if self._head_timer is not None:
                self._head_timer.cancel()
            return
        if cycle is None or not (cycle.more_body and (cycle.response_started or self.pipeline)):
            headers, body = self._error_response(ErrorAnswer(status, message))
            head = b"".join(b"%b: %b\r\n" % header for header in headers)
            end = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[status] + head + end + body)
        self.transport.close()

    def _error_response(self, error: ErrorAnswer) -> tuple[Headers, bytes]:
        if self._direct is None or self.headers is None:
            return [(b"content-type", b"application/json")], errors.openai_error(error, "")
        return self._direct.error_response(self.url, self.headers, error)


class LingeringTransport:
    """A connection that stays open while its client still sends the body of a request that was answered.

    If it were closed, the rest of the body would be answered with a reset, and the client could lose the answer.
    """

    def __init__(self, transport: asyncio.Transport, cycle: Any) -> None:
        self._transport = transport
        self._cycle = weakref.proxy(cycle)  # no reference cycle with the object that closes this
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.abort = transport.abort
        self.get_write_buffer_size = transport.get_write_buffer_size

    def close(self) -> None:
        """Close now, unless a body is still coming: then the protocol closes after it, or after a timeout."""
        if not (self._cycle.response_complete and self._cycle.more_body):
            self._transport.close()


def _is_event_stream(cycle: Any) -> bool:
    return bool(cycle.scope.get("state", {}).get("event_stream"))
