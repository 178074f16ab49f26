"""A call that is answered in one piece.

When its client has left, the attempt under way runs to its end and is billed, as its provider bills it. If it fails,
there is no other one (`Attempts.no_more`), and the hold is released.
"""

import asyncio
from dataclasses import replace

import orjson
import structlog

from domain.errors import GatewayError, ServiceUnavailable, UpstreamError
from domain.pricing import Usage
from gateway import answers, embeddings, replays
from gateway.adapter_calls import RouteCall
from gateway.call import Call
from gateway.calls import Calls
from gateway.idempotency import MAX_REPLAY_BYTES
from gateway.routing import Attempt, first_answer
from gateway.stream_effects import Settle
from gateway.timeouts import of_whole
from gateway.upstream_streams import MAX_ERROR_BYTES
from gateway.wire import Bill, CompletedAnswer
from providers.base import ChatUpstream, Embeddings, Headers, UpstreamRequest, WholeAnswer

log = structlog.get_logger(__name__)

MAX_ANSWER_BYTES = 32 * 1024 * 1024
MAX_NODES = 500_000
"""Arrays and objects in one answer. More are no answer, but work for this process."""
LARGE_ANSWER_BYTES = 256 * 1024
"""From here on an answer is read and written off the event loop."""


async def answer(calls: Calls, call: Call) -> tuple[CompletedAnswer, Bill]:
    try:
        await _claim_answer(calls, call)
        completed, charge = await _completed(calls, call)
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
    closed = await calls.settle(call, charge)
    return completed, Bill(charge.usage, closed.charged, closed.available, call.held)


async def _claim_answer(calls: Calls, call: Call) -> None:
    """Wait for the memory of many vectors, which a small request may ask for. Raises what `BodyClaim.take` raises."""
    embedding, claim = call.request.embedding, call.request.claim
    if embedding is None or claim is None:
        return
    dimensions = calls.dimensions.get(call.model.id, embeddings.USUAL_DIMENSIONS)
    size = embeddings.expected_answer_bytes(embedding, dimensions)
    if size > LARGE_ANSWER_BYTES:
        await claim.take(call.reserved.account_id, size)


async def _completed(calls: Calls, call: Call) -> tuple[CompletedAnswer, Settle]:
    """The answer as it goes out, but for what it cost: written before anything is charged."""

    async def ask(attempt: Attempt) -> tuple[CompletedAnswer, Settle]:
        call.begin(attempt)
        upstream = calls.upstream_of(call, attempt.route).keyed(attempt.key)
        while True:
            routed = call.on_route(attempt.route, upstream)
            request = await calls.turns.run_large(call.request.big, call.reserved.account_id, routed.request)
            body = await _ask(upstream, call, routed, request)
            try:
                if len(body) > LARGE_ANSWER_BYTES:
                    part = await asyncio.to_thread(_read, calls, call, routed, body)
                else:
                    part = _read(calls, call, routed, body)
            except UpstreamError as error:
                error.status = 200
                raise
            if part is not None:
                return part

    completed, charge = await first_answer(call.attempts, calls.faults, ask)
    call.attempts.succeeded(charge.usage.output_tokens)
    return completed, charge


def _read(calls: Calls, call: Call, routed: RouteCall, body: bytes) -> tuple[CompletedAnswer, Settle] | None:
    """Return the answer, or None if its provider paused and is to be asked for the rest."""
    if body.count(b"[") + body.count(b"{") > MAX_NODES:
        raise UpstreamError
    answer = routed.answer(body)
    text = "" if isinstance(answer, Embeddings) else answer.text
    embedding = call.request.embedding
    if isinstance(answer, Embeddings) and answer.vectors and embedding is not None and embedding.dimensions is None:
        calls.dimensions[call.model.id] = embeddings.size(answer.vectors[0])
    if isinstance(answer, WholeAnswer) and _goes_on(call, answer):
        return None
    used, above = call.billed(answer.usage, text, calls.count)
    try:
        completed = _written(call, answer, used)
    except orjson.JSONEncodeError:  # nested deeper than any client could read
        raise UpstreamError from None
    sealable = replays.sealable(completed, call) if len(completed.encoded) <= MAX_REPLAY_BYTES else None
    return completed, Settle(used, minimum=True, unbilled_output=above, answer=sealable)


def _goes_on(call: Call, answer: WholeAnswer) -> bool:
    """Nothing goes on for a client that has left, unless the answer is kept for a replay."""
    if answer.paused is None or (call.attempts.nobody_waits and call.idempotent is None):
        return False
    return call.goes_on(answer.paused, None if answer.usage is None else call.believed(answer.usage))


def _written(call: Call, answer: WholeAnswer | Embeddings, used: Usage) -> CompletedAnswer:
    if isinstance(answer, Embeddings):
        return embeddings.completed(call.head, answer, used)
    completed = answers.completed(call.head, answer.body["choices"], answer.body, used)
    return completed if answer.native is None else replace(completed, native=answer.native)


async def _ask(upstream: ChatUpstream, call: Call, routed: RouteCall, request: UpstreamRequest) -> bytes:
    """The body of an answer with status 200."""
    call.note_dropped(request)
    embedding = call.request.embedding
    collected = _Collected(MAX_ANSWER_BYTES if embedding is None else embeddings.max_answer_bytes(embedding))
    assert call.route is not None  # noqa: S101  # the attempt has begun
    timeouts = of_whole(upstream.timeouts, call.route, call.output_limit(call.route) * call.request.choices)
    timeouts = call.timeouts(timeouts)
    exchange = upstream.transport.open(request, timeouts, collected, call.reserved.account_id)
    try:
        status, headers, body = await collected.whole
        call.require_unretained(request.retained, headers)
    finally:
        exchange.close()
    if status != 200:
        error = routed.error(status, headers, body)
        if isinstance(error, UpstreamError) and error.status is None:
            error.status = status
        raise error
    return body


class _Collected:
    """Implements `providers.base.Sink`: the whole answer, within bounds."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.whole: asyncio.Future[tuple[int, Headers, bytes]] = asyncio.get_running_loop().create_future()
        self._status = 0
        self._headers: Headers = {}
        self._parts: list[bytes] = []
        self._size = 0

    def head(self, status: int, headers: Headers) -> None:
        self._status, self._headers = status, headers

    def data(self, data: bytes) -> None:
        self._size += len(data)
        if self._status == 200:
            if self._size > self._max_bytes:
                self.fail(UpstreamError())
                return
        elif self._size > MAX_ERROR_BYTES:  # enough to know what it means
            self.end()
            return
        self._parts.append(data)

    def end(self) -> None:
        if not self.whole.done():
            self.whole.set_result((self._status, self._headers, b"".join(self._parts)))
        self._parts.clear()

    def fail(self, error: GatewayError) -> None:
        if self._status and isinstance(error, UpstreamError):
            error.status = self._status
        self._parts.clear()  # the error's traceback refers to this object, until garbage is collected
        if not self.whole.done():
            self.whole.set_exception(error)
