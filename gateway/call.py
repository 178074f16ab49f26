"""One chat call, from its hold to its end."""

import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context, copy_context
from dataclasses import InitVar, dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from domain import meters, pricing, tokens, usage
from domain.catalog import Capability, Model, Route
from domain.errors import GatewayError, RetentionDenied
from domain.ids import chat_id
from domain.pricing import Usage
from domain.privacy import PrivacyClass
from domain.request_fields import SET_HERE
from domain.results import Closed, Reserved
from domain.tokens import CountText, InputTokens
from gateway import candidates, continuations, request_meters
from gateway.adapter_calls import RouteCall, adapter_call, chat_call, dropped_of, route_call
from gateway.candidates import Candidate
from gateway.continuations import Continuation, Held
from gateway.idempotency import IdempotentRequest
from gateway.produced_output import ProducedOutput
from gateway.routing import Attempt, Attempts, Router
from gateway.saved_turns import Turn
from gateway.unsupported_fields import UnsupportedFields
from gateway.wire import Head, ModelCall
from providers.base import ChatCall, ChatUpstream, Headers, Paused, Timeouts, UpstreamRequest

_MIN_TIMEOUT = timedelta(milliseconds=1)
"""Of a part that begins when the time of its answer is over: it fails at once, as the answer does."""


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
    ended: Callable[[], None] | None = None
    """Called once, when nothing of the call goes on. It may not raise."""
    hold_lost: Callable[[GatewayError], None] | None = None
    """Ends the stream of a call whose hold is not its own any more."""
    unsupported: UnsupportedFields = field(default_factory=UnsupportedFields)
    """What routes turned out not to take, in earlier calls."""
    left_out: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict, repr=False)
    """What routes turned out not to take in this call."""
    attempts: Attempts = field(init=False)
    """On its routes."""
    candidates: Mapping[str, Candidate] = field(default_factory=dict, repr=False)
    """The models that may answer, by their ids, if there are several."""
    begun_at: float = 0.0
    """When the present attempt began."""
    continuation: Continuation | None = field(default=None, repr=False)
    """Set while the route that answers goes on after a pause."""
    context: Context = field(default_factory=copy_context, repr=False)
    """Of the request. What serves the call in other tasks and in callbacks logs and traces in it."""
    router: InitVar[Router | None] = None

    def __post_init__(self, router: Router | None) -> None:
        self.attempts = (router or Router()).attempts(self.routes, self.again, self.reserved.account_id)

    def begin(self, attempt: Attempt) -> None:
        """Begin an attempt: what the call is charged for is of its route."""
        self.route, self.continuation, self.begun_at = attempt.route, None, time.monotonic()
        if self.candidates:
            answering = self.candidates[attempt.route.serves]
            self.request, self.model = answering.request, answering.model
            self.input = InputTokens(answering.terms.input_count, answering.terms.input_bound)

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
        return max((self.model.context_window or pricing.MAX_TOKENS) * self.request.inputs, self.input.bound)

    def grows_on(self, route: Route) -> bool:
        return hold_grows(self.request, route)

    def output_limit(self, route: Route) -> int:
        """Tokens per choice, as they go upstream: what is held, so that the hold is a true bound.

        A stream whose hold grows is cut by us instead, when it cannot grow any more.
        """
        limit = self.reserved.output_limit or 1
        if self.candidates:
            limit = min(limit, self.candidates[route.serves].limit)
        return max(limit, self.model.max_output_tokens or 0) if self.grows_on(route) else limit

    def upstream(self, route: Route) -> ChatCall:
        chat = chat_call(self.request, self.model, route, self.output_limit(route), self._unsupported_by(route))
        return self._continued(chat)

    def _continued(self, chat: ChatCall) -> ChatCall:
        if (more := self.continuation) is None:
            return chat
        limit = chat.output_limit - more.used.output_tokens
        return replace(chat, output_limit=limit, max_searches=more.searches, continues=more.content)

    def timeouts(self, timeouts: Timeouts) -> Timeouts:
        """Return the timeouts of the next request. The parts of one answer have its whole time together."""
        if self.continuation is None:
            return timeouts
        left = timeouts.total - timedelta(seconds=time.monotonic() - self.begun_at)
        return replace(timeouts, total=max(left, _MIN_TIMEOUT))

    def goes_on(self, paused: Paused, used: Usage | None) -> bool:
        """Tell whether the present route is asked to go on after a pause, and if so prepare the next part.

        `used` is what all parts so far used, by the provider's reports.
        """
        window = self.model.context_window or pricing.MAX_TOKENS
        held = Held(self.input.bound, window, meters.searches(self.request.max_searches))
        more = continuations.after(paused, used, self.continuation, held)
        if more is None or self.route is None or more.used.output_tokens >= self.output_limit(self.route):
            return False
        self.continuation = more
        return True

    def believed(self, report: Usage) -> Usage | None:
        """Return a report with what the parts before it used, or None if the call cannot have used so much."""
        believed = usage.believed(report, self.max_input)
        if believed is None or self.continuation is None:
            return believed
        return usage.believed(usage.together(self.continuation.used, believed), self.max_input)

    def on_route(self, route: Route, upstream: ChatUpstream) -> "RouteCall":
        limit, unsupported = self.output_limit(route), self._unsupported_by(route)
        call = adapter_call(self.request, self.model, route, limit, unsupported)
        return route_call(self._continued(call) if isinstance(call, ChatCall) else call, upstream)

    def _unsupported_by(self, route: Route) -> frozenset[str]:
        # a strict call was refused for what is left out of everybody's
        account = None if self.request.strict else self.reserved.account_id
        drops = self.unsupported.of(route, account)
        return drops | self.left_out.get(route.key, frozenset()) if self.left_out else drops

    def again(self, route: Route, error: GatewayError) -> bool:
        """Tell whether the same route is to be asked again, without what its provider named as unsupported.

        A strict call loses nothing of what its caller wrote.
        """
        fresh = error.unsupported - self.left_out.get(route.key, frozenset())
        if not fresh or (self.request.strict and not fresh <= SET_HERE):
            return False
        self.left_out[route.key] = error.unsupported | self.left_out.get(route.key, frozenset())
        return True

    def learn(self) -> None:
        """Remember what was left out for the route that has answered."""
        if self.left_out and self.route is not None:
            names = self.left_out.get(self.route.key, frozenset())
            self.unsupported.remember(self.route, names, self.reserved.account_id)

    def note_dropped(self, request: UpstreamRequest) -> None:
        """Note the fields that this request to a provider leaves out: the client's answer names them."""
        self.dropped = dropped_of(self.request, self.model, request)

    def require_unretained(self, retained: tuple[str, str], headers: Headers) -> None:
        """Raise `RetentionDenied` if the provider says that it keeps this call, and it must not."""
        name, value = retained
        if not name or headers.get(name, "").strip().lower() != value:
            return
        self.attempts.retained()
        if self.request.privacy is PrivacyClass.ZERO_RETENTION:
            raise RetentionDenied

    def counted(self) -> Usage:
        """The usage that passed through, by our own count."""
        return usage.counted(self.input.count, self.output.tokens)

    def billed(self, report: Usage | None, text: str, count: CountText) -> tuple[Usage, int]:
        """Return the usage of a whole answer, and its output tokens above the limit that was sent.

        The call is not changed: nothing is delivered until it is settled.
        """
        if report is not None and (believed := self.believed(report)) is not None:
            return self.billable(believed)
        counted = usage.counted(self.input.count, tokens.text_tokens(text, count))
        more = self.continuation
        return self.billable(counted if more is None else usage.at_least(more.used, counted))

    def billable(self, used: Usage) -> tuple[Usage, int]:
        """Return the usage without output above the limit that was sent, and the number of those tokens."""
        if request_meters.searches(self.request.body):
            used = usage.with_search(used)
        if self.candidates:
            answering = self.candidates[self.model.id]
            used = candidates.billed(used, answering, first=answering is next(iter(self.candidates.values())))
        if self.route is None:
            return used, 0
        return usage.within_limit(used, self.output_limit(self.route) * self.request.choices)


def hold_grows(request: ModelCall, route: Route) -> bool:
    """Tell whether the hold grows with the stream: no limit was set, and usage can be measured as it arrives."""
    return request.stream and request.output_limit is None and Capability.METERABLE in route.capabilities
