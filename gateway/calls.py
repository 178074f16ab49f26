"""Chat calls in flight. Each has a hold with a lease that is renewed, and ends in exactly one charge or release."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import Context
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from domain.caller import AnyCaller
from domain.catalog import Catalog, Route
from domain.errors import (
    GatewayError,
    InsufficientCredits,
    ServiceUnavailable,
    UpstreamError,
)
from domain.key_rules import NO_RULES
from domain.limits import Limits
from domain.operations import Extend, Operation, Refund, Reserve, Settle, Void
from domain.pricing import TextTerms
from domain.privacy import PrivacyClass
from domain.results import Admitted, Answer, Closed, Extended, Replay, Reserved
from domain.tokens import CountText, InputTokens
from gateway import charges
from gateway import stream_effects as effects
from gateway import stream_events as events
from gateway.abandoned_streams import AbandonedStreams
from gateway.attempt_traces import CallTraces
from gateway.call import Call
from gateway.candidates import Candidate, together, under
from gateway.fair_turns import FairTurns
from gateway.idempotency import IdempotentRequest, ImplicitRequest
from gateway.ids import new_id
from gateway.input_counts import InputCounts
from gateway.produced_output import ProducedOutput
from gateway.routing import RouteFaults, Router
from gateway.saved_turns import ConversationTurns
from gateway.selection import Selection
from gateway.streams import ClientSink, Stream
from gateway.unsupported_fields import UnsupportedFields
from gateway.wire import ModelCall, StreamWriter
from providers.base import ChatUpstream

BIG_BODY = 64 * 1024
"""Bytes. The caller of a larger request is admitted first, and the request is parsed and counted in a thread."""
EXTENSION = 256
"""Output tokens per choice by which a hold is extended at least, if the credits allow it."""
SETTLE_SECONDS = 10.0
"""How long a stopping process waits for its last settlements. The sweeper ends the holds that are left."""


class Ledger(Protocol):
    async def ask(self, operation: Operation) -> Answer:
        """Return the answer after its commit. Raises a refusal."""


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
        self.conversation_turns: ConversationTurns | None = None
        """Set where calls can be saved."""
        self.traces: CallTraces | None = None
        """Set where traces are exported."""
        self.faults = RouteFaults()
        self.router = Router()
        self.abandoned = AbandonedStreams()
        self.unsupported = UnsupportedFields()
        self.inputs = InputCounts(count, self.turns)
        self.selection = Selection(catalog, upstream, self.inputs, self.router, self.unsupported)
        self.live: dict[UUID, Call] = {}
        self.dimensions: dict[str, int] = {}
        """Of the vectors that models make by themselves, as they were last."""
        self.unbilled_output = 0
        """Output tokens above the limit that was sent. Nobody is charged for them."""
        self._streams: dict[UUID, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(
        self, request: ModelCall, caller: AnyCaller, idempotent: IdempotentRequest | ImplicitRequest
    ) -> Call | Replay:
        """Hold what the call may cost. Raises the ledger's refusal; nothing has been sent upstream then.

        Returns a `Replay` if the same request was made and charged before.
        """
        caller.require_scope("chat")
        explicit = isinstance(idempotent, IdempotentRequest)
        try:
            # a replay costs nothing, whatever the balance is
            candidates = await self.candidates(request, None if explicit else request.admitted)
        except ServiceUnavailable:
            raise
        except GatewayError as error:
            if not explicit:
                raise
            return await self._replayed(self._reserve(request, caller, idempotent, error))
        first, terms = candidates[0], together(candidates)
        reserve = replace(
            self._reserve(request, caller, idempotent, terms),
            model=first.model.id,
            others=tuple(other.model.id for other in candidates[1:]),
            pro_only=any(candidate.model.pro_only for candidate in candidates),
            unroutable=partial(self.selection.unroutable, candidates),
        )
        reserved = await self.ledger.ask(reserve)
        if isinstance(reserved, Replay):
            return reserved
        assert isinstance(reserved, Reserved)  # noqa: S101  # the only other answer to a Reserve
        able = under(candidates, reserved.rules, self.selection.routes) if reserved.rules != NO_RULES else candidates
        first = able[0]
        call = Call(
            request=first.request,
            model=first.model,
            routes=tuple(route for candidate in able for route in candidate.routes),
            input=InputTokens(first.terms.input_count, first.terms.input_bound),
            reserved=reserved,
            created=int(time.time()),
            output=ProducedOutput(self.count),
            held=reserved.amount,
            router=self.router,
            unsupported=self.unsupported,
            candidates={each.model.id: each for each in (*candidates, *able)} if reserve.others else {},
        )
        if self.traces is not None:
            call.attempts.trace = self.traces.call()
        if reserved.claimed:
            call.idempotent = idempotent.request if isinstance(idempotent, ImplicitRequest) else idempotent
        await self._keep(call, request.body.get("messages") or ())
        call.output.paid = (reserved.output_limit or 0) * request.choices
        self.live[call.hold_id] = call
        return call

    async def candidates(self, request: ModelCall, payer: Admitted | None = None) -> list[Candidate]:
        """Return the models that may answer, the preferred one first, with what each may use. Holds nothing.

        Raises what `Selection.candidates` raises.
        """
        if self.conversation_turns is not None and request.save_options is not None:
            request = await self.conversation_turns.continued(request)
        return await self.selection.candidates(request, payer)

    async def _replayed(self, reserve: Reserve) -> Replay:
        """Return the answer of an earlier call. Raises the error for which this one cannot be made, if there is none.

        What a call needs may be gone when it is retried: its conversation, its model.
        """
        replay = await self.ledger.ask(reserve)
        assert isinstance(replay, Replay)  # noqa: S101  # without terms, nothing is held
        return replay

    def _reserve(
        self,
        request: ModelCall,
        caller: AnyCaller,
        idempotent: IdempotentRequest | ImplicitRequest,
        terms: TextTerms | GatewayError,
    ) -> Reserve:
        ceiling = caller.ceiling(self._ceiling)
        payer = caller.payer(ceiling, datetime.now(UTC))
        return Reserve(
            hold_id=new_id(),
            scope="chat",
            kind=request.kind,
            model=request.model,
            terms=terms,
            digest=payer.digest,
            account_id=None if payer.digest else payer.account_id,
            ceiling=ceiling,
            claim=idempotent.claim if isinstance(idempotent, IdempotentRequest) else None,
            implicit=idempotent.claim if isinstance(idempotent, ImplicitRequest) else None,
            max_credits=request.max_credits,
            admitted=request.admitted is not None,
        )

    def upstream_of(self, call: Call, route: Route) -> ChatUpstream:
        """Return the provider of a route. Raises `UpstreamError` if it is not any more what the route was chosen for:
        by a reload of the catalog, or by what it says of its privacy.
        """
        provider = route.provider
        if call.request.privacy is not PrivacyClass.UNKNOWN:
            now = self._catalog().providers.get(provider.name)
            if now != provider or not self.router.states.covers(route, call.request.privacy):
                raise UpstreamError
        return self.upstream(provider.name)

    async def _keep(self, call: Call, new: Sequence[Mapping[str, Any]]) -> None:
        """Prepare to keep the call, if it is to be saved. If that fails, the call ends before anything is sent."""
        options, reserved = call.request.save_options, call.reserved
        if options is None or self.conversation_turns is None:
            return
        if not (options.conversation_id or reserved.keep_history if options.save is None else options.save):
            return
        try:
            call.turn = await self.conversation_turns.turn(reserved.account_id, options.conversation_id, new)
        except BaseException:
            await self.void(call)
            raise

    async def settle(self, call: Call, charge: effects.Settle) -> Closed:
        """Charge the call, once. Raises if it is not known to be committed: then the client must get an error.

        If the call can be replayed, the same transaction stores the encrypted answer, without its cost.
        """
        call.learn()
        self.unbilled_output += charge.unbilled_output
        return await self._close(call, lambda: charges.operation(call, charge))

    async def void(self, call: Call) -> Closed:
        return await self._close(
            call, lambda: Void(call.hold_id, call.reserved.account_id, call.request.kind, call.model.id)
        )

    async def refund(self, call: Call) -> None:
        """Give back the charge of an answer that could not be written."""
        await self.ledger.ask(Refund(call.hold_id, call.reserved.account_id))

    async def _close(self, call: Call, operation: Callable[[], Settle | Void]) -> Closed:
        try:
            closing = operation()
            closed = await self.ledger.ask(closing)
        finally:  # after any failure the lease expires, and the sweeper ends the hold
            self.forget(call)
        assert isinstance(closed, Closed)  # noqa: S101  # the answer to Settle and Void
        if call.route is not None and isinstance(closing, Settle):
            self.router.charged(call.route, closed.charged, closing.cost)
        if call.closed is not None:
            await call.closed(closed)
        return closed

    def forget(self, call: Call) -> None:
        """Stop renewing its hold. It has ended."""
        self._streams.pop(call.hold_id, None)
        if self.live.pop(call.hold_id, None) is not None and call.ended is not None:
            call.ended()

    async def extend(self, call: Call, output_tokens: int) -> events.Extended | events.NotExtended:
        """Extend the hold by `output_tokens` per choice, and by `EXTENSION` at least if the credits allow it."""
        held = call.output.paid // call.request.choices
        for more in sorted({max(output_tokens, EXTENSION), output_tokens}, reverse=True):
            try:
                extended = await self.ledger.ask(Extend(call.hold_id, call.reserved.account_id, held + more))
            except InsufficientCredits:
                continue
            assert isinstance(extended, Extended)  # noqa: S101  # the answer to an Extend
            return events.Extended(extended.output_limit * call.request.choices, extended.amount)
        return events.NotExtended()

    def stream(self, call: Call, writer: StreamWriter, client: ClientSink) -> Stream:
        """Make the stream of a call's answer to its client."""
        stream = self._streams[call.hold_id] = Stream(self, call, writer, client)
        return stream

    def run(self, waiting: Coroutine[Any, Any, None], context: Context) -> None:
        """Run a coroutine as a task that this object owns, so that it ends even when no caller waits for it."""
        task = asyncio.create_task(waiting, context=context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def end_streams(self) -> None:
        """End all streams, because the process is stopping: each is settled for what it delivered, with an error."""
        for stream in list(self._streams.values()):
            stream.shutdown()

    async def drain(self) -> None:
        self.end_streams()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=SETTLE_SECONDS)
