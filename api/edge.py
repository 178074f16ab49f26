"""The outermost layer: one canonical path, a request id on every answer, CORS, `HEAD`, bounds on bodies.

It is plain ASGI, because it runs on every request.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import cors, ratelimit, visitor_cookie
from api.cors import Cors, Headers
from api.direct import DirectExchange
from api.errors import WIRE
from api.request_figures import STATUS
from api.wire.base import ClientWire
from domain.current_request import REQUEST_ID

MAX_BODY_IDLE = timedelta(seconds=15)
"""The longest time between two parts of a body."""
MAX_BODY_TIME = timedelta(seconds=30)
"""The longest time for a whole body, with one second more for each `MIN_BODY_RATE` bytes of it."""
MIN_BODY_RATE = 32 * 1024
FILES = frozenset({"/api/media/uploads/", "/v1/audio/transcriptions", "/v1/images/edits", "/v1/videos"})
"""Paths whose body is a file, or a form with files."""
_PRIVATE = ("/api/", "/v1/")
_NOT_STORED = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
"""No answer there is stored by a browser or a proxy, or read as another type than it says."""


def _unknown() -> bool:
    """Return False: ASGI does not tell whether a body has arrived before it is received."""
    return False


def _no_wire(_: Scope) -> None:
    return None


class Edge:
    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int,
        cors: Cors,
        max_body_time: timedelta = MAX_BODY_TIME,
        wire_of: Callable[[Scope], ClientWire | None] = _no_wire,
    ) -> None:
        """`wire_of` returns the client wire in which the errors of a request are written; None: OpenAI's envelope."""
        self._app = app
        self._wire_of = wire_of
        self._max_body_bytes = max_body_bytes
        self._max_body_time = max_body_time
        self.max_file_bytes = max_body_bytes
        """Of the paths in `FILES`."""
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        always = self.enter(scope)
        path = scope["path"]
        origins = cors.of_path(path, self._cors) if scope["method"] == "OPTIONS" else None
        if origins is not None and (preflight := origins.preflight(scope["headers"])) is not None:
            scope["state"][STATUS] = 204
            await send({"type": "http.response.start", "status": 204, "headers": [*preflight, *always]})
            await send({"type": "http.response.body", "body": b""})
            return
        headless = scope["method"] == "HEAD" and not path.startswith("/media/")  # outputs answer HEAD by themselves
        if headless:
            scope = {**scope, "method": "GET"}
            scope["state"]["headless"] = True

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                scope["state"][STATUS] = message["status"]
                scope["state"]["event_stream"] = _is_event_stream(message.get("headers", ()))
                message["headers"] = [*message.get("headers", ()), *_for_every_answer(scope, always)]
            elif headless:
                message["body"] = b""
            await send(message)

        await self._app(scope, self._bounded(scope, receive), answer)

    def admit(self, exchange: DirectExchange) -> None:
        """Apply the edge to a request that is answered without ASGI."""
        scope = exchange.scope
        exchange.more_headers = partial(_for_every_answer, scope, self.enter(scope))
        exchange.receive = self._bounded(scope, exchange.receive, exchange.has_body)

    def enter(self, scope: Scope) -> Headers:
        """Set the request's canonical path, id and client wire, and return the headers that every answer has."""
        scope["path"] = path = canonical(scope["path"])
        request_id = f"req_{os.urandom(12).hex()}"
        scope.setdefault("state", {})["request_id"] = request_id
        REQUEST_ID.set(request_id)  # a request is a task of its own
        always = [(b"x-request-id", request_id.encode())]
        wire = scope["state"][WIRE] = self._wire_of(scope)
        if wire is not None and wire.request_id_header is not None:
            always.append((wire.request_id_header, request_id.encode()))
        if path.startswith(_PRIVATE):
            always += _NOT_STORED
        if (origins := cors.of_path(path, self._cors)) is not None:
            always += origins.headers(scope["headers"])
        return always

    def _bounded(self, scope: Scope, receive: Receive, has_body: Callable[[], bool] = _unknown) -> Receive:
        return _Body(receive, has_body, scope["headers"], self.max_bytes(scope["path"]), self._max_body_time)

    def max_bytes(self, path: str) -> int:
        """Return what a body of this path may have."""
        return self.max_file_bytes if path in FILES else self._max_body_bytes


def _for_every_answer(scope: Scope, always: Headers) -> Headers:
    return [*always, *ratelimit.headers(scope), *visitor_cookie.headers(scope)]


def canonical(path: str) -> str:
    """Return the path as routes spell it: `/api/…/` with a slash at the end, `/v1/…` without. No redirect is sent."""
    if path.startswith("/api/"):
        return path if path.endswith("/") else path + "/"
    if len(path) > 1 and path.endswith("/"):
        return path.rstrip("/") or "/"
    return path


def declared_length(headers: Headers) -> int:
    """Return what `Content-Length` says. 0 without one: the server has refused one that is no number."""
    return next((int(value) for name, value in headers if name == b"content-length" and value.isdigit()), 0)


def _is_event_stream(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether the answer is an event stream, in which comments may be written between events."""
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers)


class _Body:
    """Bounds the bytes of a body that arrive, whatever Content-Length says, and the time that they take."""

    def __init__(
        self, receive: Receive, has_body: Callable[[], bool], headers: Headers, max_bytes: int, max_time: timedelta
    ) -> None:
        self._receive = receive
        self._has_body = has_body
        self._headers = headers
        self._max_bytes = max_bytes
        self._max_seconds = max_time.total_seconds()
        self._seen = 0
        self._begun: float | None = None
        self._whole = False

    async def __call__(self) -> Message:
        if self._whole:  # only a disconnect can follow, at any time
            return await self._receive()
        message = await (self._receive() if self._has_body() else self._in_time())
        if message["type"] == "http.request":
            self._seen += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._seen > self._max_bytes:
                raise HTTPException(413)
        return message

    async def _in_time(self) -> Message:
        now = time.monotonic()
        if self._begun is None:
            self._begun = now
            if declared_length(self._headers) > self._max_bytes:
                raise HTTPException(413)
        left = self._begun + self._max_seconds + self._seen / MIN_BODY_RATE - now
        try:
            async with asyncio.timeout(max(0.0, min(left, MAX_BODY_IDLE.total_seconds()))):
                return await self._receive()
        except TimeoutError:
            raise HTTPException(408) from None
