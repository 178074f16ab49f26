"""The result for people: tables in the terminal."""

import sys

from rich.console import Console
from rich.table import Table

from bench.result import Result

WIDTH = 150
"""Of what is written into a file or a pipe: no table is broken there."""
_STYLES = {"met": "green", "missed": "red", "not measured": "yellow"}


def console() -> Console:
    return Console(width=None if sys.stdout.isatty() else WIDTH)


def show(result: Result, out: Console) -> None:
    out.print(_calls(result))
    out.print(_streams(result))
    out.print(_targets(result))
    books, erasure = result.books, result.erasure
    out.print(
        f"purge of {erasure.calls:,} calls: {erasure.seconds:.1f} s, {erasure.postgres:.1f} s CPU of PostgreSQL; p99 "
        f"of other calls {erasure.beside.p99:.0f} ms, without it {erasure.alone.p99:.0f} ms; "
        f"{'right' if erasure.right else '[red]NOT right[/red]'}",
        highlight=False,
    )
    durable = ", ".join(f"{name} {value}" for name, value in books.durability.items())
    out.print(f"PostgreSQL says: {durable}", highlight=False)
    out.print(
        f"{books.answered:,} calls answered, {books.charged:,} charged, {books.usage_rows:,} usage rows; audit of "
        f"{books.checks} checks: {'clean' if books.clean else '[red]DRIFT[/red]'}",
        highlight=False,
    )
    for peer in result.peers:
        if peer.subject is None:
            out.print(f"[yellow]{peer.name} was not measured: {peer.note}[/yellow]", highlight=False)


def _calls(result: Result) -> Table:
    table = Table(title="Calls that do not stream")
    for name in ("", "connections", "calls/s", "p50 ms", "p99 ms", "added p50", "added p99", "µs CPU", "µs PostgreSQL"):
        table.add_column(name, justify="right" if name else "left")
    table.add_column("operations per commit", justify="right")
    for name, subject in result.subjects:
        added = dict(result.added(subject))
        for level in subject.levels:
            over = added[level.connections]
            table.add_row(
                *(name, str(level.connections), f"{level.rate:,.0f}"),
                *(f"{level.latency.p50:.1f}", f"{level.latency.p99:.1f}", f"{over.p50:.1f}", f"{over.p99:.1f}"),
                *(f"{level.cpu:,.0f}", f"{level.postgres_cpu:,.0f}" if level.postgres_cpu else ""),
                f"{level.operations_per_commit:g}" if level.operations_per_commit else "",
            )
        table.add_section()
    return table


def _streams(result: Result) -> Table:
    table = Table(title="Streams")
    table.add_column("")
    for name in ("first byte p50 ms", "p99 ms", "µs CPU per chunk", "streams", "chunks/s each"):
        table.add_column(name, justify="right")
    for name, subject in result.subjects:
        chunks = subject.chunks
        table.add_row(
            *(name, f"{subject.first_byte.p50:.1f}", f"{subject.first_byte.p99:.1f}"),
            *((f"{chunks.cpu:.0f}", str(chunks.streams), f"{1000 / chunks.cadence_ms:g}") if chunks else ("", "", "")),
        )
    held = result.streams
    table.caption = (
        f"{held.at_once:,} streams at once, a chunk every 500 ms: {held.errors} errors, gap p50 {held.gap.p50:.0f} ms, "
        f"p99 {held.gap.p99:.0f} ms, {held.kib_each:.0f} KiB each, {held.cores:.2f} cores"
    )
    return table


def _targets(result: Result) -> Table:
    table = Table(title="Targets")
    for name in ("", "wanted", "got", ""):
        table.add_column(name)
    for target in result.targets():
        style = _STYLES[target.verdict]
        table.add_row(target.name, target.wanted, target.got, f"[{style}]{target.verdict}[/{style}]")
    return table
