"""Chat calls in flight: each has a hold, is kept alive by a lease, and ends in exactly one charge or release."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

import structlog

from domain import pricing, tokens, usage
from domain.caller import AnyCaller
from domain.catalog import Catalog, Model, Route
from domain.errors import ContextLengthExceeded, InsufficientCredits, RequestInvalid
from domain.limits import Limits
from domain.meters import TokenPrices
from domain.operations import Extend, Operation, Reserve, Settle, Void
from domain.pricing import TextTerms, Usage
from domain.results import Admitted, Answer, Closed, Extended, Replay, Reserved
from domain.tokens import CountText, InputTokens
from gateway import extras
from gateway import stream_events as events
from gateway.abandoned_streams import AbandonedStreams
from gateway.call import Call, chat_call, rejected
from gateway.fair_turns import FairTurns
from gateway.idempotency import IdempotentRequest, ImplicitRequest
from gateway.ids import new_id
from gateway.produced_output import ProducedOutput
from gateway.routing import RouteFaults
from gateway.streams import ClientSink, Stream
from gateway.wire import ModelCall, StreamWriter
from providers.base import ChatUpstream

log = structlog.get_logger(__name__)

BIG_BODY = 64 * 1024
"""Bytes of a request above which its caller is admitted first, and it is parsed and counted off the event loop."""
EXTENSION = 256
"""Output tokens per choice by which a growing hold grows."""
SETTLE_SECONDS = 10.0
"""How long a stopping process waits for its last settlements; the sweeper ends what is left."""
_DEFAULT_OUTPUT = 4096


class Ledger(Protocol):
    async def ask(self, operation: Operation) -> Answer:
        """The result, durable; a refusal is raised."""


class Calls:
    """All chat calls of this process."""

    def __init__(
        self,
        ledger: Ledger,
        catalog: Callable[[], Catalog],
        upstream: Callable[[str], ChatUpstream],
        count: CountText,
        ceiling: Limits,
    ) -> None:
        self.ledger = ledger
        self._catalog = catalog
        self.upstream = upstream
        self.count = count
        self._ceiling = ceiling
        self.turns = FairTurns()
        self.faults = RouteFaults()
        self.abandoned = AbandonedStreams()
        self.live: dict[UUID, Call] = {}
        self.unbilled_output = 0
        """Tokens above the limit that was sent: the operator's."""
        self._streams: dict[UUID, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(
        self, request: ModelCall, caller: AnyCaller, idempotent: IdempotentRequest | ImplicitRequest
    ) -> Call | Replay:
        """Hold what the call may cost. Raises what the ledger refuses: nothing has been sent upstream then.

        A `Replay` when the same request was made and charged before.
        """
        caller.require_scope("chat")
        explicit = isinstance(idempotent, IdempotentRequest)  # a replay costs nothing, whatever the balance is
        model, terms = await self.terms(request, None if explicit else request.admitted)
        routes = self._strict_routes(request, model) if request.strict else model.routes
        payer = caller.payer(self._ceiling, datetime.now(UTC))
        reserve = Reserve(
            hold_id=new_id(),
            scope="chat",
            kind="chat",
            model=model.id,
            terms=terms,
            digest=payer.digest,
            account_id=None if payer.digest else payer.account_id,
            allowance=payer.allowance,
            pro_only=model.pro_only,
            ceiling=self._ceiling,
            claim=idempotent.claim if isinstance(idempotent, IdempotentRequest) else None,
            implicit=idempotent.claim if isinstance(idempotent, ImplicitRequest) else None,
            max_credits=request.max_credits,
            admitted=request.admitted is not None,
        )
        reserved = await self.ledger.ask(reserve)
        if isinstance(reserved, Replay):
            return reserved
        assert isinstance(reserved, Reserved)  # noqa: S101  # what else a Reserve is answered with
        call = Call(
            request=request,
            model=model,
            routes=routes,
            input=InputTokens(terms.input_count, terms.input_bound),
            reserved=reserved,
            created=int(time.time()),
            output=ProducedOutput(self.count),
            held=reserved.amount,
        )
        if reserved.claimed:
            call.idempotent = idempotent.request if isinstance(idempotent, ImplicitRequest) else idempotent
        call.output.paid = (reserved.output_limit or 0) * request.choices
        self.live[call.hold_id] = call
        return call

    async def terms(self, request: ModelCall, payer: Admitted | None = None) -> tuple[Model, TextTerms]:
        """The model, and what the call may use of it at most. Holds and sends nothing.

        What its payer cannot pay for however it is counted is refused before that.
        """
        model = self._catalog().find(request.model)
        prices = extras.prices_of(model, request.body)
        if request.strict:
            self._strict_routes(request, model)
        if request.big:
            _refuse_hopeless(request, model, prices, payer)
        return model, self._terms(model, prices, request, await self._input_tokens(request, model))

    def _strict_routes(self, request: ModelCall, model: Model) -> tuple[Route, ...]:
        """The routes that take every parameter. Raises `RequestInvalid` when there is none."""
        dropped = [self._dropped(request, model, route) for route in model.routes]
        taken = tuple(route for route, names in zip(model.routes, dropped, strict=True) if not names)
        if taken:
            return taken
        name = dropped[0][0]
        raise RequestInvalid(
            f"'{name}' is not a parameter that this model takes here.", param=name, code="unsupported_parameter"
        )

    def _dropped(self, request: ModelCall, model: Model, route: Route) -> tuple[str, ...]:
        adapter = self.upstream(route.provider.name).adapter
        asked = adapter.request(chat_call(request, model, route, output_limit=1))
        return (*rejected(request, model), *asked.dropped)

    def _terms(self, model: Model, prices: TokenPrices, request: ModelCall, counted: InputTokens) -> TextTerms:
        window = max(1, (model.context_window or pricing.MAX_TOKENS) - counted.count)
        model_limit = min(model.max_output_tokens or _DEFAULT_OUTPUT, window)
        limit = None if request.output_limit is None else min(request.output_limit, model_limit)
        return TextTerms(
            prices=prices,
            version=model.prices.version,
            input_bound=max(counted.count, min(counted.bound, model.context_window or pricing.MAX_TOKENS)),
            input_count=counted.count,
            output_limit=limit,
            model_limit=model_limit,
            choices=request.choices,
        )

    def _provider_cost(self, call: Call, billed: Usage) -> tuple[str | None, int | None]:
        """Who answered, and what it bills us, in billionths of a credit."""
        route = call.route
        if route is None:
            return None, None
        costs = route.costs.tokens if route.costs else None
        if costs is None:
            return route.provider.name, None
        tier = extras.service_tier(costs, call.request.body)
        return route.provider.name, pricing.billionths(costs.requested(tier), billed)

    async def _input_tokens(self, request: ModelCall, model: Model) -> InputTokens:
        def count() -> InputTokens:
            return tokens.of_request(request.body, self.count, family=model.vendor)

        owner = request.admitted.account_id if request.admitted else None
        counted = await self.turns.run(owner, count) if request.big else count()
        if model.context_window is not None and counted.least > model.context_window:
            raise ContextLengthExceeded(
                f"The input has about {counted.count} tokens; the context window of this model is "
                f"{model.context_window} tokens (context_length_exceeded)."
            )
        return counted

    def billed(self, call: Call, report: Usage | None, text: str) -> tuple[Usage, int]:
        """A whole answer's usage, and its output above the limit that was sent.

        Nothing is noted on the call: until it is settled, none of it was delivered.
        """
        believed = None if report is None else usage.believed(report, call.max_input)
        counted = believed or usage.counted(call.input.count, tokens.text_tokens(text, self.count))
        return call.billable(counted)

    async def settle(self, call: Call, charge: events.Settle) -> Closed:
        """Exactly one charge. Raises when it could not be made durable: the caller's client must hear an error then.

        A whole answer (without what it cost) is sealed in the same transaction when the call can be replayed.
        """
        return await self._close(call, lambda: self._charge(call, charge))

    def _charge(self, call: Call, charge: events.Settle) -> Settle:
        sealed = None
        if call.idempotent is not None and charge.answer is not None:
            sealed = call.idempotent.sealed(charge.answer)
        used = charge.usage
        if charge.unbilled_output:
            used = replace(used, output_tokens=used.output_tokens + charge.unbilled_output)
        provider, cost = self._provider_cost(call, used)
        self.unbilled_output += charge.unbilled_output
        return Settle(
            call.hold_id,
            call.reserved.account_id,
            charge.usage,
            charge.minimum,
            sealed=sealed,
            capped=charge.capped,
            provider=provider,
            cost=cost,
        )

    async def void(self, call: Call) -> Closed:
        return await self._close(call, lambda: Void(call.hold_id, call.reserved.account_id, "chat", call.model.id))

    async def _close(self, call: Call, operation: Callable[[], Settle | Void]) -> Closed:
        try:
            closed = await self.ledger.ask(operation())
        finally:  # whatever fails, the ledger or we: the lease runs out, and the sweeper ends the hold
            self.forget(call)
        assert isinstance(closed, Closed)  # noqa: S101  # what Settle and Void are answered with
        return closed

    def forget(self, call: Call) -> None:
        """Renew its hold no more."""
        self.live.pop(call.hold_id, None)
        self._streams.pop(call.hold_id, None)

    async def extend(self, call: Call, output_tokens: int) -> events.Extended | events.NotExtended:
        """Let the hold grow by a good step, or else by what is needed now."""
        held = call.output.paid // call.request.choices
        for more in sorted({max(output_tokens, EXTENSION), output_tokens}, reverse=True):
            try:
                extended = await self.ledger.ask(Extend(call.hold_id, call.reserved.account_id, held + more))
            except InsufficientCredits:
                continue
            assert isinstance(extended, Extended)  # noqa: S101  # what an Extend is answered with
            return events.Extended(extended.output_limit * call.request.choices, extended.amount)
        return events.NotExtended()

    def stream(self, call: Call, writer: StreamWriter, client: ClientSink) -> Stream:
        """Begin to stream a call's answer to its client."""
        stream = self._streams[call.hold_id] = Stream(self, call, writer, client)
        return stream

    def run(self, waiting: Coroutine[Any, Any, None]) -> None:
        """Own a task, so that it ends with its money right even when nobody waits for it."""
        task = asyncio.create_task(waiting)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def end_streams(self) -> None:
        """This process is stopping: what still streams ends now, settled for what it delivered, and says so."""
        for stream in list(self._streams.values()):
            stream.shutdown()

    async def drain(self) -> None:
        self.end_streams()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=SETTLE_SECONDS)


def _refuse_hopeless(request: ModelCall, model: Model, prices: TokenPrices, payer: Admitted | None) -> None:
    """What is too large however its tokens are counted is not counted: that takes seconds for a large request."""
    least = tokens.at_least(request.body)
    if model.context_window is not None and least > model.context_window:
        raise ContextLengthExceeded(
            f"The input has at least {least} tokens; the context window of this model is {model.context_window} tokens "
            "(context_length_exceeded)."
        )
    required = pricing.at_most(prices, least, 0)
    if payer is not None and required > payer.available:
        raise InsufficientCredits(required, payer.available, payer.held)
