"""`yout usage export`: charges of each day, account, model and key, for a spreadsheet or a program."""

import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import usage_parquet
from cli.database import account_id, open_database, run
from cli.terminal import fail, working, write
from domain.counts import counted
from domain.margins import Span
from exits import CANNOT_RUN

if TYPE_CHECKING:
    from db.usage_export import UsageOfDay

PAGE = 5000
"""Rows that are read at a time: what an export needs of memory does not grow with its size."""
PARQUET = "parquet"
DAY = click.DateTime(["%Y-%m-%d"])
COLUMNS = (
    *("day", "account_id", "key_id", "model", "kind", "calls", "input_tokens", "output_tokens", "credits"),
    *("provider_cost", "costed_calls"),
)
Write = Callable[[str], None]


@click.command("export")
@click.option("--from", "since", type=DAY, required=True, help="The first day, in UTC.")
@click.option("--to", "until", type=DAY, required=True, help="The day after the last.")
@click.option("--account", help="Of this account alone: its id, or its owner's e-mail.")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl", PARQUET]), default="csv", show_default=True)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; or standard output.")
def export(since: datetime, until: datetime, account: str | None, form: str, output: Path | None) -> None:
    """Charges of each day, account, model and key, in credits; each day in UTC.

    The sum of `credits` is what the ledger has charged in these days. Refunds are not in it: `yout usage` has them.
    """
    if since >= until:
        fail("--to must be later than --from")
    if output is not None and not output.parent.is_dir():
        fail(f"there is no folder {output.parent}: make it, or name another one with --output", CANNOT_RUN)
    span = Span(since.date(), until.date(), account_id(account) if account is not None else None)
    heads, write_page = ("", _lines) if form == "jsonl" else (_heads(), _csv)
    count = 0

    def take(rows: "Sequence[UsageOfDay]", first: bool) -> None:
        nonlocal count
        count += len(rows)
        target((heads if first else "") + write_page(rows))
        show(counted(count, "row"))

    with working("reading") as show, _written(output, form) as path, _target(path) as target:
        run(_pages(span, take), quiet=False)


async def _pages(span: Span, take: "Callable[[Sequence[UsageOfDay], bool], None]") -> None:
    """Give all rows to `take`, and say which page is the first; that one may be empty."""
    from db import usage_export

    database = open_database()
    last: UsageOfDay | None = None
    try:
        while True:
            async with database.reading() as session:
                rows = await usage_export.page(session, span, last, PAGE)
            if rows or last is None:
                take(rows, last is None)
            if not rows:
                return
            last = rows[-1]
    finally:
        await database.close()


@contextmanager
def _written(output: Path | None, form: str) -> Iterator[Path | None]:
    """Give the path of the text, and turn it into what it is to be."""
    if form == PARQUET:
        with usage_parquet.converted(output) as text:
            yield text
    else:
        yield output


@contextmanager
def _target(path: Path | None) -> Iterator[Write]:
    """Give what writes text. A file is there when all of it is: one that breaks off leaves what was there before."""
    if path is None:
        yield write
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            yield lambda text: _write_to(file, text)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _write_to(file: io.TextIOBase, text: str) -> None:
    file.write(text)


def _heads() -> str:
    return ",".join(COLUMNS) + "\r\n"


def _csv(rows: "Sequence[UsageOfDay]") -> str:
    text = io.StringIO()
    csv.writer(text).writerows([_shown(row)[column] for column in COLUMNS] for row in rows)
    return text.getvalue()


def _lines(rows: "Sequence[UsageOfDay]") -> str:
    import orjson

    return b"".join(orjson.dumps(_shown(row), option=orjson.OPT_APPEND_NEWLINE) for row in rows).decode()


def _shown(row: "UsageOfDay") -> dict[str, Any]:
    values = {column: getattr(row, column) for column in COLUMNS}
    return values | {"provider_cost": f"{row.provider_cost:f}"}
