"""Chat calls in flight: each has a hold, is kept alive by a lease, and ends in exactly one charge or release."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

import structlog

from api.wire import openai_chat as wire
from api.wire.openai_chat import ChatRequest
from domain import pricing, tokens, usage
from domain.catalog import Capability, Catalog, Model, Route
from domain.errors import (
    CallerUnknown,
    ContextLengthExceeded,
    GatewayError,
    HoldClosed,
    InsufficientCredits,
    RequestInvalid,
)
from domain.ledger import (
    LEASE,
    Answer,
    Closed,
    Extend,
    Extended,
    Operation,
    Renew,
    Renewed,
    Replay,
    Reserve,
    Reserved,
    Settle,
    Void,
)
from domain.limits import Limits
from domain.meters import TokenPrices
from domain.pricing import TextTerms, Usage
from domain.tokens import CountText, InputTokens
from gateway import extras
from gateway.abandoned_streams import AbandonedStreams
from gateway.idempotency import IdempotentRequest, ImplicitRequest
from gateway.ids import new_id
from providers.base import ChatCall, ChatProvider

log = structlog.get_logger(__name__)

RENEWAL_SECONDS = 1.0
MAX_UNRENEWED_SECONDS = LEASE.total_seconds() - 5
"""After so long without a sign of life a stream ends itself, before others end its hold."""
EXTENSION = 256
"""Output tokens per choice by which a growing hold grows."""
RUNAWAY = 64
"""Output tokens that a provider may say above its limit and half of that, before it is cut."""
SETTLE_SECONDS = 10.0
"""How long a stopping process waits for its last settlements; the sweeper ends what is left."""
_DEFAULT_OUTPUT = 4096


class Ledger(Protocol):
    async def ask(self, operation: Operation) -> Answer:
        """The verdict, durable; a refusal is raised."""


@dataclass(slots=True, eq=False)
class Call:
    """One chat call from its hold to its end."""

    request: ChatRequest
    model: Model
    input: InputTokens
    reserved: Reserved
    created: int
    presented: IdempotentRequest | None = None
    """Set when the answer is to be kept for a replay."""
    relayed: int = 0
    """Output tokens produced so far, by our count."""
    uncounted: list[str] = field(default_factory=list)
    held_output: int = 0
    """Output tokens that the hold pays for, in all choices together."""
    renewed_at: float = field(default_factory=time.monotonic)
    route: Route | None = None
    """Which answers, or was tried last."""
    abandoned: bool = False
    """Its client left before the provider had finished."""
    stop: Callable[[GatewayError], None] | None = None
    """Ends the stream of a call whose hold is not its own any more."""

    @property
    def hold_id(self) -> UUID:
        return self.reserved.hold_id

    @property
    def bounds(self) -> usage.Bounds:
        """What the provider may report at most: the context window, and what the model can say."""
        limit = max(self.model.max_output_tokens or 0, self.reserved.output_limit or 0)
        window = self.model.context_window or pricing.MAX_TOKENS
        return usage.Bounds(max(window, self.input.bound), limit * self.request.choices)

    def extends_on(self, route: Route) -> bool:
        return extends(self.request, route)

    def upstream(self, route: Route) -> ChatCall:
        """What is held is the limit upstream, so that the hold is a true bound; or the stream is cut at it."""
        limit = self.reserved.output_limit or 1
        if self.extends_on(route):
            limit = max(limit, self.model.max_output_tokens or 0)
        body = wire.upstream_body(self.request.body, self.model.supported_parameters)
        body.pop("stream_options", None)
        if self.request.stream and Capability.STREAM_USAGE in route.capabilities:
            body["stream_options"] = {"include_usage": True}  # asked of every upstream, relayed to whom it was asked by
        return ChatCall(route.model, body, limit, frozenset(str(c) for c in route.capabilities))


def extends(asked: ChatRequest, route: Route) -> bool:
    """Whether the hold grows with the stream: its client set no limit, and what it uses can be seen as it comes."""
    return asked.stream and asked.output_limit is None and Capability.METERABLE in route.capabilities


class Calls:
    """All chat calls of this process."""

    def __init__(
        self,
        ledger: Ledger,
        catalog: Callable[[], Catalog],
        provider: Callable[[str], ChatProvider],
        count: CountText,
        ceiling: Limits,
    ) -> None:
        self._ledger = ledger
        self._catalog = catalog
        self._count = count
        self._ceiling = ceiling
        self.provider = provider
        self.drains = AbandonedStreams()
        self.live: dict[UUID, Call] = {}
        self._streams: dict[asyncio.Task[None], Callable[[], None]] = {}

    async def open(
        self, request: ChatRequest, digest: bytes, presented: IdempotentRequest | ImplicitRequest
    ) -> Call | Replay:
        """Hold what the call may cost. Raises what the ledger refuses: nothing has been sent upstream then.

        A `Replay` when the same request was made and charged before.
        """
        model, terms = await self.terms(request)
        reserve = Reserve(
            hold_id=new_id(),
            scope="chat",
            kind="chat",
            model=model.id,
            terms=terms,
            digest=digest,
            pro_only=model.pro_only,
            ceiling=self._ceiling,
            claim=presented.claim if isinstance(presented, IdempotentRequest) else None,
            implicit=presented.claim if isinstance(presented, ImplicitRequest) else None,
            max_credits=request.max_credits,
        )
        reserved = await self._ledger.ask(reserve)
        if isinstance(reserved, Replay):
            return reserved
        assert isinstance(reserved, Reserved)  # noqa: S101  # what else a Reserve is answered with
        tokens_in = InputTokens(terms.input_count, terms.input_bound)
        call = Call(request, model, tokens_in, reserved, int(time.time()))
        if reserved.claimed:
            call.presented = presented.request if isinstance(presented, ImplicitRequest) else presented
        call.held_output = (reserved.output_limit or 0) * request.choices
        self.live[call.hold_id] = call
        return call

    async def terms(self, request: ChatRequest) -> tuple[Model, TextTerms]:
        """The model, and what the call may use of it at most. Holds and sends nothing."""
        model = self._catalog().find(request.model)
        if model.prices.tokens is None:
            raise RequestInvalid(f"The model '{model.id}' does not chat: it makes {model.modality}.", param="model")
        prices = extras.prices_of(model, model.prices.tokens, request.body)
        return model, self._terms(model, prices, request, await self._input_tokens(request, model))

    def _terms(self, model: Model, prices: TokenPrices, request: ChatRequest, counted: InputTokens) -> TextTerms:
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

    def _provider_cost(self, route: Route | None, billed: Usage) -> tuple[str | None, int | None]:
        """Who answered, and what it bills us, in billionths of a credit."""
        if route is None:
            return None, None
        costs = route.costs.tokens if route.costs else None
        return route.provider.name, None if costs is None else pricing.billionths(costs, billed)

    async def _input_tokens(self, request: ChatRequest, model: Model) -> InputTokens:
        def count() -> InputTokens:
            return tokens.of_request(request.body, self._count, family=model.vendor)

        counted = await asyncio.to_thread(count) if request.big else count()
        if model.context_window is not None and counted.least > model.context_window:
            raise ContextLengthExceeded(
                f"The input has about {counted.count} tokens; the context window of this model is "
                f"{model.context_window} tokens (context_length_exceeded)."
            )
        return counted

    async def settle(self, call: Call, billed: Usage, *, minimum: bool, answer: bytes | None = None) -> Closed:
        """Exactly one charge. Raises when it could not be made durable: the caller's client must hear an error then.

        A whole `answer` (without what it cost) is sealed in the same transaction when the call can be replayed.
        """
        sealed = call.presented.sealed(answer) if call.presented and answer is not None else None
        provider, cost = self._provider_cost(call.route, billed)
        charge = Settle(
            call.hold_id,
            call.reserved.account_id,
            billed,
            minimum,
            sealed=sealed,
            capped=call.abandoned,
            provider=provider,
            cost=cost,
        )
        return await self._close(call, charge)

    async def void(self, call: Call) -> Closed:
        return await self._close(call, Void(call.hold_id, call.reserved.account_id, "chat", call.model.id))

    async def _close(self, call: Call, operation: Settle | Void) -> Closed:
        try:
            closed = await self._ledger.ask(operation)
        finally:  # when the ledger is away the lease runs out, and the sweeper ends the hold
            self.live.pop(call.hold_id, None)
        assert isinstance(closed, Closed)  # noqa: S101  # what Settle and Void are answered with
        return closed

    def billed(self, call: Call, report: object, *, cut: bool = False) -> Usage:
        """A stream's usage: the provider's if it can be believed, else our own count of what passed through.

        The last report of one that was `cut` may be older than what passed through since.
        """
        self.count_relayed(call)
        counted = usage.counted(call.input.count, call.relayed)
        billed = usage.billed(report, call.bounds, counted)
        return counted if cut and billed.output_tokens < counted.output_tokens else billed

    def billed_answer(self, call: Call, report: object, text: str) -> Usage:
        """The same for a whole answer. Nothing is noted on the call: until it is settled, none of it was delivered."""
        believed = usage.reported(report, call.bounds)
        return believed or usage.counted(call.input.count, tokens.text_tokens(text, self._count))

    def count_relayed(self, call: Call) -> None:
        if call.uncounted:
            text, call.uncounted = "".join(call.uncounted), []
            call.relayed += tokens.text_tokens(text, self._count)

    async def cover(self, call: Call, text: str) -> bool:
        """Whether the hold pays for `text` on top of what was relayed, after growing as far as the balance allows.

        To be asked before the text is relayed: what is held is committed by then.
        """
        if call.relayed + _most_tokens(call.uncounted) + _most_tokens([text]) <= call.held_output:
            return True
        self.count_relayed(call)
        needed = call.relayed + tokens.text_tokens(text, self._count)
        while needed > call.held_output:
            short = -(-(needed - call.held_output) // call.request.choices)
            if not await self._extend(call, max(short, EXTENSION)) and not await self._extend(call, short):
                return False
        return True

    def runs_away(self, call: Call, text: str) -> bool:
        """Whether a provider goes on above the limit it was given. Other vendors' tokens are not quite ours."""
        most = call.held_output * 3 // 2 + RUNAWAY
        if call.relayed + _most_tokens(call.uncounted) + _most_tokens([text]) <= most:
            return False
        self.count_relayed(call)
        return call.relayed + tokens.text_tokens(text, self._count) > most

    async def _extend(self, call: Call, more: int) -> bool:
        wanted = call.held_output // call.request.choices + more
        try:
            extended = await self._ledger.ask(Extend(call.hold_id, call.reserved.account_id, wanted))
        except InsufficientCredits:
            return False
        assert isinstance(extended, Extended)  # noqa: S101  # what an Extend is answered with
        call.held_output = extended.output_limit * call.request.choices
        return True

    async def renew_for_ever(self) -> None:
        """A sign of life of every call each second, with what it has produced: a crash loses at most that second."""
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            calls = list(self.live.values())
            results = await asyncio.gather(*map(self._renew, calls), return_exceptions=True)
            for call, result in zip(calls, results, strict=True):
                if isinstance(result, Exception):  # one call's trouble ends no other's lease
                    log.error("call not renewed", hold=str(call.hold_id), fault=type(result).__name__)

    async def _renew(self, call: Call) -> None:
        """Also finds out whose lease ran out: while this process was frozen, or cut off from the ledger."""
        self.count_relayed(call)
        try:
            renewed = await self._ledger.ask(Renew(call.hold_id, call.relayed))
        except HoldClosed as closed:
            self._lose(call, closed)
        except GatewayError as away:
            if time.monotonic() - call.renewed_at > MAX_UNRENEWED_SECONDS:
                self._lose(call, away)
        else:
            call.renewed_at = time.monotonic()
            if isinstance(renewed, Renewed) and renewed.cut:
                self._lose(call, CallerUnknown())

    def _lose(self, call: Call, why: GatewayError) -> None:
        """Nothing more may be relayed: nobody would pay for it. A call that has just ended itself has lost nothing."""
        if call.hold_id in self.live and call.stop is not None:
            call.stop(why)

    def keep(self, pumping: Coroutine[None, None, None], stop: Callable[[], None]) -> None:
        """Own a stream's task, so that it ends with its money right even when nobody waits for it."""
        task = asyncio.create_task(pumping)
        self._streams[task] = stop
        task.add_done_callback(self._streams.pop)

    def end_streams(self) -> None:
        """This process is stopping: what still streams ends now, settled for what it delivered, and says so."""
        for stop in list(self._streams.values()):
            stop()

    async def drain(self) -> None:
        self.end_streams()
        if self._streams:
            await asyncio.wait(list(self._streams), timeout=SETTLE_SECONDS)


def _most_tokens(texts: list[str]) -> int:
    """No token is shorter than a byte."""
    return sum(len(text) if text.isascii() else len(text.encode()) for text in texts)


def text_of(chunk: Mapping[str, object]) -> str:
    return wire.delta_text(chunk.get("choices"))
