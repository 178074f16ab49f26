"""The outermost layer: one canonical path, a request id on every answer, bodies that are neither endless nor too slow.

Plain ASGI, since it runs on every request.
"""

import asyncio
import os
from datetime import timedelta

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import ratelimit

BODY_IDLE = timedelta(seconds=15)


class Edge:
    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["path"] = _canonical(scope["path"])
        request_id = f"req_{os.urandom(12).hex()}"
        scope.setdefault("state", {})["request_id"] = request_id
        id_header = (b"x-request-id", request_id.encode())

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                scope["state"]["answered"] = True
                message["headers"] = [*message.get("headers", ()), id_header, *ratelimit.headers(scope)]
            await send(message)

        await self._app(scope, _Body(receive, self._max_body_bytes), answer)


def _canonical(path: str) -> str:
    """Both spellings of a path reach one route, without redirecting a POST: `/api/…/`, and `/v1/…` without slash."""
    if path.startswith("/api/"):
        return path if path.endswith("/") else path + "/"
    if len(path) > 1 and path.endswith("/"):
        return path.rstrip("/") or "/"
    return path


class _Body:
    """Counts what comes in, whatever Content-Length says.

    Waits only so long for the next part of an unfinished body.
    """

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = most
        self._seen = 0
        self._whole = False

    async def __call__(self) -> Message:
        if self._whole:  # from here on only a disconnect can come, which takes as long as it takes
            return await self._receive()
        try:
            async with asyncio.timeout(BODY_IDLE.total_seconds()):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408) from None
        if message["type"] == "http.request":
            self._seen += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._seen > self._most:
                raise HTTPException(413)
        return message
