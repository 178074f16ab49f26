"""One HTTP/1.1 connection to a provider, on httptools: writes a request, and pushes its answer into an exchange."""

import asyncio
from functools import lru_cache
from typing import Protocol, cast

import httptools
import structlog

from domain.errors import UpstreamError
from providers.base import Headers
from providers.http_content import Inflater, inflater

log = structlog.get_logger(__name__)

MAX_HEAD = 64 * 1024
"""The most bytes of status line and headers, with those of informational answers, and of trailers after a body."""
_AT_ONCE = 64 * 1024
"""Bytes. A body up to this size is written together with its head."""


@lru_cache(maxsize=512)
def _lower(name: bytes) -> str:
    return name.decode("latin-1").lower()


_LENIENCIES = dict.fromkeys(
    ("lenient_headers", "lenient_chunked_length", "lenient_optional_cr_before_lf", "lenient_spaces_after_chunk_size"),
    True,
)
"""Deviations that other clients accept too: folded headers, a length beside chunks, line ends without CR."""


class Answering(Protocol):
    """Receives the answer to the request on a connection."""

    def written(self) -> None:
        """The last byte of the request has been sent."""

    def received(self) -> None:
        """Bytes have been received."""

    def head(self, status: int, headers: Headers) -> None: ...

    def data(self, data: bytes) -> None: ...

    def complete(self) -> None: ...

    def lost(self, *, stale: bool) -> None:
        """The answer is broken or the connection is closed.

        `stale` means that a reused connection was closed before any byte of the answer: the request can be sent again.
        """


class Owner(Protocol):
    def idle(self, connection: "Connection") -> None:
        """The connection can carry another request."""

    def gone(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._answering: Answering | None = None
        self._uses = 0
        self.idle_since = 0.0
        self._paused = False
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(**_LENIENCIES)
        self._reset()

    def _reset(self) -> None:
        """Prepare for the next answer. The parser needs no reset: a connection is reused only after a whole answer."""
        self._headers: dict[str, str] = {}
        self._beside = 0
        """Bytes read of the head, or since the last body data: chunk headers and trailers."""
        self._header_size = 0
        self._in_body = False
        self._until_close = False
        self._inflater: Inflater | None = None
        self._doubtful = False
        """True when the answer has both a length and chunks: what follows it on the connection cannot be trusted."""
        self._complete = False
        self._keeps_alive = False
        self._broken = False
        self._received = False
        self._sent = False

    def start(self, answering: Answering, head: bytes, body: bytes) -> None:
        """Send a request. The connection carries one at a time."""
        assert self._transport is not None  # noqa: S101  # it is connected
        self._reset()
        self._answering = answering
        self._uses += 1
        if len(body) <= _AT_ONCE:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)
        if not self._transport.get_write_buffer_size():
            self.resume_writing()

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def pause(self) -> None:
        if self._transport is not None and not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and self._paused:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def abort(self) -> None:
        """Close the socket. The exchange on it is not called again."""
        self._answering = None
        if self._transport is not None:
            self._transport.abort()

    def abort_and_tell(self) -> None:
        """Close the socket and fail the exchange on it. The request is not sent again."""
        self._uses = 0
        if self._answering is not None:
            self._lose()
        else:
            self.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=0)  # `resume_writing` comes after the last byte

    def pause_writing(self) -> None:
        """Do nothing: the request is still being sent."""

    def resume_writing(self) -> None:
        if self._answering is not None and not self._sent:
            self._sent = True
            self._answering.written()

    def data_received(self, data: bytes) -> None:
        if self._answering is None:  # bytes without a request
            self.abort()
            return
        self._received = True
        self._beside += len(data)
        self._answering.received()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._broken = True
            if isinstance(error, httptools.HttpParserCallbackError):  # our fault, not the provider's
                log.error("an upstream answer could not be taken", fault=type(error.__context__).__name__)
        if self._beside > MAX_HEAD and not self._complete:
            self._broken = True
        if self._complete:
            self._end()
        elif self._broken:
            self._lose()

    def connection_lost(self, error: Exception | None) -> None:
        self._owner.gone(self)
        if self._answering is None:
            return
        if self._in_body and self._until_close and error is None:
            self._complete = self._broken = True
            self._end()
        else:
            self._lose()

    # What httptools calls.

    def on_message_begin(self) -> None:
        if self._complete:  # a second answer to one request
            self._broken = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._complete or self._in_body:
            return
        self._header_size += len(name) + len(value)
        key, text = _lower(name), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._complete or self._answering is None or status < 200:
            return
        if self._header_size > MAX_HEAD:
            self._broken = True
            return
        self._in_body = True
        chunked, sized = "transfer-encoding" in self._headers, "content-length" in self._headers
        self._until_close = not sized and not chunked
        self._doubtful = sized and chunked
        try:
            self._inflater = inflater(self._headers.get("content-encoding", ""))
        except UpstreamError:
            self._broken = True
            return
        self._answering.head(status, self._headers)

    def on_body(self, data: bytes) -> None:
        self._beside = 0
        if self._answering is None or self._broken or not self._in_body:
            return
        if self._inflater is None:
            self._answering.data(data)
            return
        try:
            for piece in self._inflater.feed(data):
                if self._answering is None:
                    return
                self._answering.data(piece)
        except UpstreamError:
            self._broken = True

    def on_message_complete(self) -> None:
        if self._complete:
            return
        if self._in_body:
            self._complete = not self._broken
            self._keeps_alive = self._parser.should_keep_alive() and not self._doubtful
        else:  # an informational answer: the real one follows
            self._headers = {}

    def _end(self) -> None:
        """Complete the answer. The connection goes back to its pool, unless the answer leaves it in doubt."""
        answering, self._answering = self._answering, None
        whole = self._is_whole()
        self.resume()
        if self.usable and not self._broken and self._keeps_alive and self._sent:
            self._owner.idle(self)
        else:
            self.abort()
        if answering is None:
            return
        if whole:
            answering.complete()
        else:
            answering.lost(stale=False)

    def _is_whole(self) -> bool:
        """Tell whether the compressed body, if it is one, is complete too."""
        try:
            if self._inflater is not None:
                self._inflater.end()
        except UpstreamError:
            return False
        return True

    def _lose(self) -> None:
        answering = self._answering
        self.abort()
        if answering is not None:
            answering.lost(stale=not self._received and self._uses > 1)
