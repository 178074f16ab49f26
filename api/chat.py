"""`POST /v1/chat/completions`: the hot path, as plain ASGI in front of FastAPI. Documented in `api/openapi.py`."""

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime

import orjson
import structlog
from starlette.types import Receive, Scope, Send

from api import auth, body, errors, idempotency, ratelimit, replay
from api.resources import Resources
from api.wire import openai_chat as wire
from api.wire.openai_chat import ChatRequest
from db import keys as stored_keys
from domain import keys
from domain.errors import CallerUnknown, GatewayError, ServiceUnavailable, UpstreamError
from domain.ids import chat_id
from domain.ledger import Replay
from domain.pricing import Usage
from gateway.idempotency import IdempotentRequest, ImplicitRequest
from gateway.pulled_calls import Call, Calls
from gateway.pulled_relay import StreamRelay, yout
from providers.base import ChatAnswer

log = structlog.get_logger(__name__)

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
    except Exception as error:  # nobody is behind this who would answer it
        if scope["state"].get("answered"):
            raise
        await errors.answer_to(error, scope)(scope, receive, send)


async def _completions(scope: Scope, receive: Receive, send: Send) -> None:
    token = auth.token(scope["headers"])
    raw = await body.read(receive, admit=lambda: auth.authenticate(scope))
    resources: Resources = scope["app"].state.resources
    try:
        if len(raw) > wire.BIG_BODY:
            await _authenticate(resources, scope, token)  # strangers get no work out of us
            presented, request = await asyncio.to_thread(_big, resources, scope, raw, token)
        else:
            presented, request = _parsed(resources, scope, raw, token)
        call = await resources.calls.open(request, keys.digest(token), presented)
    except CallerUnknown:
        raise
    except GatewayError as refusal:
        if refusal.left is None:
            await _authenticate(resources, scope, token)  # a stranger hears 401, whatever else is wrong
        else:
            ratelimit.note(scope, *refusal.left)
        raise
    if isinstance(call, Replay):
        assert isinstance(presented, IdempotentRequest)  # noqa: S101  # a first attempt adopts nothing
        ratelimit.note(scope, call.requests, call.tokens)
        await replay.answer(call, presented, request)(scope, receive, send)
        return
    ratelimit.note(scope, call.reserved.requests, call.reserved.tokens)
    if request.stream:
        await _stream(resources.calls, call, scope, receive, send)
        return
    headers, answer = await _answer(resources.calls, call)
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def _parsed(
    resources: Resources, scope: Scope, raw: bytes, token: str
) -> tuple[IdempotentRequest | ImplicitRequest, ChatRequest]:
    parsed = body.json_object(raw)
    key, claims = idempotency.key_of(scope["headers"]), resources.claims
    if key is not None:
        return claims.explicit("chat", key, parsed, token), wire.parse(parsed)
    if idempotency.is_retry(scope["headers"]):
        return claims.implicit("chat", parsed, token), wire.parse(parsed)
    return claims.first_attempt("chat", parsed, token), wire.parse(parsed)


def _big(
    resources: Resources, scope: Scope, raw: bytes, token: str
) -> tuple[IdempotentRequest | ImplicitRequest, ChatRequest]:
    """The same off the event loop, with all that has to be looked through."""
    presented, request = _parsed(resources, scope, raw, token)
    if isinstance(presented, ImplicitRequest):
        presented.claim()
    return presented, replace(request, big=True)


async def _authenticate(resources: Resources, scope: Scope, token: str) -> None:
    async with resources.database.reading() as session:
        caller = await stored_keys.authenticate(session, token)
    ratelimit.note(scope, *caller.rates_left(resources.ceiling, datetime.now(UTC)))


async def _answer(calls: Calls, call: Call) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Runs to its end and is billed, also when the client has left meanwhile."""
    try:
        message, billed = _message(calls, call, await _complete(calls, call))
    except asyncio.CancelledError:  # not the client, whose leaving cancels nothing: this server has no more time
        await calls.void(call)
        raise ServiceUnavailable("This server is stopping. Nothing was charged; try again.") from None
    except GatewayError:
        await calls.void(call)
        raise
    except Exception as fault:  # an answer that nobody could relay is no answer, and costs nothing
        log.warning("unusable answer", fault=type(fault).__name__)
        await calls.void(call)
        raise UpstreamError from None
    closed = await calls.settle(call, billed, minimum=True, answer=message)
    whole = message[:-1] + b',"yout":' + orjson.dumps(yout(closed)) + b"}"
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(whole)),
        (b"x-yout-credits-charged", b"%d" % closed.charged),
        (b"x-yout-balance", b"%d" % closed.available),
    ]
    return headers, whole


def _message(calls: Calls, call: Call, answer: ChatAnswer) -> tuple[bytes, Usage]:
    """The answer as it goes out, but for what it cost; and what is billed. Serialised before anything is charged."""
    report = answer.body.get("usage")
    billed = calls.billed_answer(call, report, wire.delta_text(answer.body.get("choices")))
    ours = {
        "id": chat_id(call.hold_id),
        "object": "chat.completion",
        "created": call.created,
        "model": call.model.id,
        "usage": wire.usage_object(billed, report),
    }
    return orjson.dumps(wire.relayed(answer.body) | ours), billed


async def _complete(calls: Calls, call: Call) -> ChatAnswer:
    """The first route that answers."""
    failure: UpstreamError = UpstreamError()
    for route in call.model.routes:
        call.route = route
        try:
            return await calls.provider(route.provider.name).complete(call.upstream(route))
        except UpstreamError as failed:
            failure = failed
            if not failed.retryable:
                break
    raise failure


async def _stream(calls: Calls, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
    pump = StreamRelay(calls, call)
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


async def _watch(receive: Receive, pump: StreamRelay) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    pump.leave()
