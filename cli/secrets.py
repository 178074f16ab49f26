"""`yout secrets`: which master secret encrypts what is stored, and its rotation."""

import sys
from typing import TYPE_CHECKING

import click

from cli.database import open_database, run, settings
from cli.groups import Group
from cli.terminal import as_json, on_terminal, print_json, print_table, say, say_folded, working
from domain.counts import counted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.secret_rotation import Opened, SecretRotation

LEFT = 1


@click.group(cls=Group)
def secrets() -> None:
    """Which master secret encrypts what is stored, and its rotation."""


@secrets.command("status")
@as_json
def secrets_status(as_json: bool) -> None:
    """How many rows each secret opens. Exit code 0: the current one opens all of them, 1: it does not."""
    _tell(run(_with_rotation(lambda rotation: rotation.status())), as_json=as_json)


@secrets.command("rotate")
@as_json
def secrets_rotate(as_json: bool) -> None:
    """Encrypt with YOUT_SECRET_KEY what YOUT_PREVIOUS_SECRET_KEYS have encrypted, while everything runs.

    Safe to interrupt and to repeat. Exit codes are those of `yout secrets status`.
    """
    done: dict[str, int] = {}

    def report(table: str, rows: int) -> None:
        done[table] = done.get(table, 0) + rows
        line = f"{table}: {counted(done[table], 'row')} encrypted anew"
        show(line)
        if not as_json and not on_terminal():
            sys.stderr.write(line + "\n")

    async def rotate(rotation: "SecretRotation") -> "tuple[Opened, ...]":
        await rotation.rotate(report)
        return await rotation.status()

    with working("looking for what a previous secret has encrypted") as show:
        tables = run(_with_rotation(rotate))
    _tell(tables, as_json=as_json, rewrapped=done)


@secrets.command("payload-keys")
@as_json
def secrets_payload_keys(as_json: bool) -> None:
    """Print the keys of what is in Temporal, for workers that serve workflows alone: YOUT_TEMPORAL_PAYLOAD_KEYS.

    They open nothing else. After a change of YOUT_SECRET_KEY or YOUT_PREVIOUS_SECRET_KEYS, print them again.
    """
    from domain.secrets import Purpose

    keys = [key.hex() for key in settings().secrets.derive(Purpose.TEMPORAL_PAYLOADS).every]
    if as_json:
        print_json({"payload_keys": keys})
    else:
        say(",".join(keys))


async def _with_rotation(work: "Callable[[SecretRotation], Awaitable[tuple[Opened, ...]]]") -> "tuple[Opened, ...]":
    from gateway.secret_rotation import SecretRotation

    database = open_database()
    try:
        return await work(SecretRotation(database, settings().secrets))
    finally:
        await database.close()


def _tell(tables: "tuple[Opened, ...]", *, as_json: bool, rewrapped: dict[str, int] | None = None) -> None:
    unknown = sum(table.unknown for table in tables)
    previous = sum(sum(table.previous) for table in tables)
    if as_json:
        rows = [
            {"table": table.table, "current": table.current, "previous": table.previous, "unknown": table.unknown}
            for table in tables
        ]
        counts = {} if rewrapped is None else {"rewrapped": sum(rewrapped.values())}
        print_json({"tables": rows, "done": not previous and not unknown} | counts)
    else:
        _print(tables)
        say_folded(_summary(previous, unknown))
    sys.exit(LEFT if previous or unknown else 0)


def _print(tables: "tuple[Opened, ...]") -> None:
    heads = ("current", *(f"previous {number + 1}" for number in range(len(tables[0].previous))), "none of them")
    counts = [(table.current, *table.previous, table.unknown) for table in tables]
    rows = [(table.table, *(f"{count:,}" for count in row)) for table, row in zip(tables, counts, strict=True)]
    print_table(("rows opened by", *heads), rows, numbers=heads)


def _summary(previous: int, unknown: int) -> str:
    if unknown:
        return "Some rows are opened by no secret that is set here: name the one that is missing."
    if previous:
        return "A previous secret is still needed: run `yout secrets rotate`."
    return (
        "The current secret opens everything that is stored. The previous ones can go when what they made outside of "
        "the database has ended: docs/production.md says when."
    )
