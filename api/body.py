"""Reading JSON bodies: after authentication, within bounds, strictly, without echoing anything, never with a 500."""

import codecs
import json
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope

from api import auth
from api.json_bounds import require_bounded
from domain.errors import RequestInvalid, RequestTooLarge, ServiceUnavailable
from gateway.calls import BIG_BODY
from gateway.fair_turns import FairTurns

MAX_UNKNOWN_BYTES = BIG_BODY
"""Read of a body before its caller is known to the database, and one of its requests is taken."""
MAX_INLINE_BYTES = BIG_BODY
"""Parsed in the event loop; above that in a thread, after its bounds are checked."""
SHALLOW = 200
"""With no more brackets than these, nothing is nested too deeply."""
_BODY_BYTES = "body_bytes"
_LONG_INTEGER = re.compile(rb"[0-9]{19}")
"""From so many digits on it may be beyond 64 bits, which orjson makes a float of."""


async def read(
    receive: Receive, *, admit: Callable[[], Awaitable[object]] | None = None, max_bytes: int | None = None
) -> bytes:
    """The whole body. The edge has bounded its size and time.

    `admit` is asked, once, before more than a small head is read; it raises for a caller who is not known.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ServiceUnavailable("The client left before its request was whole.")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if max_bytes is not None and size > max_bytes:
            raise RequestTooLarge
        if admit is not None and size > MAX_UNKNOWN_BYTES:
            await admit()
            admit = None
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def parse(raw: bytes, turns: FairTurns, account_id: UUID) -> dict[str, Any]:
    """`json_object`; of a large body in a thread, when it is its account's turn."""
    if len(raw) <= MAX_INLINE_BYTES:
        return json_object(raw)
    return await turns.run(account_id, partial(json_object, raw))


def json_object(raw: bytes) -> dict[str, Any]:
    """Refuses what `json.loads` lets through: NaN, lone surrogates, trailing bytes, endless nesting.

    A byte order mark is skipped. Integers keep their digits, however many they are.
    """
    raw = raw.removeprefix(codecs.BOM_UTF8)
    if len(raw) > MAX_INLINE_BYTES:
        require_bounded(raw)
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise RequestInvalid("The request body is not valid JSON.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise RequestInvalid("The request body must be a JSON object.", code="invalid_type")
    if raw.count(b"[") + raw.count(b"{") > SHALLOW:
        _refuse_depth(body)
    return _exact(raw) if _LONG_INTEGER.search(raw) else body


def _refuse_depth(body: dict[str, Any]) -> None:
    """What orjson could not write again, nobody could pass on, nor walk through."""
    try:
        orjson.dumps(body)
    except orjson.JSONEncodeError:
        raise RequestInvalid("The request body is nested too deeply.", code="invalid_json") from None


def _exact(raw: bytes) -> dict[str, Any]:
    """The same, of a text that orjson has found valid."""
    body: dict[str, Any] = json.loads(raw)
    return body


def body_bytes(request: Request) -> int:
    """The size of a body that a `StrictRoute` has read."""
    size: int = request.scope["state"].get(_BODY_BYTES, 0)
    return size


def _turns(scope: Scope) -> FairTurns:
    turns: FairTurns = scope["app"].state.resources.calls.turns
    return turns


class StrictRequest(Request):
    """A request whose body has been read and parsed."""

    def __init__(self, scope: Scope, receive: Receive, body: dict[str, Any] | None) -> None:
        super().__init__(scope, receive)
        self._body = b"" if body is None else b"{}"  # what FastAPI looks at to see that there is one
        self._parsed = body

    async def json(self) -> Any:
        return self._parsed


class StrictRoute(APIRoute):
    """A route for callers with a key: who sends a body has paid with a request before any of it is read.

    Any content type is taken for JSON, as curl's default and some SDKs' is another.
    """

    max_body_bytes: int | None = 512 * 1024
    """None: what the edge allows."""
    always_reads = False

    def get_route_handler(self) -> Callable[[Request], Any]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            if self.body_field is None and not self.always_reads:
                return await handler(request)
            admitted = await auth.admit(request.scope, auth.presented(request.scope["headers"]))
            raw = await read(request.receive, max_bytes=self.max_body_bytes)
            body = await parse(raw, _turns(request.scope), admitted.account_id) if raw else None
            headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
            request.scope["state"][_BODY_BYTES] = len(raw)
            scope = {**request.scope, "headers": [*headers, (b"content-type", b"application/json")]}
            return await handler(StrictRequest(scope, request.receive, body))

        return strict


class LargeBodyRoute(StrictRoute):
    """For what takes the body of a chat."""

    max_body_bytes = None
    always_reads = True
