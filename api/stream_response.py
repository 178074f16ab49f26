"""Writes a stream to its client, each part in the event loop iteration in which it is made.

A client that reads nothing for a minute counts as disconnected.
"""

import asyncio
from collections.abc import Sequence
from urllib.parse import quote

from api import privacy
from api.exchange import Exchange
from domain.errors import GatewayError
from domain.privacy import PrivacyClass
from gateway.call import Call
from gateway.streams import Stream

SILENCE_SECONDS = 10.0
"""After this time without an event, the headers are sent, and then a comment each time."""
MAX_STALL_SECONDS = 60.0
"""The longest time in which a client may read nothing while bytes wait for it."""
MAX_NAMED = 2048
"""Characters of the header that names dropped parameters."""
_IN_NAMES = "!#$&'()*+-./:;<=>?@[]^_`{|}~"


def stream_headers(content_type: str) -> list[tuple[bytes, bytes]]:
    """Return the headers of a stream, which tell proxies not to buffer it."""
    return [(b"content-type", content_type.encode()), (b"x-accel-buffering", b"no")]


def dropped_header(names: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """Return the header that names request parameters which were not sent to the provider."""
    return [(b"x-yout-dropped-parameters", _listed(names).encode())] if names else []


def call_headers(call: Call, *, final: bool = True) -> list[tuple[bytes, bytes]]:
    """Return the headers about the route that answers. Before it is `final`, another route may still answer."""
    route = call.route if final else None
    classes = [each.privacy for each in call.routes] if route is None else [route.privacy]
    named = [] if route is None else [(b"x-yout-route", route.provider.route_class.encode())]
    return [*dropped_header(call.dropped), *privacy.header(PrivacyClass.weakest(*classes)), *named]


def _listed(names: Sequence[str]) -> str:
    """Write names for a header: percent-encoded, and cut to `MAX_NAMED` characters, with `...` at the end."""
    listed = ", ".join(quote(name[:MAX_NAMED], safe=_IN_NAMES) for name in names[:MAX_NAMED])
    return listed if len(listed) <= MAX_NAMED else f"{listed[:MAX_NAMED].rpartition(', ')[0]}, ...".removeprefix(", ")


class StreamResponse:
    """Implements `gateway.streams.ClientSink` and `api.exchange.StreamClient`."""

    def __init__(self, exchange: Exchange, content_type: str, keep_alive: bytes) -> None:
        self._exchange = exchange
        self._headers = stream_headers(content_type)
        self._keep_alive = keep_alive
        self._loop = asyncio.get_running_loop()
        self._stream: Stream | None = None
        self.late_error: str | None = None
        """The code of an error that came after the answer had begun."""
        self._left = False
        self._behind = False
        self._ended: asyncio.Future[None] = self._loop.create_future()
        """Done when the stream has ended and the client has taken it all, or has gone."""
        self._ending = False
        self._error: GatewayError | None = None
        """That nothing was written before."""
        self._stall_timer: asyncio.TimerHandle | None = None
        self._silence_timer: asyncio.TimerHandle | None = None
        self._written_at = self._loop.time()

    async def serve(self, stream: Stream) -> None:
        """Serve the stream until it has ended and is sent, or the client has disconnected.

        Raises the error of a stream that failed before anything was written: the caller answers it with its status.
        """
        self._stream = stream
        self._silence_timer = self._loop.call_later(SILENCE_SECONDS, self._on_silence)
        try:
            stream.start()
            self._exchange.listen(self)
            await self._ended
            if self._left:
                return
            if self._error is not None:
                raise self._error
            if self._exchange.begun:
                await self._exchange.end()
        finally:
            self._silence_timer.cancel()
            self._no_stall()
            stream.client_disconnected()

    def write(self, data: bytes) -> bool:
        self._written_at = self._loop.time()
        if not self._exchange.begun:
            about = [] if self._stream is None else call_headers(self._stream.call, final=data != self._keep_alive)
            self._exchange.begin([*self._headers, *about])
        if self._exchange.write(data):
            return True
        if not self._behind:
            self._behind = True
            self._await_progress()
        return False

    def fail(self, error: GatewayError, data: bytes, *, produced: bool) -> None:
        if produced or self._exchange.begun:
            self.late_error = error.code
            self.write(data)
        else:
            self._error = error

    def end(self) -> None:
        self._ending = True
        if (not self._behind or self._left) and not self._ended.done():
            self._ended.set_result(None)

    def writable(self) -> None:
        if not self._behind:
            return
        self._behind = False
        self._no_stall()
        if self._stream is not None:
            self._stream.client_reads_on()
        if self._ending:
            self.end()

    def gone(self) -> None:
        self._left = True
        if self._stream is not None:
            self._stream.client_disconnected()
        self.end()

    def _await_progress(self) -> None:
        self._stall_timer = self._loop.call_later(MAX_STALL_SECONDS, self._on_stall, self._exchange.unsent())

    def _on_stall(self, unsent: int) -> None:
        if self._exchange.unsent() < unsent:
            self._await_progress()
        else:
            self._exchange.abort()
            self.gone()

    def _no_stall(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _on_silence(self) -> None:
        """Write a comment if the last write was long ago. One timer serves the whole stream."""
        silent = self._loop.time() - self._written_at
        if silent >= SILENCE_SECONDS and not self._behind and not self._ending:
            self.write(self._keep_alive)
            silent = 0.0
        self._silence_timer = self._loop.call_later(max(0.1, SILENCE_SECONDS - silent), self._on_silence)
