"""`python -m bench.media`: what media jobs cost: to accept, to listen to, to make, and to wait for.

The vendors are the doubles of the tests, in a process of their own. There is one API process, and workers as needed.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import orjson
import typer

from bench import report
from bench.media import document
from bench.media.accepting import accepted
from bench.media.beginning import begun
from bench.media.figures import SHORT, Figure, Part, Plan, Result
from bench.media.listening import listened
from bench.media.making import measure
from bench.media.running import Running, running
from bench.media.waiting import waited
from bench.older import checked_out
from bench.process import allow_files
from bench.stack import HERE, ROOT, STATE, Checkout
from dev.errors import CannotStart

PARTS: Mapping[Part, Callable[[Running, Plan], Awaitable[list[Figure]]]] = {
    Part.ACCEPT: accepted,
    Part.LISTEN: listened,
    Part.MAKE: measure,
    Part.BEGIN: begun,
    Part.WAIT: waited,
}
"""In this order: what waits for ever comes last."""
PAGE = ROOT / "docs" / "benchmark.md"
out = report.console()


def main(
    only: Annotated[list[Part] | None, typer.Option(help="Only this part; may be given several times.")] = None,
    waiting: Annotated[int | None, typer.Option(help="Jobs whose vendor does not end them. 5,000, or 300.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few of everything: for a ratio to another commit.")] = False,
    against: Annotated[str, typer.Option(help="Measure this commit, too, in the same run.")] = "",
    docs: Annotated[bool, typer.Option("--docs", help="Write its part of docs/benchmark.md.")] = False,
) -> None:
    """Measure media jobs. The numbers are those of this machine, with its load: ratios say more."""
    parts = [part for part in Part if part in (only or Part)]
    plan = replace(SHORT if quick else Plan(), parts=parts)
    plan = replace(plan, waiting=waiting or plan.waiting)
    try:
        results = asyncio.run(compared(plan, against) if against else alone(plan))
    except CannotStart as problem:
        out.print(f"error: {problem}", markup=False)
        raise typer.Exit(2) from None
    out.print(document.table(results))
    (STATE / "media.json").write_bytes(orjson.dumps({name: asdict(result) for name, result in results.items()}))
    if docs:
        PAGE.write_text(document.with_media(PAGE.read_text(), document.section(results)))


async def alone(plan: Plan) -> Mapping[str, Result]:
    STATE.mkdir(parents=True, exist_ok=True)
    allow_files()
    return {"this tree": await run(plan, STATE)}


async def compared(plan: Plan, commit: str) -> Mapping[str, Result]:
    """The commit, then this tree."""
    allow_files()
    STATE.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="older-", dir=STATE))
    async with AsyncExitStack() as ending:
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        older = await ending.enter_async_context(checked_out(commit, folder / "checkout"))
        return {name: await run(plan, folder, each) for name, each in ((commit, older), ("this tree", HERE))}


async def run(plan: Plan, folder: Path, checkout: Checkout = HERE) -> Result:
    """Measure on a stack of its own, in a folder within this one."""
    result = Result(plan)
    with tempfile.TemporaryDirectory(prefix="media-", dir=folder) as own:
        async with running(Path(own) / "stack", plan, checkout) as stack:
            for part, measure in PARTS.items():
                if part in plan.parts:
                    result.machine.note_load()
                    figures = await measure(stack, plan)
                    for figure in figures:
                        out.print(f"{part.value}: {figure.name}: {figure.value}  {figure.spread}", highlight=False)
                    result.figures += figures
            result.machine.note_load()
    return result


if __name__ == "__main__":
    typer.run(main)
