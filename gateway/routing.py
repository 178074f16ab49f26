"""Chooses the route of each attempt of a call, and decides after a failure whether there is another attempt.

The one place that decides this, for streams and whole answers alike. There is no attempt after the first output, and
none for a request that the provider refuses. What an attempt has shown goes into `gateway.route_states`.

    a field that is not taken  the same route, without it (`gateway.call.Call.again`)
    a failed key               the next key of the provider, on the same route
    any other failure          the next route whose breaker is closed; those whose keys all rest come last
    no such route              one more attempt on the best route that failed for a passing reason, after a pause
    no other attempt           the client gets the error that `domain.route_errors` chooses
"""

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from typing import TypeVar

import structlog

from domain import route_errors
from domain.catalog import Model, Route
from domain.errors import AdapterFault, GatewayError, UpstreamError
from domain.privacy import PrivacyClass
from domain.records import record
from gateway import route_states
from gateway.attempt_traces import AttemptTrace
from gateway.provider_faults import ProviderFaults
from gateway.route_states import Failure, RouteStates, keys_of

log = structlog.get_logger(__name__)

T = TypeVar("T")
Again = Callable[[Route, GatewayError], bool]
"""Tells whether the same route is to be asked again after an error, in another way: `gateway.call.Call.again`."""

MAX_ATTEMPTS = 8
"""Attempts of one call: keys, routes and fields left out, together."""
LAST_BEGIN_SECONDS = 100.0
"""No attempt begins later than this after the first one: longer than one wait for a first byte, shorter than two."""
RETRY_SECONDS = 0.3
"""The pause before a route is tried again, unless the provider says how long. A random part of it is added."""
MAX_PAUSE_SECONDS = 3.0
"""A provider that says longer is not waited for: the client is told."""
SLOW_SECONDS = 10.0
"""A client that leaves before the first output counts as a timeout of the route after this time."""
SLOW_TIMES = 5
"""And after so many times the usual wait for the first output."""
_OF_THE_KEY = frozenset({Failure.KEY, Failure.FORBIDDEN, Failure.RATE_LIMIT})
"""After these, another key of the provider may be answered."""
_SHOWS_NOTHING = frozenset({Failure.REFUSED, Failure.FULL, Failure.KEY, Failure.RATE_LIMIT})
"""These say nothing of the route's health."""
_PASSING = frozenset({Failure.CONNECTION, Failure.SERVER, Failure.RATE_LIMIT})


class RouteFaults:
    """Counts what is our own fault in an adapter, by provider. The next route is asked, as if the provider had failed.

    A text of such an exception may hold a prompt: its type and place are logged, nothing else.
    """

    def __init__(self) -> None:
        self.by_provider: Counter[str] = Counter()

    def error(self, route: Route, fault: Exception, context: Context | None = None) -> GatewayError:
        """Return the error of a failed route. An exception that is not a `GatewayError` is logged and counted.

        `context`: that of the request, where this is another task's or a callback's.
        """
        if isinstance(fault, GatewayError):
            return fault
        self.by_provider[route.provider.name] += 1
        log.error(
            "route failed by a fault of ours",
            provider=route.provider.name,
            model=route.model,
            fault=type(fault).__name__,
            at=_where(fault),
            context=context,
        )
        return AdapterFault()


@record
class Attempt:
    route: Route
    key: int = 0
    """The number of the provider's key."""
    pause: float = 0.0
    """Seconds to wait before it begins."""


class Router:
    """The states of this process's routes, with a clock and chance. A test replaces both."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random
    ) -> None:
        self.states = RouteStates(clock)
        self.clock = clock
        self.chance = chance
        self.faults: ProviderFaults | None = None
        """Who tells the operator of providers that fail. None: nobody."""

    def ordered(self, model: Model, routes: tuple[Route, ...]) -> tuple[Route, ...]:
        """Return the routes in the order to try them in: by priority, and by weight and chance in one."""
        if not model.shared or len(routes) < 2:
            return routes
        return tuple(sorted(routes, key=lambda route: (route.priority, self._drawn(route))))

    def _drawn(self, route: Route) -> float:
        """A time at which a route of this weight comes up: the earliest of several does so by its share."""
        return -math.log(1.0 - self.chance()) / route.weight if route.weight else math.inf

    def charged(self, route: Route, credits: int, cost: int | None) -> None:
        """Count what a call on this route was charged, and what its provider bills us, in billionths of a credit."""
        state = self.states.of(route)
        state.credits += credits
        state.cost += cost or 0

    def attempts(self, routes: Sequence[Route], again: Again, account: Hashable = None) -> "Attempts":
        """`routes` are in the order in which they are to be tried."""
        return Attempts(self, routes, again, account)


class Attempts:
    """The attempts of one call, of which one is under way at a time."""

    def __init__(self, router: Router, routes: Sequence[Route], again: Again, account: Hashable = None) -> None:
        self._router, self._states, self._clock = router, router.states, router.clock
        self._left = list(routes)
        """Routes that were not tried."""
        self._in_another_way = again
        self._account = account
        self._limit = min(len(routes) + 1, MAX_ATTEMPTS)
        self._keys: dict[str, set[int]] = {}
        self._passing: list[tuple[float, Route]] = []
        """Routes that may be tried again, each with the pause before it."""
        self._errors: dict[tuple[str, str, int], GatewayError] = {}
        """The newest of each route and key, in the order of time."""
        self._count = 0
        self._present: Attempt | None = None
        self._first_at = self._began = 0.0
        self._output_at: float | None = None
        self._last = False
        self._pausing: asyncio.Future[None] | None = None
        self.trace: AttemptTrace | None = None
        """Set where traces are exported."""

    def no_more(self) -> None:
        """Nobody waits for the answer: the attempt under way is the last one."""
        self._last = True
        if self._pausing is not None and not self._pausing.done():
            self._pausing.set_result(None)

    @property
    def nobody_waits(self) -> bool:
        return self._last

    async def wait(self, seconds: float) -> bool:
        """Wait before an attempt. False if nobody waits for its answer by then."""
        if not self._last:
            self._pausing = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._pausing], timeout=seconds)
        return not self._last

    def next(self) -> Attempt | None:
        """The first attempt. If no route's breaker is closed, it is on the one that opens first."""
        self._first_at = now = self._clock()
        if not self._left:
            return None
        if (place := self._admitted(now)) is None:
            opens = [self._states.opens_at(route, self._account) for route in self._left]
            place = opens.index(min(opens))
        return self._begin(self._left.pop(place), now)

    def _admitted(self, now: float) -> int | None:
        """The place of the first route that was not tried and may be.

        One whose keys rest comes last: it fails at once, if it does.
        """
        resting = None
        for place, route in enumerate(self._left):
            if self._states.admits(route, self._account, now):
                if self._states.has_key(route, self._account, now):
                    return place
                resting = place if resting is None else resting
        return resting

    def after(self, error: GatewayError, *, produced: bool = False) -> Attempt | None:
        """The attempt after one that failed with `error`. None: there is none, and the client gets `error_after`."""
        if (present := self._present) is None:
            return None
        why, now = route_states.failure(error), self._clock()
        over = produced or self._last or now - self._first_at > LAST_BEGIN_SECONDS
        another_way = not over and self._count < MAX_ATTEMPTS and error.unsupported
        if another_way and self._in_another_way(present.route, error):
            self._count += 1
            self._raise_limit()
            self._trace_again(present, error)
            return Attempt(present.route, present.key)
        self._count_failure(present, error, why, now)
        self._note(present, error)
        if over or why is Failure.REFUSED:
            return None
        if why in _OF_THE_KEY and (attempt := self._next_key(present, now)):
            return attempt
        if self._count >= self._limit:
            return None
        if why in _PASSING:
            self._passing.append((_pause(error, self._router.chance()), present.route))
        place = self._admitted(now)
        return self._again(now) if place is None else self._begin(self._left.pop(place), now)

    def error_after(self, error: GatewayError, *, produced: bool = False) -> GatewayError:
        """The error that the client gets when no attempt follows the one that failed with `error`."""
        return error if produced else route_errors.shown([*self._errors.values(), error])

    def _note(self, present: Attempt, error: GatewayError) -> None:
        """Keep an error without its frames: they have the attempt's request, and the answer may take minutes."""
        place = present.route.provider.name, present.route.model, present.key
        error.__context__ = None
        self._errors.pop(place, None)
        self._errors[place] = error.with_traceback(None)

    def _next_key(self, present: Attempt, now: float) -> Attempt | None:
        route, tried = present.route, self._keys[present.route.provider.name]
        if self._count >= MAX_ATTEMPTS or len(tried) >= keys_of(route):
            return None
        key = self._states.ring(route.provider).next(keys_of(route), now, self._account, frozenset(tried))
        if key is None:
            return None
        self._raise_limit()
        return self._begin(route, now, key=key)

    def _raise_limit(self) -> None:
        """An attempt on the same route takes none of the attempts that there are for others."""
        self._limit = min(self._limit + 1, MAX_ATTEMPTS)

    def _again(self, now: float) -> Attempt | None:
        """One more attempt on a route that was tried, the first of those with a short pause."""
        able = [(wait, route) for wait, route in self._passing if wait <= MAX_PAUSE_SECONDS]
        if not able:
            return None
        self._passing.clear()
        self._limit = self._count + 1
        wait, route = able[0]
        return self._begin(route, now, wait=wait)

    def _begin(self, route: Route, now: float, *, key: int | None = None, wait: float = 0.0) -> Attempt:
        if key is None:
            key = self._states.key(route, self._account, now)
        self._keys.setdefault(route.provider.name, set()).add(key)
        state = self._states.of(route)
        state.requests += 1
        state.breaker.begin(self._account, now)
        self._count += 1
        self._began, self._output_at = now + wait, None
        self._present = Attempt(route, key, wait)
        if self.trace is not None:
            self.trace.began(route, wait)
        return self._present

    def _trace_again(self, present: Attempt, error: GatewayError) -> None:
        if self.trace is not None:
            self.trace.failed(error)
            self.trace.began(present.route, 0.0)

    def _count_failure(self, present: Attempt, error: GatewayError, why: Failure, now: float) -> None:
        state = self._states.of(present.route)
        state.errors[why] += 1
        self._present = None
        if self.trace is not None:
            self.trace.failed(error)
        if (seconds := route_states.rest_seconds(error, why)) is not None:
            ring, for_all = self._states.ring(present.route.provider), route_states.is_sure(error)
            ring.rest(present.key, seconds, now, self._account, for_all=for_all)
        if why in _SHOWS_NOTHING:
            state.breaker.let_go(self._account)
        else:
            unreached = isinstance(error, UpstreamError) and error.unreached
            state.breaker.failed(self._account, now, timeout=why is Failure.TIMEOUT, connected=not unreached)
        if (faults := self._router.faults) and self._states.fails_for_all(present.route, now):
            faults.failed(present.route.provider.name, why)

    def retained(self) -> None:
        """The provider says that it keeps this call. Strict calls go to no route of it any more."""
        if (present := self._present) is None or present.route.privacy is not PrivacyClass.ZERO_RETENTION:
            return
        provider = present.route.provider
        if self._states.covers(present.route, PrivacyClass.ZERO_RETENTION):
            log.error("a provider keeps what it must not; strict calls avoid it now", provider=provider.name)
            self._states.retaining[provider.name] = provider

    def output_began(self) -> None:
        """The first output of a stream has arrived."""
        self._output_at = self._clock()
        if self.trace is not None:
            self.trace.output_began()

    def succeeded(self, output_tokens: int) -> None:
        if (present := self._present) is None:
            return
        now, self._present = self._clock(), None
        if self.trace is not None:
            self.trace.succeeded(output_tokens)
        state = self._states.of(present.route)
        first_output = None if self._output_at is None else self._output_at - self._began
        state.answered(now - self._began, first_output, output_tokens)
        state.breaker.succeeded(self._account, self._began, now)
        self._states.ring(present.route.provider).works(present.key, self._account)
        faults, name = self._router.faults, present.route.provider.name
        if faults and faults.fails(name) and not self._states.may_fail(present.route):
            faults.works(name)

    def abandoned(self) -> None:
        """The call ends for a reason that is not the provider's. It may have been slow, so that its client has left."""
        if (present := self._present) is None:
            return
        now, self._present = self._clock(), None
        if self.trace is not None:
            self.trace.abandoned()
        state, waited = self._states.of(present.route), now - self._began
        if self._output_at is None and waited > max(SLOW_SECONDS, SLOW_TIMES * (state.first_output or 0.0)):
            state.errors[Failure.TIMEOUT] += 1
            state.breaker.failed(self._account, now, timeout=True)
        else:
            state.breaker.let_go(self._account)


def _pause(error: GatewayError, chance: float) -> float:
    """Seconds until the same route may be tried again."""
    later = error.retry_after if isinstance(error, UpstreamError) else None
    return RETRY_SECONDS * (1.0 + chance) if later is None else later.total_seconds()


async def first_answer(attempts: Attempts, faults: RouteFaults, ask: Callable[[Attempt], Awaitable[T]]) -> T:
    """Return the first attempt's answer that succeeds. Raises the `GatewayError` that the client gets."""
    attempt = attempts.next()
    error: GatewayError | None = None
    while attempt is not None:
        try:
            if attempt.pause and not await attempts.wait(attempt.pause):
                attempts.abandoned()
                break
            return await ask(attempt)
        except Exception as fault:
            error = faults.error(attempt.route, fault)
        except BaseException:
            attempts.abandoned()
            raise
        attempt = attempts.after(error)
    raise (UpstreamError() if error is None else attempts.error_after(error)) from None


def _where(fault: Exception) -> str:
    """File and line: the only part of a traceback that cannot contain a prompt."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
