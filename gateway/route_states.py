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
from domain.privacy import PrivacyClass
from gateway.breakers import OPEN, Breaker
from gateway.distributions import SECONDS, TOKENS_PER_SECOND, Distribution
from gateway.key_rings import KeyRing

SMOOTHING = 0.2
"""The weight of the newest call in a moving average."""
KEY_REST_SECONDS = 600.0
"""How long a key rests that the provider does not accept."""
BLAMED_REST_SECONDS = 60.0
"""After a 403 that blames the key, perhaps for one model alone, and while it gets no access token."""
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
    FORBIDDEN = "forbidden"
    """A 403 that does not say that the key is at fault: a rule on content, a model, a place, a firewall."""
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
    return Failure.KEY if error.blames_key else _of_status(error.status)


def _of_status(status: int | None) -> Failure:
    if status is None:
        return Failure.CONNECTION
    if status in (401, 402, 429):  # a 429 that is no `UpstreamBusy`: the account's quota is used up
        return Failure.KEY
    if status == 403:
        return Failure.FORBIDDEN
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

    first_outputs: Distribution = field(default_factory=lambda: Distribution(SECONDS))
    """Of the same figures, all values since the process started."""
    durations: Distribution = field(default_factory=lambda: Distribution(SECONDS))
    speeds: Distribution = field(default_factory=lambda: Distribution(TOKENS_PER_SECOND))

    def answered(self, seconds: float, first_output: float | None, output_tokens: int) -> None:
        """Count a call that was answered. `first_output` is None for an answer that was not streamed."""
        self.output_tokens += output_tokens
        self.duration = _moved(self.duration, seconds)
        self.durations.add(seconds)
        if first_output is not None:
            self.first_output = _moved(self.first_output, first_output)
            self.first_outputs.add(first_output)
        writing = seconds - (first_output or 0.0)
        if output_tokens > 1 and writing > 0:
            self.speed = _moved(self.speed, output_tokens / writing)
            self.speeds.add(output_tokens / writing)


def _moved(average: float | None, value: float) -> float:
    return value if average is None else average + SMOOTHING * (value - average)


def rest_seconds(error: GatewayError, why: Failure) -> float | None:
    """How long the key rests after this error. None: it is not about the key."""
    if why is Failure.RATE_LIMIT:
        later = error.retry_after if isinstance(error, UpstreamError) else None
        return later.total_seconds() if later is not None else BUSY_REST_SECONDS
    if why is not Failure.KEY:
        return None
    passes = isinstance(error, UpstreamError) and error.blames_key and error.status != 401
    return BLAMED_REST_SECONDS if passes else KEY_REST_SECONDS


def is_sure(error: GatewayError) -> bool:
    """Tell whether no request can have caused this error of a key: a 401, or no access token."""
    return isinstance(error, UpstreamError) and (error.status == 401 or (error.blames_key and error.status is None))


class RouteStates:
    """The states of all routes and the keys of all providers of this process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.routes: dict[tuple[str, str], RouteState] = {}
        self.keys: dict[str, KeyRing] = {}
        self.retaining: dict[str, Provider] = {}
        """Providers that have said of a call that they keep it, though the catalog says that they keep nothing."""

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

    def key(self, route: Route, account: Hashable, now: float) -> int:
        """The number of the key that has its turn."""
        if (keys := keys_of(route)) == 1:
            return 0
        ring = self.ring(route.provider)
        key = ring.next(keys, now, account)
        return ring.least_bad(keys, account) if key is None else key

    def admits(self, route: Route, account: Hashable, now: float) -> bool:
        """Tell whether the route's breaker is closed for this account."""
        state = self.routes.get(route.key)
        return state is None or state.breaker.admits(account, now)

    def has_key(self, route: Route, account: Hashable, now: float) -> bool:
        """Tell whether a key of the route's provider does not rest for this account."""
        ring = self.keys.get(route.provider.name)
        return ring is None or ring.rests_until(keys_of(route), account) <= now

    def fails_for_all(self, route: Route, now: float) -> bool:
        """Tell whether everybody's calls fail: the route rests for all, or a key of its provider does."""
        ring = self.keys.get(route.provider.name)
        return self.of(route).breaker.position(now) == OPEN or (ring is not None and ring.resting(now) > 0)

    def may_fail(self, route: Route) -> bool:
        """Tell whether another route or a key of its provider has failed for everybody, and not worked since."""
        name, ring = route.provider.name, self.keys.get(route.provider.name)
        broken = any(state.breaker.everybody.until for key, state in self.routes.items() if key[0] == name)
        return broken or (ring is not None and ring.failed(keys_of(route)))

    def covers(self, route: Route, required: PrivacyClass) -> bool:
        """Tell whether the route keeps as little, also by what its provider has said.

        A changed entry of the catalog is believed again.
        """
        if not route.privacy.covers(required):
            return False
        if required is not PrivacyClass.ZERO_RETENTION or not self.retaining:
            return True
        return self.retaining.get(route.provider.name) != route.provider

    def opens_at(self, route: Route, account: Hashable) -> float:
        return self.of(route).breaker.opens_at(account)


def keys_of(route: Route) -> int:
    """The number of keys of its provider: one, even where it needs none."""
    return 1 + len(route.provider.more_keys)
