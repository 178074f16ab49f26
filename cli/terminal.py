"""Prints lines, tables and JSON to any terminal or pipe."""

import io
import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from textwrap import wrap
from typing import Any, NoReturn

import click

import exits
from exits import CANNOT_RUN, REFUSED, Failure

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
account = click.argument("account")
"""The account's id, or its owner's e-mail address."""
limit = click.option("--limit", type=click.IntRange(1, 1_000_000), default=1000, show_default=True)
"""The most rows of a list."""
_GAP = "  "
_HARD = "\N{NO-BREAK SPACE}"
_MIN_FOLDED = 30
"""Columns that the last one needs to be folded."""
_MAX_BLOCKS = 20
"""Rows that are blocks at most: more are searched, not read."""


def accept_any_text() -> None:
    """Replace characters that the terminal's encoding lacks, so that no command fails for one."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def fail(message: str, code: int = REFUSED) -> NoReturn:
    raise Failure(message, code)


def say(line: str) -> None:
    write(line + "\n")


def say_folded(line: str) -> None:
    """Print a sentence, folded at words where a terminal is too narrow for it. A command in backticks stays whole."""
    columns = _columns()
    if columns is None:
        say(line)
        return
    whole = re.sub(r"`[^`]*`", lambda command: command[0].replace(" ", _HARD), line)
    for part in wrap(whole, columns, subsequent_indent=_GAP, break_long_words=False, break_on_hyphens=False):
        say(part.replace(_HARD, " "))


def print_json(value: Any) -> None:
    """Print the value as JSON, in the terminal's encoding if it has all of the characters, else with `\\u` escapes."""
    import orjson

    text = orjson.dumps(value).decode()
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        text = json.dumps(json.loads(text), separators=(",", ":"))
    write(text + "\n")


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[str] = ()) -> None:
    """Print a table without cutting any value. `numbers` are the heads of columns that are aligned to the right.

    On a terminal that is too narrow for it, the last column is folded; if that is not enough, each row is a block.
    """
    table = [list(heads), *([_plain(cell) for cell in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
    columns = _columns()
    last = None if columns is None else columns - sum(width + len(_GAP) for width in widths[:-1])
    if last is None or last >= widths[-1]:
        last = widths[-1]
    elif last < _MIN_FOLDED and len(rows) <= _MAX_BLOCKS:
        _print_blocks(table)
        return
    elif last < _MIN_FOLDED:
        last = widths[-1]
    for cells in table:
        first, *more = [cells[-1]] if last >= widths[-1] else wrap(cells[-1], last) or [""]
        padded = [
            _padded(cell, width, right=head in numbers)
            for head, cell, width in zip(heads, (*cells[:-1], first), widths, strict=True)
        ]
        write(_GAP.join(padded).rstrip() + "\n")
        for line in more:
            write(" " * sum(width + len(_GAP) for width in widths[:-1]) + line + "\n")


def _print_blocks(table: Sequence[Sequence[str]]) -> None:
    heads, *rows = table
    width = max(map(_width, heads))
    for number, row in enumerate(rows):
        if number:
            write("\n")
        for head, cell in zip(heads, row, strict=True):
            write(f"{_padded(head, width, right=False)}{_GAP}{cell}".rstrip() + "\n")


def _columns() -> int | None:
    """None where no terminal shows the output: a program reads it, and takes lines of any length."""
    return shutil.get_terminal_size().columns if on_screen() else None


def on_screen() -> bool:
    """Tell whether a terminal shows the output."""
    return sys.stdout is not None and sys.stdout.isatty()


def on_terminal() -> bool:
    """Tell whether somebody sees stderr as it is written."""
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Show what a long command does, until the block ends: on a terminal, and on stderr alone.

    Gives a function that changes the text. In a pipe nothing is written.
    """
    if not on_terminal():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status(what) as shown:
        yield shown.update


def duration(span: timedelta) -> str:
    """Return the time in the largest unit of which there are two."""
    seconds = max(0, int(span.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _padded(cell: str, width: int, *, right: bool) -> str:  # the columns of a table, zipped
    space = " " * (width - _width(cell))
    return space + cell if right else cell + space


def _width(text: str) -> int:
    """Return the width of the text in columns of a terminal."""
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def _plain(text: str) -> str:
    """Replace control characters, so that an escape sequence in a name does nothing."""
    return "".join("\ufffd" if unicodedata.category(character) in ("Cc", "Cs") else character for character in text)


def write(text: str) -> None:
    """Write text as it is. Raises `Failure` when that is not possible."""
    if sys.stdout is None:  # closed, as `>&-` does
        return
    try:
        sys.stdout.write(text)
    except OSError as error:
        raise _unwritable(error) from None


def flush() -> None:
    """Write out what was printed. Raises `Failure` when that is not possible, as on a full disk."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        raise _unwritable(error) from None


def _unwritable(error: OSError) -> BaseException:
    if isinstance(error, BrokenPipeError):
        return error
    reason = os.strerror(error.errno or 0)
    return Failure(f"the output cannot be written ({reason}); what the command did is done", CANNOT_RUN)


def closing(code: int) -> int:
    """Return the exit code after a last flush.

    If it fails, the rest of the output is discarded: else the interpreter flushes again at exit and prints a traceback.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        return code or exits.OUTPUT_CLOSED
    return code
