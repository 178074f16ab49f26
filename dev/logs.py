"""Log files that servers write themselves: rotated at start, bounded in size."""

import os
import shutil
from pathlib import Path

LIMIT = 8 * 1024 * 1024


def rotate(log: Path) -> None:
    """Keep the log of the last run under another name."""
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if log.exists():
        log.replace(previous(log))


def bound(log: Path, limit: int = LIMIT) -> None:
    """Truncate the log when it is too long. The writer appends, so it continues at the new end."""
    if log.exists() and log.stat().st_size > limit:
        shutil.copyfile(log, previous(log))
        os.truncate(log, 0)


def previous(log: Path) -> Path:
    return log.with_suffix(".previous.log")


def tail(log: Path, since: int = 0) -> str:
    """Return the last 15 lines that were written after byte `since`."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(since)
        return "\n".join(file.read().decode(errors="replace").splitlines()[-15:])


def size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0
