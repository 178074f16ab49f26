"""A stream's client behind plain ASGI.

A write goes out in the turn of the loop in which it is made: ASGI's `send` is run on the spot. Only what has to wait
for the client becomes a task. A client who takes nothing for a minute counts as gone.
"""

import asyncio
from collections.abc import Coroutine, Generator, Sequence
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from api import errors
from api.errors import JsonResponse
from domain.errors import GatewayError
from gateway.streams import Stream

SILENCE_SECONDS = 10.0
"""After so long without an event the headers go out, and then a comment each time."""
MAX_STALL_SECONDS = 60.0
"""That a client may take nothing of what waits."""
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


def dropped_header(names: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """Which parameters of the request the model's provider was not sent."""
    return [(b"x-yout-dropped-parameters", ", ".join(names).encode())] if names else []


class StreamResponse:
    """Implements `gateway.streams.ClientSink`."""

    def __init__(self, send: Send, keep_alive: bytes) -> None:
        self._send = send
        self._keep_alive = keep_alive
        self._loop = asyncio.get_running_loop()
        self._stream: Stream | None = None
        self._begun = False
        self._left = False
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._error: JsonResponse | None = None
        self._waiting: list[bytes] = []
        self._sending: asyncio.Task[None] | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._written_at = self._loop.time()
        self._silence: asyncio.TimerHandle | None = None

    async def serve(self, stream: Stream, scope: Scope, receive: Receive) -> None:
        """Until the stream has ended and all of it is sent, or the client has gone."""
        self._stream = stream
        self._silence = self._loop.call_later(SILENCE_SECONDS, self._on_silence)
        watching = asyncio.create_task(self._watch(receive))
        try:
            stream.start()
            await self._ended
            if self._sending is not None:
                await asyncio.wait([self._sending])
            if self._error is not None and not self._left:
                await self._error(scope, receive, self._send)
            elif self._begun and not self._left:  # one who does not read is cut off: the server closes the connection
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._silence.cancel()
            self._not_stalled()
            watching.cancel()
            stream.client_disconnected()

    def write(self, data: bytes) -> bool:
        self._written_at = self._loop.time()
        if self._sending is not None:
            self._waiting.append(data)
            return False
        part = self._part(data)
        return self._pass_on([part] if self._begun else [self._head(), part])

    def fail(self, error: GatewayError, data: bytes, *, produced: bool) -> None:
        if produced or self._begun:
            self.write(data)
        else:
            self._error = errors.response(error)

    def end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    def _head(self) -> Message:
        self._begun = True
        dropped = () if self._stream is None else self._stream.call.dropped
        return {"type": "http.response.start", "status": 200, "headers": [*HEADERS, *dropped_header(dropped)]}

    def _part(self, data: bytes) -> Message:
        return {"type": "http.response.body", "body": data, "more_body": True}

    def _pass_on(self, messages: list[Message]) -> bool:
        """False: a task carries on what could not be sent at once."""
        for at, message in enumerate(messages):
            begun = self._send(message)
            assert isinstance(begun, Coroutine)  # noqa: S101  # what an ASGI server's `send` is
            try:
                awaited = begun.send(None)
            except StopIteration:
                continue
            except OSError:  # the connection is gone, and ASGI servers say so in their own way, too
                self._gone()
                return True
            self._sending = asyncio.create_task(self._carry_on(_Begun(begun, awaited), messages[at + 1 :]))
            self._stalled = self._loop.call_later(MAX_STALL_SECONDS, self._gone)
            return False
        return True

    async def _carry_on(self, begun: "_Begun", messages: list[Message]) -> None:
        try:
            await begun
            for message in messages:
                await self._send(message)
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                self._not_stalled()
                self._stalled = self._loop.call_later(MAX_STALL_SECONDS, self._gone)
                await self._send(self._part(b"".join(waiting)))
        except OSError:
            self._gone()
        finally:
            self._sending = None
            self._not_stalled()
        if self._stream is not None:
            self._stream.client_reads_on()

    def _not_stalled(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _on_silence(self) -> None:
        """One timer for the whole stream: it looks when the last write was."""
        silent = self._loop.time() - self._written_at
        if silent >= SILENCE_SECONDS and self._sending is None:
            self.write(self._keep_alive)
            silent = 0.0
        self._silence = self._loop.call_later(max(0.1, SILENCE_SECONDS - silent), self._on_silence)

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone()

    def _gone(self) -> None:
        self._left = True
        self._waiting.clear()
        if self._sending is not None:
            self._sending.cancel()
        if self._stream is not None:
            self._stream.client_disconnected()
        self.end()


class _Begun:
    """The rest of a coroutine that has been run up to its first wait."""

    def __init__(self, begun: Coroutine[Any, Any, None], awaited: Any) -> None:
        self._begun, self._awaited = begun, awaited

    def __await__(self) -> Generator[Any, Any, None]:
        try:
            yield self._awaited
        except BaseException as error:
            self._begun.throw(error)
            raise
        return (yield from self._begun.__await__())
