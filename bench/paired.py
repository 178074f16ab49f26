"""`--against COMMIT`: this tree and another commit under the same load, in turns. What is compared is CPU, by ratio."""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import orjson
import typer
import uvloop
from rich.table import Table

from bench import first_byte, report
from bench.measure import Measure, quick_pace, server_of
from bench.older import checked_out
from bench.stack import HERE, STATE, Stack, start_upstream
from dev.errors import CannotStart

out = report.console()
OPTION = "--against"
CONNECTIONS = 64
STREAMS = 32


class Kind(StrEnum):
    CALLS = "calls"
    ALONE = "alone"
    CHUNK = "chunk"
    FIRST_BYTE = "first-byte"


@dataclass(frozen=True, slots=True)
class Figure:
    """One value that a measurement gives. `wanted` is the most that its ratio may be; None: it only explains."""

    kind: Kind
    name: str
    unit: str = "µs"
    wanted: float | None = None


CALL = Figure(Kind.CALLS, f"CPU per call, {CONNECTIONS} connections", wanted=0.65)
CALL_API, CALL_POSTGRES = Figure(Kind.CALLS, "  of it the API"), Figure(Kind.CALLS, "  of it PostgreSQL")
ALONE = Figure(Kind.ALONE, "CPU per call, alone", wanted=0.60)
ALONE_API, ALONE_POSTGRES = Figure(Kind.ALONE, "  of it the API"), Figure(Kind.ALONE, "  of it PostgreSQL")
CHUNK = Figure(Kind.CHUNK, f"CPU per chunk, {STREAMS} streams", wanted=0.45)
FIRST_CPU = Figure(Kind.FIRST_BYTE, "CPU to a stream's first byte", wanted=0.70)
FIRST_TIME = Figure(Kind.FIRST_BYTE, "time to a stream's first byte", "ms", wanted=0.70)

Values = Mapping[Figure, float]


@dataclass(slots=True)
class Comparison:
    """The values of a figure, one of each side for every turn."""

    figure: Figure
    base: list[float] = field(default_factory=list)
    new: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """Turn by turn: what disturbs a turn disturbs both of its sides."""
        return [new / base for base, new in zip(self.base, self.new, strict=True)]

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    @property
    def verdict(self) -> str:
        if self.figure.wanted is None:
            return ""
        return "met" if self.ratio <= self.figure.wanted else "missed"

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.figure.name.strip(),
            "measurement": self.figure.kind,
            "unit": self.figure.unit,
            "base": self.base,
            "new": self.new,
            "ratio": self.ratio,
            "wanted": self.figure.wanted,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True)
class Side:
    name: str
    measure: Measure
    seconds: float

    async def values(self, kind: Kind) -> Values:
        """Raises `CannotStart` when any of its calls failed: half of the work would look like half of the cost."""
        measured = await _MEASUREMENTS[kind](self)
        if self.measure.errors or not all(value > 0 for value in measured.values()):
            raise CannotStart(f"{self.name}: {self.measure.errors} calls failed while {kind} was measured")
        return measured


async def _calls(side: Side) -> Values:
    level = await side.measure.level(CONNECTIONS)
    return {CALL: level.cpu + level.postgres_cpu, CALL_API: level.cpu, CALL_POSTGRES: level.postgres_cpu}


async def _alone(side: Side) -> Values:
    level = await side.measure.level(1)
    return {ALONE: level.cpu + level.postgres_cpu, ALONE_API: level.cpu, ALONE_POSTGRES: level.postgres_cpu}


async def _chunk(side: Side) -> Values:
    chunks = await side.measure.chunks(STREAMS)
    return {CHUNK: chunks.cpu + chunks.postgres_cpu}


async def _first_byte(side: Side) -> Values:
    times = await first_byte.first_byte(side.measure.server, side.seconds)
    return {FIRST_CPU: times.cpu + times.postgres_cpu, FIRST_TIME: times.milliseconds}


_MEASUREMENTS: Mapping[Kind, Callable[[Side], Awaitable[Values]]] = {
    Kind.CALLS: _calls,
    Kind.ALONE: _alone,
    Kind.CHUNK: _chunk,
    Kind.FIRST_BYTE: _first_byte,
}


def main(
    against: Annotated[str, typer.Option(OPTION, help="The commit that this tree is compared with.")],
    only: Annotated[list[Kind] | None, typer.Option(help="Only this measurement; may be given several times.")] = None,
    turns: Annotated[int, typer.Option(min=1, help="How often both sides are measured.")] = 5,
    seconds: Annotated[float, typer.Option(min=1, help="Of each measurement.")] = 8.0,
) -> None:
    """Measure this tree and another commit in turns. Exit 0 also when a target is missed; 2: it cannot be measured."""
    try:
        comparisons = uvloop.run(compared(against, list(only or Kind), turns, seconds))
    except CannotStart as problem:
        out.print(f"[red]error:[/red] {problem}", highlight=False)
        raise typer.Exit(2) from None
    except asyncio.CancelledError:
        raise typer.Exit(128 + signal.SIGTERM) from None
    result = [comparison.as_dict() for comparison in comparisons]
    (STATE / "paired.json").write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
    out.print(table(against, comparisons))
    out.print(f"written: {STATE / 'paired.json'}", highlight=False)


async def compared(against: str, kinds: Sequence[Kind], turns: int, seconds: float) -> list[Comparison]:
    """Leaves nothing behind, also when it is told to stop."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # a coroutine runs in one
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    STATE.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=STATE))
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        _say(f"{against}: checking it out, and installing what it needs")
        older = await stack.enter_async_context(checked_out(against, folder / "checkout"))
        port, upstream = await start_upstream(folder / "upstream.log")
        stack.push_async_callback(upstream.end)
        models = ("plain", quick_pace(seconds), first_byte.MODEL)
        sides: list[Side] = []
        for name, checkout in ((against, older), ("this tree", HERE)):
            gateway = Stack(folder / f"yout-{len(sides)}", port, models, checkout)
            stack.push_async_callback(gateway.stop)
            await gateway.start(1)
            sides.append(Side(name, Measure(server_of(gateway, name), seconds, _quiet), seconds))
            await sides[-1].measure.warm_up()
        return await in_turns(sides, kinds, turns)


async def in_turns(sides: Sequence[Side], kinds: Sequence[Kind], turns: int) -> list[Comparison]:
    """Base, new, new, base …: neither is always the one that comes after the other."""
    base, _ = sides
    comparisons: dict[Figure, Comparison] = {}
    for turn in range(turns):
        for kind in kinds:
            for side in sides if turn % 2 == 0 else reversed(sides):
                for figure, value in (await side.values(kind)).items():
                    comparison = comparisons.setdefault(figure, Comparison(figure))
                    (comparison.base if side is base else comparison.new).append(value)
        last = (f"{one.figure.name.strip()} {one.ratios[-1]:.0%}" for one in comparisons.values() if one.figure.wanted)
        _say(f"turn {turn + 1} of {turns}: {', '.join(last)}")
    return list(comparisons.values())


def table(against: str, comparisons: Sequence[Comparison]) -> Table:
    drawn = Table(title=f"This tree beside {against}: medians, and this tree's part of the other's")
    for name in ("", against, "this tree", "ratio", "least", "most", "wanted", ""):
        drawn.add_column(name, justify="right" if name not in ("", "wanted") else "left")
    for one in comparisons:
        figure, style = one.figure, {"met": "green", "missed": "red", "": "default"}[one.verdict]
        drawn.add_row(
            *(figure.name, f"{median(one.base):,.4g} {figure.unit}", f"{median(one.new):,.4g} {figure.unit}"),
            *(f"{one.ratio:.0%}", f"{min(one.ratios):.0%}", f"{max(one.ratios):.0%}"),
            *(f"at most {figure.wanted:.0%}" if figure.wanted else "", f"[{style}]{one.verdict}[/{style}]"),
        )
    return drawn


def _say(line: str) -> None:
    out.print(line, highlight=False, soft_wrap=True)


def _quiet(_line: str) -> None:
    pass
