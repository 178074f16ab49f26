"""How a process of ours ends when something is wrong: one line on stderr that says what, where and what to do.

Never a traceback, which may quote a request or a secret. Needs nothing but the standard library.
"""

import errno
import os
import resource
import sys
import traceback
import unicodedata
from collections.abc import Callable
from pathlib import Path

import environment
from environment import SettingsInvalid

REFUSED = 1
CANNOT_RUN = 2
UNKNOWN_OUTCOME = 3
"""It may have happened or not, and the line says how to find out."""
INTERRUPTED = 130
OUTPUT_CLOSED = 141
"""What a shell reports for a program whose reader has gone."""
_HERE = Path(__file__).resolve().parent


class Failure(Exception):
    """Ends the process with this line and this exit code."""

    def __init__(self, line: str, code: int = REFUSED) -> None:
        super().__init__(line)
        self.line = line
        self.code = code


def run(main: Callable[[], int | None]) -> int:
    """The exit code of `main`; of what it raises, once that is told."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would have prompts and secrets in it
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection is a file: 1,024 are usual, and few
    try:
        return main() or 0
    except SystemExit:
        raise
    except BaseException as error:  # whatever it is, it ends here
        return report(error)


def report(error: BaseException) -> int:
    """Tells it on stderr; returns the exit code."""
    line, code = describe(error)
    if line:
        tell(f"error: {line}")
    return code


def tell(line: str) -> None:
    """One line on stderr, if there is still one. Anything that a terminal would obey is left out of it."""
    try:
        plain = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in line)
        encoding = sys.stderr.encoding or "ascii"
        sys.stderr.write(plain.strip().encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        return  # closed, as `2>&-` does: the exit code is all that can be told


def describe(error: BaseException) -> tuple[str, int]:
    """The line and the exit code; an empty line when there is nothing to say."""
    match error:
        case Failure():
            return error.line, error.code
        case SettingsInvalid():
            return "; ".join(error.problems), CANNOT_RUN
        case KeyboardInterrupt():
            return "interrupted", INTERRUPTED
        case BrokenPipeError():
            return "", OUTPUT_CLOSED
    return _of_ours(error) or _of_database(error) or _of_system(error) or _internal(error)


def _of_ours(error: BaseException) -> tuple[str, int] | None:
    """Errors of the domain: nobody can have raised one who has not imported it."""
    errors = sys.modules.get("domain.errors")
    if errors is not None and isinstance(error, errors.ServiceUnavailable):
        return error.message, CANNOT_RUN
    if errors is not None and isinstance(error, errors.GatewayError):
        return error.message, REFUSED
    if type(error).__name__ == "CatalogInvalid":
        return "the catalog is not valid: " + "; ".join(getattr(error, "problems", ())), CANNOT_RUN
    return None


def _of_database(error: BaseException) -> tuple[str, int] | None:
    if not {"psycopg", "sqlalchemy"} & {base.__module__.partition(".")[0] for base in type(error).__mro__}:
        return None
    from db import faults

    try:
        url = environment.database_url()
    except SettingsInvalid:
        url = ""
    return str(faults.describe(error, url)), CANNOT_RUN


def _of_system(error: BaseException) -> tuple[str, int] | None:
    """What the operating system refused: its own sentence, and of which file or address."""
    if not isinstance(error, OSError) or error.errno is None:
        return None
    reason = os.strerror(error.errno) if error.errno > 0 else type(error).__name__
    remedy = {
        errno.EADDRINUSE: "end what listens there, or set another port",
        errno.EACCES: "give this user the right to it, or name another place",
        errno.EPERM: "give this user the right to it, or name another place",
        errno.EROFS: "name a place that can be written",
        errno.ENOENT: "make it, or name another place",
        errno.ENOTDIR: "make it a folder, or name another place",
        errno.ENOSPC: "make room on that disk",
    }.get(error.errno, "")
    where = f" ({error.filename})" if error.filename is not None else ""
    return f"{reason}{where}" + (f": {remedy}" if remedy else ""), CANNOT_RUN


def _internal(error: BaseException) -> tuple[str, int]:
    """A fault of the program: its kind and its place in our code, for a report; not its text."""
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_ours(frame.filename)]
    place = f" at {Path(ours[-1].filename).resolve().relative_to(_HERE)}:{ours[-1].lineno}" if ours else ""
    return f"internal fault: {type(error).__name__}{place}; please report it", CANNOT_RUN


def _is_ours(file_name: str) -> bool:
    path = Path(file_name).resolve()
    return path.is_relative_to(_HERE) and ".venv" not in path.parts
