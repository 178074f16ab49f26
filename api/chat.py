"""The chat endpoints, one for each client wire. They are served in front of FastAPI, and in our server without ASGI.

They know HTTP only: what a call does is in `gateway.calls`, `gateway.whole_answers` and `gateway.streams`.
`api/openapi_chat.py` describes them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from starlette.types import Receive, Scope, Send

from api import auth, body, errors, idempotency, model_calls, ratelimit, visitors
from api.exchange import AsgiExchange, Exchange
from api.request_figures import RequestFigures
from api.resources import Resources
from api.stream_response import StreamResponse, call_headers, dropped_header, stream_headers
from api.wire.base import ClientWire
from api.wire.late_writer import LateWriter
from domain.caller import AnyCaller, Caller, Visitor
from domain.errors import CallerUnknown, GatewayError, ServiceUnavailable
from domain.records import record
from domain.results import Replay
from gateway import replays, whole_answers
from gateway.body_budget import BodyClaim
from gateway.call import Call
from gateway.calls import BIG_BODY
from gateway.idempotency import IdempotentRequest, ImplicitRequest
from gateway.routing import Attempts
from gateway.wire import Bill, ModelCall

_REPLAYED = [(name.encode(), value.encode()) for name, value in idempotency.REPLAYED.items()]
SCOPE = "chat"
"""What a key needs for a call."""


@record
class _Request:
    call: ModelCall
    idempotent: IdempotentRequest | ImplicitRequest


class WholeAnswerClient:
    """Implements `api.exchange.StreamClient`: when the client has left, no further provider is asked."""

    def __init__(self, attempts: Attempts) -> None:
        self.gone = attempts.no_more

    def writable(self) -> None:
        """A whole answer is written in one piece."""


class ChatEndpoint:
    """One chat endpoint. Our server calls `serve`; for Starlette, the object itself is an ASGI application."""

    def __init__(self, wire: ClientWire, figures: RequestFigures) -> None:
        self.wire, self._figures = wire, figures
        self._type = (b"content-type", wire.content_type.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.serve(AsgiExchange(scope, receive, send))

    async def serve(self, exchange: Exchange) -> None:
        try:
            await self._answer(exchange)
        except Exception as error:  # no other code would answer it
            if exchange.begun:
                raise
            await errors.reply(exchange, error)

    async def _answer(self, exchange: Exchange) -> None:
        scope = exchange.scope
        if self.wire.visitor_writer is None:
            caller = await auth.caller_of(scope, self.wire.key_headers)
        else:
            caller = await auth.caller_or_visitor(scope, self.wire.key_headers)
        if isinstance(caller, Caller) and isinstance(caller.credential, Visitor):
            await self._answer_visitor(exchange, caller)
            return
        resources: Resources = scope["app"].state.resources
        with resources.bodies.claim() as claim:
            raw = await body.read_claimed(scope, exchange.receive, claim, partial(_account_of, scope, caller))
            request, call = await self._open(scope, raw, caller, claim)
            del raw  # it may be large, and the call may take minutes
            if isinstance(call, Replay):
                ratelimit.note(scope, call.requests, call.tokens, call.key_expires)
                await self._replay(call, request, exchange)
                return
            call.ended = claim.shared()  # it may go on when its client has left
            reserved = call.reserved
            ratelimit.note(scope, reserved.requests, reserved.tokens, reserved.key_expires)
            with model_calls.in_the_words_of(request.call), self._counted(call):
                await self._call(resources, call, exchange)

    @contextmanager
    def _counted(self, call: Call) -> Iterator[None]:
        """Count the call by its model, as the catalog names it; and the error that it ends with."""
        model = call.model.id
        self._figures.call(self.wire.path, model)
        try:
            yield
        except GatewayError as error:
            self._figures.failed(self.wire.path, model, error.code)
            raise
        except Exception:
            self._figures.failed(self.wire.path, model, GatewayError.code)
            raise

    async def _call(self, resources: Resources, call: Call, exchange: Exchange) -> None:
        whole = self.wire.whole
        if call.request.stream or whole is None:
            assert self.wire.writer is not None  # noqa: S101  # a wire without streams parses no request for one
            make = self.wire.writer
            try:
                writer = make(call.head)
            except Exception:  # else the hold would stay
                await resources.calls.void(call)
                raise
            client = StreamResponse(exchange, self.wire.stream_content_type, writer.KEEP_ALIVE)
            if call.candidates:
                writer = LateWriter(lambda: make(call.head))
            await client.serve(resources.calls.stream(call, writer, client))
            if client.late_error is not None:
                self._figures.failed(self.wire.path, call.model.id, client.late_error)
        else:
            exchange.listen(WholeAnswerClient(call.attempts))
            answer, bill = await whole_answers.answer(resources.calls, call)
            try:
                written = whole(replace(answer, request=call.request), bill)
            except Exception:  # the client is answered 500, which costs nothing
                await resources.calls.refund(call)
                raise
            await exchange.reply(200, [self._type, *_charged(bill), *call_headers(call)], written)

    async def _answer_visitor(self, exchange: Exchange, caller: Caller) -> None:
        """Answer with a stream inside the visitor's allowance. The headers of limits tell the allowance."""
        scope, writer_of = exchange.scope, self.wire.visitor_writer
        assert writer_of is not None  # noqa: S101  # else nobody without an account comes here
        resources: Resources = scope["app"].state.resources
        raw = await body.read(exchange.receive, max_bytes=resources.visitors.rules.max_body_bytes)
        parsed, headers = body.json_object(raw), idempotency.named(scope["headers"])
        visitors.require_for_visitors(parsed, headers)
        request = model_calls.read(self.wire.parse, parsed, headers)
        first = resources.claims.first_attempt(self.wire.endpoint, parsed, caller.replay_secret)
        try:
            async with resources.visitors.message(request, caller, first) as (call, message):
                ratelimit.note(scope, message.allowance.left(datetime.now(UTC)), None)
                writer = writer_of(call.head, lambda: message.allowance)
                client = StreamResponse(exchange, self.wire.stream_content_type, writer.KEEP_ALIVE)
                if call.candidates:
                    writer = LateWriter(lambda: writer_of(call.head, lambda: message.allowance))
                with self._counted(call):
                    await client.serve(resources.calls.stream(call, writer, client))
        except GatewayError as error:
            if error.left is not None:
                ratelimit.note(scope, *error.left)
            raise

    async def _open(
        self, scope: Scope, raw: bytes, caller: AnyCaller, claim: BodyClaim
    ) -> tuple[_Request, Call | Replay]:
        resources: Resources = scope["app"].state.resources
        try:
            if len(raw) > BIG_BODY:
                admitted = await auth.admit(scope, caller, SCOPE)
                parse = partial(self._parse_big, resources, scope, raw, caller)
                request = await resources.calls.turns.run(admitted.account_id, parse)
                request = replace(request, call=replace(request.call, big=True, admitted=admitted))
            else:
                request = self._parse(resources, scope, raw, caller)
            if request.call.continues:  # what is kept is read for a known account only
                admitted = await auth.admit(scope, caller, "chat")
                request = replace(request, call=replace(request.call, admitted=admitted, claim=claim))
            elif request.call.embedding is not None:
                request = replace(request, call=replace(request.call, claim=claim))
            with model_calls.in_the_words_of(request.call):
                return request, await resources.calls.open(request.call, caller, request.idempotent)
        except (CallerUnknown, ServiceUnavailable):
            raise
        except GatewayError as error:
            if error.left is None:
                # A stranger gets 401, whatever else is wrong; others have made a call.
                await auth.admit(scope, caller, SCOPE)
            else:
                ratelimit.note(scope, *error.left, error.key_expires)
            raise

    def _parse(self, resources: Resources, scope: Scope, raw: bytes, caller: AnyCaller) -> _Request:
        parsed, headers = body.json_object(raw), idempotency.named(scope["headers"])
        key, requests, endpoint = idempotency.key_of(headers), resources.claims, self.wire.endpoint
        idempotent: IdempotentRequest | ImplicitRequest
        if key is not None:
            idempotent = requests.explicit(endpoint, key, parsed, caller.replay_secret)
        elif idempotency.is_retry(headers):
            idempotent = requests.implicit(endpoint, parsed, caller.replay_secret)
        else:
            idempotent = requests.first_attempt(endpoint, parsed, caller.replay_secret)
        return _Request(model_calls.read(self.wire.parse, parsed, headers), idempotent)

    def _parse_big(self, resources: Resources, scope: Scope, raw: bytes, caller: AnyCaller) -> _Request:
        """Parse a large body in a thread, with every check that reads all of it."""
        request = self._parse(resources, scope, raw, caller)
        if isinstance(request.idempotent, ImplicitRequest):
            request.idempotent.claim()
        return request

    async def _replay(self, replay: Replay, request: _Request, exchange: Exchange) -> None:
        assert isinstance(request.idempotent, IdempotentRequest)  # noqa: S101  # a first attempt adopts nothing
        replayed = replays.replayed(replay, request.idempotent)
        always = [*dropped_header(replayed.dropped), *_REPLAYED]
        whole = self.wire.whole
        if request.call.stream or whole is None:
            assert self.wire.writer is not None  # noqa: S101
            stream = replays.stream(self.wire.writer, request.call, replayed)
            await exchange.reply(200, [*stream_headers(self.wire.stream_content_type), *always], stream)
        else:
            headers = [self._type, *_charged(replayed.bill), *always]
            await exchange.reply(200, headers, whole(replace(replayed.answer, request=request.call), replayed.bill))


async def _account_of(scope: Scope, caller: AnyCaller) -> UUID:
    """Count the request, and return whose it is."""
    return (await auth.admit(scope, caller, SCOPE)).account_id


def _charged(bill: Bill) -> list[tuple[bytes, bytes]]:
    return [(b"x-yout-credits-charged", b"%d" % bill.charged), (b"x-yout-balance", b"%d" % bill.balance)]
