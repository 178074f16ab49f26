"""One chat call, from its hold to its end."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

from domain import pricing, usage
from domain.catalog import Capability, Model, Route
from domain.errors import GatewayError
from domain.ids import chat_id
from domain.pricing import Usage
from domain.results import Closed, Reserved
from domain.tokens import InputTokens
from gateway import extras
from gateway.idempotency import IdempotentRequest
from gateway.produced_output import ProducedOutput
from gateway.saved_turns import Turn
from gateway.wire import Head, ModelCall
from providers.base import ChatCall, NativeRequest, UpstreamRequest

GATEWAY_FIELDS = frozenset({"max_credits", "strict"})
"""Fields that are for this server and never go upstream."""
SAMPLING = frozenset(
    {"temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "seed"}
)


@dataclass(slots=True, eq=False)
class Call:
    request: ModelCall
    model: Model
    routes: tuple[Route, ...]
    """The routes that may answer it, the preferred one first."""
    input: InputTokens
    reserved: Reserved
    created: int
    output: ProducedOutput
    idempotent: IdempotentRequest | None = None
    """Set when the answer is to be kept for a replay."""
    turn: Turn | None = None
    """Set when the call is to be kept in a conversation."""
    held: int = 0
    """Credits that its hold has now."""
    held_at_start: int | None = None
    """Credits that its hold had when the first output of its stream was sent."""
    renewed_at: float = field(default_factory=time.monotonic)
    route: Route | None = None
    """The route that answers, or the one that was tried last."""
    dropped: tuple[str, ...] = ()
    """Parameters of the request that this route does not take."""
    closed: Callable[[Closed], Awaitable[None]] | None = None
    """Is told how its hold ended, before the client. It may not raise."""
    hold_lost: Callable[[GatewayError], None] | None = None
    """Ends the stream of a call whose hold is not its own any more."""

    @property
    def hold_id(self) -> UUID:
        return self.reserved.hold_id

    @property
    def head(self) -> Head:
        conversation_id = self.turn.conversation_id if self.turn else None
        return Head(chat_id(self.hold_id), self.created, self.request, self.held, conversation_id, self.input.count)

    @property
    def max_input(self) -> int:
        """The most input tokens that a provider may report and still be believed."""
        return max(self.model.context_window or pricing.MAX_TOKENS, self.input.bound)

    def grows_on(self, route: Route) -> bool:
        return hold_grows(self.request, route)

    def output_limit(self, route: Route) -> int:
        """Tokens per choice, as they go upstream: what is held, so that the hold is a true bound.

        A stream whose hold grows is cut by us instead, when it cannot grow any more.
        """
        limit = self.reserved.output_limit or 1
        return max(limit, self.model.max_output_tokens or 0) if self.grows_on(route) else limit

    def upstream(self, route: Route) -> ChatCall:
        return chat_call(self.request, self.model, route, self.output_limit(route))

    def note_dropped(self, request: UpstreamRequest) -> None:
        """What the client hears of the fields that this request to a provider leaves out."""
        self.dropped = dropped_of(self.request, self.model, request)

    def counted(self) -> Usage:
        """The usage that passed through, by our own count."""
        return usage.counted(self.input.count, self.output.tokens)

    def billable(self, used: Usage) -> tuple[Usage, int]:
        """Return the usage without output above the limit that was sent, and the number of those tokens."""
        if extras.searches(self.request.body):
            used = usage.with_search(used)
        if self.route is None:
            return used, 0
        return usage.within_limit(used, self.output_limit(self.route) * self.request.choices)


def hold_grows(request: ModelCall, route: Route) -> bool:
    """Tell whether the hold grows with the stream: no limit was set, and usage can be measured as it arrives."""
    return request.stream and request.output_limit is None and Capability.METERABLE in route.capabilities


def chat_call(request: ModelCall, model: Model, route: Route, output_limit: int) -> ChatCall:
    return ChatCall(
        model=route.model,
        body=_upstream_body(request.body, model.supported_parameters),
        output_limit=output_limit,
        capabilities=_names(route.capabilities),
        passes=route.passes,
        stream=request.stream,
        choices=request.choices,
        native=_native(request.native, model.supported_parameters),
    )


@lru_cache(maxsize=256)
def _names(capabilities: frozenset[Capability]) -> frozenset[str]:
    return frozenset(str(capability) for capability in capabilities)


@lru_cache(maxsize=1024)
def _rejected(supported: tuple[str, ...] | None) -> frozenset[str]:
    return frozenset() if supported is None else SAMPLING - set(supported)


@lru_cache(maxsize=1024)
def _left_out(supported: tuple[str, ...] | None) -> frozenset[str]:
    return GATEWAY_FIELDS | _rejected(supported)


def rejected(request: ModelCall, model: Model) -> tuple[str, ...]:
    """The sampling fields of this request that its model rejects: no adapter hears of them."""
    names = _rejected(model.supported_parameters)
    return tuple(name for name, value in request.body.items() if value is not None and name in names)


def dropped_of(request: ModelCall, model: Model, upstream: UpstreamRequest) -> tuple[str, ...]:
    """The parameters that a request to a provider leaves out, as the client names them."""
    untranslated = () if upstream.native else tuple(request.untranslated)
    names = (*rejected(request, model), *upstream.dropped)
    return (*dict.fromkeys(map(request.as_written, names)), *untranslated)


def _native(native: NativeRequest | None, supported: tuple[str, ...] | None) -> NativeRequest | None:
    """Remove from a client's own request what is removed from its translation, where the names are the same."""
    if native is None or _left_out(supported).isdisjoint(native.body):
        return native
    return NativeRequest(native.wire, _upstream_body(native.body, supported))


def _upstream_body(body: Mapping[str, Any], supported: tuple[str, ...] | None) -> dict[str, Any]:
    """Remove our own fields, and the sampling fields that the model rejects with 400."""
    left_out = _left_out(supported)
    return {name: value for name, value in body.items() if name not in left_out}
