"""One route's streamed answer: its bytes become events in the turn of the loop in which they arrive."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from time import perf_counter
from typing import Any, Protocol

from domain.catalog import Route
from domain.errors import GatewayError, UpstreamError
from gateway.call import Call
from gateway.fair_turns import FairTurns
from gateway.routing import Attempt, RouteFaults
from gateway.stream_events import Event, Failed
from gateway.timeouts import of_stream
from providers.base import ChatCall, ChatUpstream, Headers, ProviderEvent, StreamDecoder, UpstreamCall, UpstreamRequest

MAX_ERROR_BYTES = 65_536
MAX_SILENT_BYTES = 2 * 1024 * 1024
"""The most bytes that a provider may send without an event: comments, or an event that does not end."""
MAX_IMAGE_BYTES = 32 * 1024 * 1024
"""The same of an answer with images: each is one event."""
MAX_BYTES_BESIDE = 4 * 1024 * 1024
MAX_BYTES_PER_TOKEN = 8 * 1024
"""The most bytes per token of the output limit, with log probabilities. A longer stream is an error."""
LOOP_SHARE = 0.25
"""The share of this process's time that one stream may take. A provider that sends faster is read more slowly."""
LOOP_BURST_SECONDS = 0.1


class Listener(Protocol):
    """Receives the events. Its methods never raise."""

    def feed(self, event: Event) -> None: ...

    def flush(self) -> None:
        """Send what the events made: no more of them come in this iteration of the loop."""

    def happens(self, event: Event) -> None:
        """`feed` and `flush`."""


class UpstreamStream:
    """Implements `providers.base.Sink`. What goes wrong, a fault of ours too, is a `Failed` and the last event."""

    def __init__(self, call: Call, attempt: Attempt, faults: RouteFaults, listener: Listener) -> None:
        self._call, self._faults, self._listener = call, faults, listener
        self._route, self._key = attempt.route, attempt.key
        self._account = call.reserved.account_id
        self._upstream: ChatUpstream | None = None
        self._chat: ChatCall | None = None
        self._decoder: StreamDecoder | None = None
        self._retained = ("", "")
        self._exchange: UpstreamCall | None = None
        self._status = 0
        self._headers: Headers = {}
        self._error_body = bytearray()
        self._over = False
        self._silent = 0
        images = "image" in (call.request.body.get("modalities") or ())
        self._max_silent = MAX_IMAGE_BYTES if images else MAX_SILENT_BYTES
        self._left = (MAX_IMAGE_BYTES if images else MAX_BYTES_BESIDE) + MAX_BYTES_PER_TOKEN * call.output_limit(
            attempt.route
        ) * call.request.choices
        self._share = _LoopShare()
        self._throttle: asyncio.TimerHandle | None = None
        self._stops = 0

    def open(self, find: Callable[[Call, Route], ChatUpstream], turns: FairTurns) -> None:
        """Ask the provider. Its answer, or its failure, goes to the listener: at the earliest before this returns.

        A large request is written in its account's turn: with thousands of messages it takes a while.
        """
        try:
            self._upstream = upstream = find(self._call, self._route).keyed(self._key)
            self._chat = chat = self._call.upstream(self._route)
            self._decoder = upstream.adapter.decoder(chat)
            if self._call.request.big:
                writing = asyncio.ensure_future(turns.run(self._account, partial(upstream.adapter.request, chat)))
                writing.add_done_callback(self._written)
            else:
                self._send(upstream.adapter.request(chat))
        except Exception as fault:
            self.fail(self._faults.error(self._route, fault, self._call.context))

    def _written(self, writing: asyncio.Future[UpstreamRequest]) -> None:
        """A large request was written in a thread."""
        try:
            request = writing.result()
            if not self._over:
                self._send(request)
        except (Exception, asyncio.CancelledError) as fault:
            self.fail(
                self._faults.error(self._route, fault, self._call.context)
                if isinstance(fault, Exception)
                else UpstreamError()
            )

    def _send(self, request: UpstreamRequest) -> None:
        assert self._upstream is not None  # noqa: S101  # it was found before
        self._retained = request.retained
        self._call.note_dropped(request)
        timeouts = self._call.timeouts(of_stream(self._upstream.timeouts, self._route))
        self._exchange = self._upstream.transport.open(request, timeouts, self, self._account)
        if self._stops:
            self._exchange.pause()

    def head(self, status: int, headers: Headers) -> None:
        self._status, self._headers = status, headers
        try:
            self._call.require_unretained(self._retained, headers)
        except GatewayError as error:
            self.fail(error)
            return
        if status == 200 and self._decoder is not None:
            self._pass_on(self._decoder.begin, headers)

    def data(self, data: bytes) -> None:
        if self._over:
            return
        if self._status != 200:
            self._error_body += data[: MAX_ERROR_BYTES - len(self._error_body)]
            if len(self._error_body) == MAX_ERROR_BYTES:  # enough to know what it means: it may never end
                self.end()
            return
        size = len(data)
        self._silent += size
        self._left -= size
        if self._silent > self._max_silent + size or self._left < 0:
            self.fail(UpstreamError())
            return
        began = perf_counter()
        assert self._decoder is not None  # noqa: S101  # it was made before the call was sent
        self._pass_on(self._decoder.feed, data)
        if (seconds := self._share.spend(began)) and not self._over:
            self.pause()
            self._throttle = asyncio.get_running_loop().call_later(seconds, self._unthrottle)

    def end(self) -> None:
        assert self._decoder is not None  # noqa: S101
        if self._status == 200:
            self._pass_on(self._decoder.eof)
        else:
            self._pass_on(self._refused)

    def fail(self, error: GatewayError) -> None:
        if not self._over:
            self.close()
            self._listener.happens(Failed(self._noted(error)))

    def _noted(self, error: GatewayError) -> GatewayError:
        """The error with the status of the provider's answer."""
        if isinstance(error, UpstreamError) and self._status and error.status is None:
            error.status = self._status
        return error

    def _refused(self) -> Iterable[ProviderEvent]:
        assert self._upstream is not None  # noqa: S101
        assert self._chat is not None  # noqa: S101
        raise self._upstream.adapter.error(self._chat, self._status, self._headers, bytes(self._error_body))

    def _pass_on(self, produce: Callable[..., Iterable[ProviderEvent]], *given: Any) -> None:
        """Each event at once, as those before a fault count; then one write for all of them.

        `feed` never raises: what is caught here is the adapter's.
        """
        if self._over:
            return
        feed = self._listener.feed
        try:
            for event in produce(*given):
                self._silent = 0
                feed(event)
                if self._over:
                    break
        except Exception as fault:
            self.close()
            feed(Failed(self._noted(self._faults.error(self._route, fault, self._call.context))))
        self._listener.flush()

    def pause(self) -> None:
        """Each pause takes a `resume` of its own."""
        self._stops += 1
        if self._stops == 1 and self._exchange is not None:
            self._exchange.pause()

    def resume(self) -> None:
        self._stops -= 1
        if self._stops == 0 and self._exchange is not None and not self._over:
            self._exchange.resume()

    def _unthrottle(self) -> None:
        self._throttle = None
        self.resume()

    def close(self) -> None:
        """Close the call. The listener is not called again. Idempotent."""
        self._over = True
        if self._throttle is not None:
            self._throttle.cancel()
            self._throttle = None
        if self._exchange is not None:
            self._exchange.close()


class _LoopShare:
    """How far one stream is ahead of its share of the loop."""

    def __init__(self) -> None:
        self._debt = 0.0
        self._at = perf_counter()

    def spend(self, began: float) -> float:
        """Count the time since `began`, and return for how many seconds the stream must not be read."""
        now = perf_counter()
        debt = self._debt - (now - self._at) * LOOP_SHARE
        self._debt = debt = (debt if debt > 0 else 0.0) + now - began
        self._at = now
        return debt / LOOP_SHARE if debt > LOOP_BURST_SECONDS else 0.0
