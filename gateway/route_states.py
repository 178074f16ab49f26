"""What this process knows of each route: its breaker, how fast it answers, what it was asked and what it cost.

And of each provider: which of its keys rest. Nothing of it is shared with other processes, and it is bounded by the
catalog. Times are seconds of a monotonic clock.
"""

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import StrEnum

from domain.catalog import Provider, Route
from domain.errors import AdapterFault, GatewayError, UpstreamBusy, UpstreamError, UpstreamTimeout
from gateway.breakers import Breaker

SMOOTHING = 0.2
"""The weight of the newest call in a moving average."""
KEY_REST_SECONDS = 600.0
"""How long a key rests that the provider does not accept."""
FORBIDDEN_REST_SECONDS = 60.0
"""After a 403, which may be about one model or one request."""
BUSY_REST_SECONDS = 5.0
"""After a 429 that does not say how long."""
MAX_STATES = 10_000


class Failure(StrEnum):
    """Why a route failed."""

    CONNECTION = "connection"
    TIMEOUT = "timeout"
    RATE_LIMIT = "rate_limit"
    KEY = "key"
    """The provider does not accept our key, or does not serve our account."""
    SERVER = "server"
    """An error of the provider, or a status that is none of the others."""
    INVALID = "invalid"
    """An answer that is none, or breaks off."""
    FULL = "full"
    """Our own limit for the provider is reached."""
    FAULT = "fault"
    """Our adapter failed."""
    REFUSED = "refused"
    """The provider refuses the request itself."""


def failure(error: GatewayError) -> Failure:
    if not isinstance(error, UpstreamError) or not error.retryable:
        return Failure.REFUSED
    if isinstance(error, AdapterFault):
        return Failure.FAULT
    if isinstance(error, UpstreamTimeout):
        return Failure.TIMEOUT
    if isinstance(error, UpstreamBusy):
        return Failure.FULL if error.status is None else Failure.RATE_LIMIT
    return _of_status(error.status)


def _of_status(status: int | None) -> Failure:
    if status is None:
        return Failure.CONNECTION
    if status in (401, 402, 403, 429):  # a 429 that is no `UpstreamBusy`: the account's quota is used up
        return Failure.KEY
    return Failure.INVALID if status == 200 else Failure.SERVER


@dataclass(slots=True)
class RouteState:
    breaker: Breaker = field(default_factory=Breaker)
    requests: int = 0
    errors: Counter[Failure] = field(default_factory=Counter)
    output_tokens: int = 0
    credits: int = 0
    """Charged to clients."""
    cost: int = 0
    """What the provider bills us, in billionths of a credit, as far as it is known."""
    first_output: float | None = None
    """Moving average of the seconds from the request to the first output of a stream."""
    duration: float | None = None
    """Moving average of the seconds of whole calls."""
    speed: float | None = None
    """Moving average of output tokens per second."""

    def answered(self, seconds: float, first_output: float | None, output_tokens: int) -> None:
        """Count a call that was answered. `first_output` is None for an answer that was not streamed."""
        self.output_tokens += output_tokens
        self.duration = _moved(self.duration, seconds)
        if first_output is not None:
            self.first_output = _moved(self.first_output, first_output)
        writing = seconds - (first_output or 0.0)
        if output_tokens > 1 and writing > 0:
            self.speed = _moved(self.speed, output_tokens / writing)


def _moved(average: float | None, value: float) -> float:
    return value if average is None else average + SMOOTHING * (value - average)


class KeyRing:
    """The keys of one provider. They take turns, but for those that rest. A rest is of the key, not of a model."""

    def __init__(self) -> None:
        self._rests: dict[int, float] = {}
        self._turn = 0

    def next(self, keys: int, now: float, tried: frozenset[int] = frozenset()) -> int | None:
        """Return the number of a key that does not rest and was not tried. None: there is none."""
        for step in range(keys):
            key = (self._turn + step) % keys
            if key not in tried and self._rests.get(key, 0.0) <= now:
                self._turn = (key + 1) % keys
                return key
        return None

    def rests_until(self, keys: int) -> float:
        """The time at which the first of them may be used."""
        return min([self._rests.get(key, 0.0) for key in range(keys)])

    def least_bad(self, keys: int) -> int:
        return min(range(keys), key=lambda key: self._rests.get(key, 0.0))

    def rest(self, key: int, until: float) -> None:
        self._rests[key] = max(self._rests.get(key, 0.0), until)

    def works(self, key: int) -> None:
        if self._rests:
            self._rests.pop(key, None)

    def resting(self, now: float) -> int:
        return sum(until > now for until in self._rests.values())


def rest_seconds(error: GatewayError, why: Failure) -> float | None:
    """How long the key rests after this error. None: it is not about the key."""
    if why is Failure.RATE_LIMIT:
        later = error.retry_after if isinstance(error, UpstreamError) else None
        return later.total_seconds() if later is not None else BUSY_REST_SECONDS
    if why is not Failure.KEY:
        return None
    forbidden = isinstance(error, UpstreamError) and error.status == 403
    return FORBIDDEN_REST_SECONDS if forbidden else KEY_REST_SECONDS


class RouteStates:
    """The states of all routes and the keys of all providers of this process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.routes: dict[tuple[str, str], RouteState] = {}
        self.keys: dict[str, KeyRing] = {}

    def of(self, route: Route) -> RouteState:
        state = self.routes.get(route.key)
        if state is None:
            if len(self.routes) >= MAX_STATES:  # of catalogs that were reloaded
                self.routes.pop(next(iter(self.routes)))
            state = self.routes[route.key] = RouteState()
        return state

    def ring(self, provider: Provider) -> KeyRing:
        ring = self.keys.get(provider.name)
        if ring is None:
            if len(self.keys) >= MAX_STATES:
                self.keys.pop(next(iter(self.keys)))
            ring = self.keys[provider.name] = KeyRing()
        return ring

    def key(self, route: Route, now: float) -> int:
        """The number of the key that has its turn."""
        if (keys := keys_of(route)) == 1:
            return 0
        ring = self.ring(route.provider)
        key = ring.next(keys, now)
        return ring.least_bad(keys) if key is None else key

    def admits(self, route: Route, account: Hashable, now: float) -> bool:
        """Tell whether the route's breaker is closed for this account."""
        state = self.routes.get(route.key)
        return state is None or state.breaker.admits(account, now)

    def has_key(self, route: Route, now: float) -> bool:
        """Tell whether a key of the route's provider does not rest."""
        ring = self.keys.get(route.provider.name)
        return ring is None or ring.rests_until(keys_of(route)) <= now

    def opens_at(self, route: Route, account: Hashable) -> float:
        return self.of(route).breaker.opens_at(account)


def keys_of(route: Route) -> int:
    """The number of keys of its provider: one, even where it needs none."""
    return 1 + len(route.provider.more_keys)
