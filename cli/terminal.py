"""How commands print: lines, tables and JSON, on any terminal, into any pipe."""

import io
import json
import os
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any, NoReturn

import click

import exits
from exits import CANNOT_RUN, REFUSED, Failure

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
account = click.argument("account")
"""Its id, or its owner's e-mail address."""


def accept_any_text() -> None:
    """A character that the terminal's encoding lacks is replaced, and no command fails for it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def fail(message: str, code: int = REFUSED) -> NoReturn:
    raise Failure(message, code)


def say(line: str) -> None:
    _write(line + "\n")


def print_json(value: Any) -> None:
    """In the terminal's encoding where that has all of its characters, else with `\\u` escapes: JSON all the same."""
    import orjson

    text = orjson.dumps(value).decode()
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        text = json.dumps(json.loads(text), separators=(",", ":"))
    _write(text + "\n")


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[str] = ()) -> None:
    """Each column as wide as it has to be: no id is cut. `numbers`: the heads of columns set to the right."""
    table = [list(heads), *([_plain(cell) for cell in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
    for cells in table:
        columns = zip(heads, cells, widths, strict=True)
        padded = [_padded(cell, width, right=head in numbers) for head, cell, width in columns]
        _write("  ".join(padded).rstrip() + "\n")


def _padded(cell: str, width: int, *, right: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if right else cell + space


def _width(text: str) -> int:
    """In columns of a terminal."""
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def _plain(text: str) -> str:
    """Without anything that a terminal would obey, such as escape sequences in a name."""
    return "".join("\ufffd" if unicodedata.category(character) in ("Cc", "Cs") else character for character in text)


def _write(text: str) -> None:
    if sys.stdout is None:  # closed, as `>&-` does
        return
    try:
        sys.stdout.write(text)
    except OSError as error:
        raise _unwritable(error) from None


def flush() -> None:
    """Raises `Failure` when what was printed cannot be written: a full disk is no success."""
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
    """The interpreter flushes once more at its end, and would print a traceback: what is left goes nowhere."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        return code or exits.OUTPUT_CLOSED
    return code
