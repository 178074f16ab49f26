"""The measurements: each drives one server with a load of its own process, and reads what that cost."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

import orjson

from bench import process
from bench.plan import Outcome, Plan, Spread
from bench.result import Chunks, Level, Memory, Streams, Subject
from bench.stack import ROOT, Api, Stack
from dev.child import Program, finish
from dev.errors import CannotStart

CONNECTIONS = (1, 16, 64, 256)
CADENCE_MS = 20
SLOW_MS = 500
SAMPLES = 40
MAX_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Server:
    """Something to put load on."""

    name: str
    port: int
    token: str
    prefix: str
    pid: int
    postgres: int | None = None
    api: Api | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def server_of(gateway: Stack, name: str) -> Server:
    """The one API process of a started stack."""
    (api,) = gateway.apis
    return Server(name, api.port, gateway.token, "bench-", api.pid, gateway.postgres.pid, api)


@dataclass(frozen=True, slots=True)
class Used:
    """CPU seconds, and what the ledger did meanwhile."""

    cpu: float
    postgres: float
    batches: float
    operations: float

    def __sub__(self, before: "Used") -> "Used":
        return Used(
            self.cpu - before.cpu,
            self.postgres - before.postgres,
            self.batches - before.batches,
            self.operations - before.operations,
        )


async def used(server: Server) -> Used:
    """Asked for the ledger's figures before a measurement: what that costs is not part of it."""
    figures = await server.api.figures() if server.api else {}
    return Used(*cpu(server), *_ledger(figures))


async def spent(server: Server, before: Used) -> Used:
    own, postgres = cpu(server)
    figures = await server.api.figures() if server.api else {}
    return Used(own, postgres, *_ledger(figures)) - before


def cpu(server: Server) -> tuple[float, float]:
    postgres = process.cpu_seconds(server.postgres) if server.postgres else 0.0
    return process.cpu_seconds(server.pid), postgres


def _ledger(figures: dict[str, float]) -> tuple[float, float]:
    return figures.get("yout_ledger_batches_total", 0.0), figures.get("yout_ledger_operations_total", 0.0)


async def drive(plan: Plan) -> Outcome:
    """The load, in a process of its own."""
    program = Program(name="load", command=(sys.executable, "-m", "bench.load"), environment=os.environ, folder=ROOT)
    async with asyncio.timeout(MAX_SECONDS):
        done = await finish(program, orjson.dumps(asdict(plan)))
    if done.code != 0:
        raise CannotStart(f"the load generator failed:\n{done.errors}")
    results = orjson.loads(done.output)
    spreads = {name: Spread(**results[name]) for name in ("latency", "first_byte", "gap")}
    return Outcome(**{**results, **spreads})


def quick_pace(seconds: float) -> str:
    """The model whose streams are timed by the chunk."""
    return f"pace-{CADENCE_MS}-{int(max(2.0, seconds) * 1000 / CADENCE_MS)}"


def slow_pace(seconds: float, streams: int) -> str:
    """The model whose streams still run when the last of them has begun."""
    return f"pace-{SLOW_MS}-{int((ramp_of(streams) + max(4.0, seconds)) * 1000 / SLOW_MS)}"


def ramp_of(streams: int) -> float:
    return max(2.0, streams / 250)


@dataclass(slots=True)
class Measure:
    """Runs the measurements of one server, and counts the calls that its clients saw answered."""

    server: Server
    seconds: float
    say: Callable[[str], None]
    answered: int = 0
    errors: int = 0

    async def _drive(self, plan: Plan) -> Outcome:
        outcome = await drive(plan)
        self.answered += outcome.calls
        self.errors += outcome.errors
        for complaint in outcome.complaints[:3]:
            self.say(f"  {self.server.name}: {complaint}")
        return outcome

    def plan(self, model: str, connections: int, **more: float | bool) -> Plan:
        server = self.server
        where = {"port": server.port, "token": server.token, "headers": server.headers}
        return Plan(**where, model=server.prefix + model, connections=connections, **more)  # type: ignore[arg-type]  # by their names

    async def warm_up(self) -> None:
        await self._drive(self.plan("plain", 8, seconds=max(1.0, self.seconds / 3)))
        await self._drive(self.plan("plain", 2, stream=True, calls=10))

    async def calls(self) -> list[Level]:
        return [await self.level(connections) for connections in CONNECTIONS]

    async def level(self, connections: int) -> Level:
        before = await used(self.server)
        outcome = await self._drive(self.plan("plain", connections, seconds=self.seconds))
        cost = await spent(self.server, before)
        level = Level(
            connections=connections,
            rate=round(outcome.rate, 1),
            latency=outcome.latency,
            errors=outcome.errors,
            cpu=micros(cost.cpu, outcome.calls),
            postgres_cpu=micros(cost.postgres, outcome.calls),
            operations_per_commit=round(cost.operations / cost.batches, 1) if cost.batches else 0.0,
        )
        self.say(f"  {self.server.name}, {connections} connections: {level.rate:,.0f} calls/s, {level.cpu:.0f} µs CPU")
        return level

    async def first_byte(self) -> Spread:
        plan = self.plan("plain", 1, stream=True, seconds=max(1.0, self.seconds / 2))
        return (await self._drive(plan)).first_byte

    async def chunks(self, streams: int) -> Chunks:
        """Long streams, so that what a call costs is spread thin."""
        before = await used(self.server)
        plan = self.plan(quick_pace(self.seconds), streams, stream=True, calls_each=1, ramp=CADENCE_MS / 1000)
        outcome = await self._drive(plan)
        cost = await spent(self.server, before)
        return Chunks(
            streams=streams,
            cadence_ms=CADENCE_MS,
            chunks=outcome.chunks,
            errors=outcome.errors,
            cpu=micros(cost.cpu, outcome.chunks),
            postgres_cpu=micros(cost.postgres, outcome.chunks),
        )

    async def subject(self, streams: int) -> Subject:
        await self.warm_up()
        levels = await self.calls()
        return Subject(levels=levels, first_byte=await self.first_byte(), chunks=await self.chunks(streams))

    async def streams(self, count: int) -> Streams:
        """Opened over a while, then all held for as long again."""
        ramp = ramp_of(count)
        resident = process.of_tree(self.server.pid)
        plan = self.plan(slow_pace(self.seconds, count), count, stream=True, calls_each=1, ramp=ramp)
        running = asyncio.create_task(self._drive(plan))
        await asyncio.sleep(ramp + 1.5)
        begin, busy = asyncio.get_running_loop().time(), process.cpu_seconds(self.server.pid)
        await asyncio.sleep(max(2.0, self.seconds / 2))
        grown = process.of_tree(self.server.pid) - resident
        cores = (process.cpu_seconds(self.server.pid) - busy) / (asyncio.get_running_loop().time() - begin)
        outcome = await running
        return Streams(
            wanted=count,
            at_once=outcome.max_at_once,
            errors=outcome.errors,
            seconds=outcome.seconds,
            gap=outcome.gap,
            kib_each=round(grown / 1024 / count, 1),
            cores=round(cores, 2),
            complaints=outcome.complaints,
        )

    async def memory(self, calls: int) -> Memory:
        """In equal parts, each by a new load process: what grows with connections shows too."""
        sizes = []
        for part in range(SAMPLES):
            share = calls // SAMPLES + (1 if part < calls % SAMPLES else 0)
            await self._drive(self.plan("plain", 64, calls=share))
            sizes.append(round(process.of_tree(self.server.pid) / 2**20, 1))
        return Memory(calls=calls, mib=sizes)


def micros(seconds: float, count: int) -> float:
    return round(seconds * 1e6 / count, 1) if count else 0.0
