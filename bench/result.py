"""What one run has found, and whether that is what we want of it."""

from dataclasses import asdict, dataclass, field
from typing import Any

from bench.plan import Spread

CALL_MICROSECONDS = 500.0
CHUNK_MICROSECONDS = 110.0
STREAMS = 2000
CALLS = 200_000
GROWTH_MIB = 8.0
"""How much the process may grow after the first quarter of its calls and be called flat."""
ERASED = 1_000_000
ERASED_SECONDS = 60.0
BESIDE = 1.5
"""How many times as long calls may take while a purge runs, at their p99."""
NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    connections: int
    rate: float
    latency: Spread
    errors: int
    cpu: float = 0.0
    """CPU microseconds of the process under load, per call."""
    postgres_cpu: float = 0.0
    operations_per_commit: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunks:
    """Streams at a steady pace."""

    streams: int
    cadence_ms: int
    chunks: int
    errors: int
    cpu: float
    """CPU microseconds per chunk."""
    postgres_cpu: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One server under the same load as the others."""

    levels: list[Level]
    first_byte: Spread
    chunks: Chunks | None = None

    @property
    def best(self) -> Level:
        return max(self.levels, key=lambda level: level.rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    wanted: int
    at_once: int
    errors: int
    seconds: float
    gap: Spread
    kib_each: float
    cores: float
    """CPU of the API process, in cores, while all of them ran."""
    complaints: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    calls: int
    mib: list[float]
    """Of the API process, evenly over the run."""

    @property
    def growth(self) -> float:
        """From the first quarter's end to the end."""
        return self.mib[-1] - self.mib[len(self.mib) // 4] if self.mib else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What makes the figures worth something: commits that reach the disk, and a ledger that adds up."""

    durability: dict[str, str]
    answered: int
    """Calls that the clients saw charged: answers that were whole."""
    charged: int
    usage_rows: int
    clean: bool
    checks: int

    @property
    def right(self) -> bool:
        return self.clean and self.answered == self.charged == self.usage_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """A purge of an account with many calls, while another account calls at a steady pace."""

    calls: int
    seconds: float
    postgres: float
    """CPU seconds of PostgreSQL meanwhile, with those of the other account's calls."""
    alone: Spread
    """Of calls without a purge."""
    beside: Spread
    right: bool
    """All calls were erased, the balance is the same, and the audit is clean."""

    @property
    def slower(self) -> float:
        return self.beside.p99 / self.alone.p99 if self.alone.p99 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Another gateway under the same load."""

    name: str
    about: str
    wanted: float
    """How many times its calls per second ours are to be."""
    subject: Subject | None
    note: str
    """Its version and errors; why it was not measured, when there is no subject: it is never taken for slow then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    machine: dict[str, str]
    direct: Subject
    yout: Subject
    peers: list[Beside]
    streams: Streams
    memory: Memory
    erasure: Erasure
    books: Books

    @property
    def right(self) -> bool:
        return self.books.right and self.erasure.right

    def ratio(self, peer: Beside) -> float | None:
        subject = peer.subject
        return self.yout.best.rate / subject.best.rate if subject and subject.best.rate else None

    @property
    def subjects(self) -> list[tuple[str, Subject]]:
        """All that were measured: the upstream itself, ours, the others."""
        others = [(peer.name, peer.subject) for peer in self.peers if peer.subject]
        return [("direct", self.direct), ("Yout", self.yout), *others]

    def added(self, subject: Subject) -> list[tuple[int, Spread]]:
        """Latency over that of the upstream itself, by connections."""
        direct = {level.connections: level.latency for level in self.direct.levels}
        return [(level.connections, level.latency.over(direct[level.connections])) for level in subject.levels]

    def as_dict(self) -> dict[str, Any]:
        targets = [asdict(target) for target in self.targets()]
        ratios = {peer.name: self.ratio(peer) for peer in self.peers}
        return {**asdict(self), "ratios": ratios, "memory_growth_mib": self.memory.growth, "targets": targets}

    def targets(self) -> list["Target"]:
        chunks, streams, memory = self.yout.chunks, self.streams, self.memory
        call = min(level.cpu for level in self.yout.levels)
        return [
            *(self._beside(peer) for peer in self.peers),
            Target(
                "CPU per call", f"at most {CALL_MICROSECONDS:g} µs", f"{call:.0f} µs", 0 < call <= CALL_MICROSECONDS
            ),
            Target(
                "CPU per streamed chunk",
                f"at most {CHUNK_MICROSECONDS:g} µs",
                f"{chunks.cpu:.0f} µs" if chunks else NOT_MEASURED,
                chunks.errors == 0 and chunks.cpu <= CHUNK_MICROSECONDS if chunks else None,
            ),
            Target(
                "streams at once, every 500 ms a chunk",
                f"{STREAMS:,} without an error",
                f"{streams.at_once:,}, {streams.errors} errors",
                streams.errors == 0 and streams.at_once >= STREAMS,
            ),
            Target(
                f"memory over {memory.calls:,} calls",
                f"flat within {GROWTH_MIB:g} MiB, {CALLS:,} calls",
                f"{memory.growth:+.1f} MiB",
                memory.growth <= GROWTH_MIB if memory.calls >= CALLS else None,
            ),
            *self._erasure(self.erasure),
        ]

    def _erasure(self, erasure: Erasure) -> list["Target"]:
        large = erasure.calls >= ERASED
        return [
            Target(
                f"purge of {erasure.calls:,} calls",
                f"{ERASED:,} within {ERASED_SECONDS:g} s",
                f"{erasure.seconds:.0f} s",
                erasure.seconds <= ERASED_SECONDS if large else None,
            ),
            Target(
                "p99 of calls beside a purge, times that without",
                f"at most {BESIDE:g}, {ERASED:,} calls",
                f"{erasure.slower:.2f}",
                erasure.slower <= BESIDE if large else None,
            ),
        ]

    def _beside(self, peer: Beside) -> "Target":
        ratio = self.ratio(peer)
        return Target(
            f"calls per second, times {peer.name}'s",
            f"at least {peer.wanted:g}",
            NOT_MEASURED if ratio is None else f"{ratio:.1f}",
            None if ratio is None else ratio >= peer.wanted,
        )


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    wanted: str
    got: str
    met: bool | None
    """None: this run cannot tell."""

    @property
    def verdict(self) -> str:
        return {True: "met", False: "missed", None: NOT_MEASURED}[self.met]
