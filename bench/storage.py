"""`python -m bench.storage`: how many rows and bytes of PostgreSQL calls take.

The calls are planted by SQL, as the ledger would have written them, and every table is looked at before and after.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bench import report
from bench.purge import PLANT
from bench.stack import Stack
from dev import ports

MILLION = 1_000_000
CALLS = 100_000
TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname"
SIZE = "SELECT pg_total_relation_size(%s::regclass)"
Sizes = dict[str, tuple[int, int]]
"""Rows, and bytes with indexes, by table."""


def main(calls: Annotated[int, typer.Option(help="Calls that are planted.")] = CALLS) -> None:
    """Print the rows and bytes of a million calls, by table."""
    with tempfile.TemporaryDirectory(prefix="yout-storage-") as folder:
        grown = asyncio.run(measured(Path(folder), calls))
    shown = Table("table", "rows", "MB", title=f"A million calls, from {calls:,}")
    for table, (rows, size) in grown.items():
        shown.add_row(table, f"{rows * MILLION / calls:,.0f}", f"{size * MILLION / calls / 1e6:,.0f}")
    rows, size = (sum(each) for each in zip(*grown.values(), strict=True))
    shown.add_row("all", f"{rows * MILLION / calls:,.0f}", f"{size * MILLION / calls / 1e6:,.0f}")
    report.console().print(shown)


async def measured(folder: Path, calls: int) -> Sizes:
    """What the tables grew by: those that did."""
    stack = Stack(folder, ports.free(), ["plain"])
    try:
        await stack.start(0)
        account, _ = await stack.open_account("stored@example.test", 10**12)
        before = await _sizes(stack)
        await stack.run(PLANT.format(account=account, calls=calls, over="1 hour"))
        after = await _sizes(stack)
    finally:
        await stack.stop()
    grown = {name: (rows - before[name][0], size - before[name][1]) for name, (rows, size) in after.items()}
    return {name: (rows, size) for name, (rows, size) in grown.items() if rows > 0}


async def _sizes(stack: Stack) -> Sizes:
    sizes: Sizes = {}
    for (name,) in await stack.rows(TABLES):
        rows = await stack.number(f'SELECT count(*) FROM "{name}"')  # noqa: S608  # a name of our own
        sizes[name] = rows, await stack.number(SIZE, name)
    return sizes


if __name__ == "__main__":
    typer.run(main)
