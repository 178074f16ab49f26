"""What a load is told to do, and what it found: passed between processes as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    port: int
    token: str
    model: str
    connections: int
    stream: bool = False
    seconds: float = 3600.0
    """No new call begins after them."""
    calls: int = 10**9
    """No more calls than this, over all connections."""
    calls_each: int = 10**9
    """The same for one connection."""
    ramp: float = 0.0
    """Seconds over which the connections are opened."""
    max_tokens: int = 1000
    headers: Mapping[str, str] = field(default_factory=dict)
    """More of them in each request: what a gateway wants to be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A distribution, in milliseconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Spread":
        ordered = sorted(seconds)
        return cls(p50=round(percentile(ordered, 50) * 1000, 3), p99=round(percentile(ordered, 99) * 1000, 3))

    def over(self, other: "Spread") -> "Spread":
        """What this one adds."""
        return Spread(p50=round(self.p50 - other.p50, 3), p99=round(self.p99 - other.p99, 3))


def percentile(ordered: Sequence[float], percent: float) -> float:
    """By the nearest rank; 0 of nothing."""
    if not ordered:
        return 0.0
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    calls: int
    """Answered with 200 and whole."""
    errors: int
    seconds: float
    latency: Spread
    first_byte: Spread
    """From a stream's request to its first event."""
    gap: Spread
    """Between two arrivals of one stream."""
    chunks: int
    max_at_once: int
    complaints: list[str] = field(default_factory=list)
    """The first few errors."""

    @property
    def rate(self) -> float:
        return self.calls / self.seconds if self.seconds else 0.0
