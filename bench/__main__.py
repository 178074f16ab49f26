"""`python -m bench`: the upstream directly, Yout with billing on, and other gateways that bill nothing; in one run."""

import asyncio
import os
import platform
import shutil
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
import uvloop

from bench import chart, document, litellm, paired, portkey, purge, report
from bench.measure import Measure, Server, quick_pace, server_of, slow_pace
from bench.media.document import media_of
from bench.peer import Peer
from bench.process import allow_files
from bench.result import CALLS, ERASED, STREAMS, Beside, Books, Result, Subject
from bench.stack import ROOT, STATE, Stack, require_durable, start_upstream
from dev.child import Child
from dev.errors import CannotStart

out = report.console()
AUDIT_SECONDS = 300.0
YOUT_STREAMS = 32
PEERS = (litellm.PEER, portkey.PEER)


@dataclass(frozen=True, slots=True)
class Options:
    seconds: float
    calls: int
    streams: int
    alone: bool

    @property
    def erased(self) -> int:
        return ERASED if self.calls >= CALLS else 20_000

    @property
    def models(self) -> tuple[str, ...]:
        return ("plain", quick_pace(self.seconds), slow_pace(self.seconds, self.streams))


def say(line: str) -> None:
    out.print(line, highlight=False)


def main(
    seconds: Annotated[float, typer.Option(help="Of each measurement.")] = 10.0,
    calls: Annotated[int, typer.Option(help="Over which memory must stay flat.")] = CALLS,
    quick: Annotated[bool, typer.Option(help="A minute in all: to see that it runs, not to quote.")] = False,
    alone: Annotated[bool, typer.Option("--alone", help="No other gateway beside it.")] = False,
    docs: Annotated[bool, typer.Option("--docs", help="Write docs/benchmark.md and its chart.")] = False,
) -> None:
    """Measure, print, and write the result and its chart into the state folder. Exit 1: the ledger is not right.

    With `--against COMMIT`: compare with that commit, under options of its own (`--against COMMIT --help`).
    """
    options = Options(1.0, 4000, 200, alone) if quick else Options(seconds, calls, STREAMS, alone)
    allow_files()
    try:
        result = uvloop.run(measured(options))
    except CannotStart as problem:
        say(f"[red]error:[/red] {problem}")
        raise typer.Exit(2) from None
    STATE.mkdir(parents=True, exist_ok=True)
    (STATE / "result.json").write_bytes(orjson.dumps(result.as_dict(), option=orjson.OPT_INDENT_2))
    (STATE / "benchmark.svg").write_text(chart.draw(result))
    if docs:
        page = ROOT / "docs" / "benchmark.md"
        page.write_text(document.write(result, media_of(page.read_text())))
        (ROOT / "docs" / "benchmark.svg").write_text(chart.draw(result))
    report.show(result, out)
    say(f"written: {STATE / 'result.json'}, {STATE / 'benchmark.svg'}")
    raise typer.Exit(0 if result.right else 1)


async def measured(options: Options) -> Result:
    STATE.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=STATE))
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        port, upstream = await start_upstream(folder / "upstream.log")
        stack.push_async_callback(upstream.end)
        say("the upstream directly")
        direct = await _direct(port, upstream, options)
        say("Yout, billing on")
        gateway = Stack(folder / "yout", port, options.models)
        stack.push_async_callback(gateway.stop)
        await gateway.start(1)
        measure = Measure(server_of(gateway, "Yout"), options.seconds, say)
        yout = await measure.subject(YOUT_STREAMS)
        peers = [await _beside(peer, folder, port, options) for peer in PEERS]
        say(f"{options.streams:,} streams, then {options.calls:,} calls")
        held = await measure.streams(options.streams)
        memory = await measure.memory(options.calls)
        books = await _books(gateway, measure)
        say(f"a purge of {options.erased:,} calls")
        erasure = await purge.measured(folder / "purge", port, options.erased, 2 * options.seconds)
        return Result(
            machine=await _machine(gateway, options),
            direct=direct,
            yout=yout,
            peers=peers,
            streams=held,
            memory=memory,
            erasure=erasure,
            books=books,
        )


async def _direct(port: int, upstream: Child, options: Options) -> Subject:
    server = Server("direct", port, "none", "", upstream.pid)
    return await Measure(server, max(1.0, options.seconds / 2), say).subject(YOUT_STREAMS)


async def _beside(peer: Peer, folder: Path, upstream: int, options: Options) -> Beside:
    """Without a subject when it cannot be measured here: never taken for slower than it is."""
    subject, note = None, "left out"
    if not options.alone:
        say(f"{peer.name} {peer.version}")
        try:
            subject, note = await _measured(peer, folder, upstream, options)
        except CannotStart as problem:
            note = str(problem)
    return Beside(name=peer.name, about=peer.about, wanted=peer.ratio, subject=subject, note=note)


async def _measured(peer: Peer, folder: Path, upstream: int, options: Options) -> tuple[Subject, str]:
    await peer.install()
    running = await peer.start(folder, upstream, options.models)
    try:
        where = running.port, running.token, running.prefix, running.child.pid
        measure = Measure(Server(peer.name, *where, headers=running.headers), options.seconds, say)
        subject = await measure.subject(peer.streams)
    finally:
        await running.child.end()
    if measure.answered == 0:
        raise CannotStart("it answered no call")
    return subject, f"version {peer.version}, {measure.errors} errors"


async def _books(gateway: Stack, measure: Measure) -> Books:
    audited = await _audited(gateway)
    return Books(
        durability=await require_durable(gateway.postgres.url),
        answered=measure.answered,
        charged=await gateway.number("SELECT count(*) FROM holds WHERE state = 'settled' AND charged > 0"),
        usage_rows=await gateway.number("SELECT count(*) FROM usage"),
        clean=bool(audited["clean"]),
        checks=int(audited["checks"]),
    )


async def _audited(gateway: Stack) -> dict[str, Any]:
    """One that cannot be had is not clean, and costs no result."""
    try:
        async with asyncio.timeout(AUDIT_SECONDS):
            return await gateway.audit()
    except (CannotStart, TimeoutError) as problem:
        say(f"[red]no audit:[/red] {problem or f'not done after {AUDIT_SECONDS:g} s'}")
        return {"clean": False, "checks": 0}


async def _machine(gateway: Stack, options: Options) -> dict[str, str]:
    ((postgres,),) = await gateway.rows("SELECT current_setting('server_version')")
    return {
        "cores": str(os.cpu_count()),
        "cpu": _cpu_model(),
        "load": f"{os.getloadavg()[2]:.1f} (15 minutes)",
        "python": platform.python_version(),
        "kernel": platform.release(),
        "postgres": str(postgres),
        "uvicorn": version("uvicorn"),
        "seconds": f"{options.seconds:g}",
    }


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    compares = any(word.partition("=")[0] == paired.OPTION for word in sys.argv)
    typer.run(paired.main if compares else main)
