"""Reads JSON bodies after authentication, within bounds, strictly. No error repeats a part of a body."""

import codecs
import json
import re
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message, Receive, Scope

from api import auth, multipart
from api.edge import Edge, declared_length
from api.json_bounds import require_bounded
from api.multipart import Form
from api.resources import Resources
from domain.errors import CallerUnknown, RequestInvalid, RequestTooLarge, ServiceUnavailable
from gateway.arrivals import Arrival
from gateway.body_budget import BodyClaim
from gateway.calls import BIG_BODY
from gateway.fair_turns import FairTurns

MAX_UNKNOWN_BYTES = BIG_BODY
"""Bytes of a body that are read before the database knows the caller and one request is counted."""
MAX_INLINE_BYTES = BIG_BODY
"""Bytes. A larger body is parsed in a thread, after its bounds are checked."""
MAX_FIELDS = 1000
"""Of a request itself: every one that no provider takes is named in the answer."""
SHALLOW = 200
"""A text with no more opening brackets than this cannot be nested too deeply."""
_BODY_BYTES = "body_bytes"
_FORM = "form"
_LONG_INTEGER = re.compile(rb"[0-9]{19}")
"""An integer of so many digits may exceed 64 bits: orjson would turn it into a float."""


async def read(
    receive: Receive, *, large: Callable[[], Awaitable[None]] | None = None, max_bytes: int | None = None
) -> bytes:
    """Read the whole body. The edge bounds its size and time.

    `large` is awaited once, before more than a small part is read. It raises for an unknown caller. Raises
    `RequestTooLarge` above `max_bytes`.
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
        if large is not None and size > MAX_UNKNOWN_BYTES:
            await large()
            large = None
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def read_claimed(
    scope: Scope,
    receive: Receive,
    claim: BodyClaim,
    owner: Callable[[], Awaitable[Hashable]],
    max_bytes: int | None = None,
) -> bytes:
    """`read` a body. The bytes of a large one are claimed for its owner before; without a length, the most it can have.

    `owner` raises for an unknown caller. Raises what `BodyClaim.take` and `arriving` raise.
    """
    declared = declared_length(scope["headers"])
    if 0 < declared <= MAX_UNKNOWN_BYTES:
        return await read(receive, max_bytes=max_bytes)
    async with claim.arriving() as arrival:

        async def large() -> None:
            edge: Edge = scope["app"].edge
            await claim.take(await owner(), declared or max_bytes or edge.max_bytes(scope["path"]))
            arrival.begin()

        raw = await read(counted(receive, arrival), large=large, max_bytes=max_bytes)
    claim.shrink(len(raw))
    return raw


def counted(receive: Receive, arrival: Arrival) -> Receive:
    """Tell the arrival of what is received."""

    async def counting() -> Message:
        message = await receive()
        arrival.bytes += len(message.get("body", b""))
        return message

    return counting


async def parse(raw: bytes, turns: FairTurns, account_id: UUID | None) -> dict[str, Any]:
    """Call `json_object`, for a large body in a thread, when it is its account's turn."""
    if len(raw) <= MAX_INLINE_BYTES:
        return json_object(raw)
    return await turns.run(account_id, partial(json_object, raw))


def json_object(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises `RequestInvalid` also for NaN, lone surrogates, trailing bytes and deep nesting.

    A byte order mark is skipped. Integers keep their digits, however many they are.
    """
    raw = raw.removeprefix(codecs.BOM_UTF8)
    if len(raw) > MAX_INLINE_BYTES:
        require_bounded(raw)
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        why = f"{error.msg}, at character {error.pos}"  # fixed words, none of the body
        raise RequestInvalid(f"The request body is not valid JSON: {why}.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise RequestInvalid("The request body must be a JSON object.", code="invalid_type")
    if len(body) > MAX_FIELDS:
        raise RequestInvalid(f"The request body has more than {MAX_FIELDS:,} fields.")
    if raw.count(b"[") + raw.count(b"{") > SHALLOW:
        _refuse_depth(body)
    return _exact(raw) if _LONG_INTEGER.search(raw) else body


def _refuse_depth(body: dict[str, Any]) -> None:
    """Raise for a body that is nested too deeply: orjson could not write it again."""
    try:
        orjson.dumps(body)
    except orjson.JSONEncodeError:
        raise RequestInvalid("The request body is nested too deeply.", code="invalid_json") from None


def _exact(raw: bytes) -> dict[str, Any]:
    """Parse a text that orjson has found valid, with all digits of its integers."""
    body: dict[str, Any] = json.loads(raw)
    return body


def body_bytes(request: Request) -> int:
    """Return the size of a body that a `StrictRoute` has read."""
    size: int = request.scope["state"].get(_BODY_BYTES, 0)
    return size


def _turns(scope: Scope) -> FairTurns:
    turns: FairTurns = scope["app"].state.resources.calls.turns
    return turns


class StrictRequest(Request):
    """A request whose body has been read and parsed."""

    def __init__(self, scope: Scope, receive: Receive, body: dict[str, Any] | None) -> None:
        super().__init__(scope, receive)
        self._body = b"" if body is None else b"{}"  # FastAPI only looks whether there is a body
        self._parsed = body

    async def json(self) -> Any:
        return self._parsed


class StrictRoute(APIRoute):
    """A route for known callers. A body is counted as a request against their limits before it is read.

    Any content type is read as JSON: the default of curl and of some SDKs is another.
    """

    max_body_bytes: int | None = 512 * 1024
    """None means the bound of the edge."""
    always_reads = False

    def get_route_handler(self) -> Callable[[Request], Any]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            if self.body_field is None and not self.always_reads:
                return await _in_turn(handler, request)
            account_id = await self.admit(request.scope)
            if self.max_body_bytes is not None and declared_length(request.scope["headers"]) > self.max_body_bytes:
                raise RequestTooLarge

            async def owner() -> UUID | None:
                return account_id

            resources: Resources = request.app.state.resources
            with resources.bodies.claim() as claim:
                raw = await read_claimed(request.scope, request.receive, claim, owner, self.max_body_bytes)
                body = await self.parse(request.scope, raw, account_id) if raw else None
                headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
                request.scope["state"][_BODY_BYTES] = len(raw)
                del raw  # it may be large, and its answer may take minutes
                scope = {**request.scope, "headers": [*headers, (b"content-type", b"application/json")]}
                return await self.answer(handler, StrictRequest(scope, request.receive, body))

        return strict

    async def parse(self, scope: Scope, raw: bytes, account_id: UUID | None) -> dict[str, Any]:
        return await parse(raw, _turns(scope), account_id)

    async def answer(self, handler: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
        return await handler(request)

    async def admit(self, scope: Scope) -> UUID | None:
        """Count the request before its body is read, and return whose it is. Raises for an unknown caller."""
        return (await auth.admit(scope, await auth.caller_of(scope))).account_id


async def _in_turn(handler: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
    """Answer when the account has a slot: many slow reads of one leave connections to the others."""
    resources: Resources = request.app.state.resources
    try:
        caller = await auth.authenticate(request.scope)
    except CallerUnknown:  # the handler knows whether that is wrong
        return await handler(request)
    async with resources.reads.slot(caller.account_id):
        return await handler(request)


class OpenRoute(StrictRoute):
    """A route for everybody, with a small body: the handler slows down whoever asks often.

    A browser asks it from a page of this server only: no other site signs it in or up.
    """

    max_body_bytes = 8 * 1024
    always_reads = True

    async def admit(self, scope: Scope) -> None:
        resources: Resources = scope["app"].state.resources
        resources.cookie.require_same_origin(scope, by_cookie=False)

    async def answer(self, handler: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
        """Answer a network's requests one after another: more than a few that wait are refused without any work."""
        resources: Resources = request.scope["app"].state.resources
        async with resources.open_turns.turn(resources.addresses.network_of(request.scope)):
            return await handler(request)


class LargeBodyRoute(StrictRoute):
    """A route that takes the body of a chat request."""

    max_body_bytes = None
    always_reads = True


class FormRoute(LargeBodyRoute):
    """A route that takes JSON, or a form with files. For the `Idempotency-Key`, a file of a form is its hash."""

    async def parse(self, scope: Scope, raw: bytes, account_id: UUID | None) -> dict[str, Any]:
        content_type = dict(scope["headers"]).get(b"content-type", b"")
        if not multipart.is_form(content_type):
            return await super().parse(scope, raw, account_id)
        reading = partial(_form, content_type, raw)
        form, identity = await _turns(scope).run_large(len(raw) > MAX_INLINE_BYTES, account_id, reading)
        scope["state"][_FORM] = form
        return identity


def _form(content_type: bytes, raw: bytes) -> tuple[Form, dict[str, Any]]:
    form = multipart.parse(content_type, raw)
    return form, form.identity()


def form_of(request: Request) -> Form | None:
    """Return the form that a request to a `FormRoute` has, or None if its body is JSON."""
    form: Form | None = request.scope["state"].get(_FORM)
    return form
