"""`POST /v1/chat/completions`: the hot path, as plain ASGI inside the FastAPI app. Documented in `api/openapi.py`."""

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Any

from starlette.types import Receive, Scope, Send

from api import auth, body, errors, idempotency, ratelimit, replay
from api.calls import Call, Calls
from api.errors import JsonResponse
from api.idempotency import Presented
from api.pump import Pump, yout
from api.resources import Resources
from api.wire import chat as wire
from db import keys as stored_keys
from domain import keys
from domain.errors import CallerUnknown, GatewayError, ServiceUnavailable, UpstreamError
from domain.ids import chat_id
from domain.ledger import Replay
from providers.base import ChatAnswer

SILENCE_SECONDS = 10.0
"""After so long without an event the headers go out, and then a comment each time."""
_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


async def completions(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await _completions(scope, receive, send)
    except GatewayError as refusal:
        await errors.response(refusal)(scope, receive, send)


async def _completions(scope: Scope, receive: Receive, send: Send) -> None:
    token = auth.token(scope["headers"])
    raw = await body.read(receive)
    resources: Resources = scope["app"].state.resources
    try:
        parsed = body.json_object(raw)
        presented = _presented(resources, scope, parsed, token)
        request = wire.parse(parsed)
        call = await resources.calls.open(request, keys.digest(token), presented)
    except CallerUnknown:
        raise
    except GatewayError:
        await _authenticate(resources, scope, token)  # a stranger hears 401, whatever else is wrong
        raise
    if isinstance(call, Replay):
        await replay.answer(call, presented, request)(scope, receive, send)
        return
    ratelimit.note(scope, call.reserved.requests, call.reserved.tokens)
    if request.stream:
        await _stream(resources.calls, call, scope, receive, send)
        return
    response = await _answer(resources.calls, call)
    await response(scope, receive, send)


def _presented(resources: Resources, scope: Scope, parsed: dict[str, Any], token: str) -> Presented:
    key = idempotency.key_of(scope["headers"])
    if key is not None:
        return resources.claims.explicit("chat", key, parsed, token)
    retry = idempotency.is_retry(scope["headers"])
    return resources.claims.implicit("chat", parsed, token, retry=retry)


async def _authenticate(resources: Resources, scope: Scope, token: str) -> None:
    async with resources.database.reading() as session:
        caller = await stored_keys.authenticate(session, token)
    ratelimit.note(scope, *caller.left(resources.ceiling, datetime.now(UTC)))


async def _answer(calls: Calls, call: Call) -> JsonResponse:
    """Runs to its end and is billed, also when the client has left meanwhile."""
    try:
        answer = await _complete(calls, call)
    except asyncio.CancelledError:  # not the client, whose leaving cancels nothing: this server has no more time
        await calls.void(call)
        raise ServiceUnavailable("This server is stopping. Nothing was charged; try again.") from None
    except BaseException:
        await calls.void(call)
        raise
    message = answer.body
    report = message.get("usage")
    billed = calls.billed_answer(call, report, wire.delta_text(message.get("choices")))
    message |= {
        "id": chat_id(call.hold_id),
        "object": "chat.completion",
        "created": call.created,
        "model": call.model.id,
        "usage": wire.usage_object(billed, report),
    }
    closed = await calls.settle(call, billed, minimum=True, answer=message)
    message["yout"] = yout(closed)
    charged = {"x-yout-credits-charged": str(closed.charged), "x-yout-balance": str(closed.available)}
    return JsonResponse(message, headers=charged)


async def _complete(calls: Calls, call: Call) -> ChatAnswer:
    """The first route that answers."""
    failure: UpstreamError = UpstreamError()
    for route in call.model.routes:
        try:
            return await calls.provider(route.provider.name).complete(call.upstream(route))
        except UpstreamError as failed:
            failure = failed
            if not failed.retryable:
                break
    raise failure


async def _stream(calls: Calls, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
    pump = Pump(calls, call)
    pump.start()
    leaving = asyncio.create_task(_watch(receive, pump))
    try:
        first = await pump.outbox.take(SILENCE_SECONDS)
        if pump.refusal is not None and not pump.produced:
            await errors.response(pump.refusal)(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
        part = first
        while part is not None:
            chunk = part or wire.KEEP_ALIVE
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            part = await pump.outbox.take(SILENCE_SECONDS)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        pump.leave()
        leaving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leaving


async def _watch(receive: Receive, pump: Pump) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    pump.leave()
