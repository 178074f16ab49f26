"""Listing and deletion in a local folder, including files of writers that were killed."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from storage.base import Listed


def listed(folder: Path, after: str, limit: int) -> list[Listed]:
    """Return the next files after the key `after`, ordered by the names of their folders and then their own."""
    return list(islice(_walk(folder, "", after.split("/") if after else []), limit))


def remove(folder: Path) -> bool:
    """Remove the folder and all that is in it. False when something could not be removed; the rest was."""
    shutil.rmtree(folder, ignore_errors=True)
    return not os.path.lexists(folder)


def _walk(folder: Path, prefix: str, after: list[str]) -> Iterator[Listed]:
    first, rest = (after[0], after[1:]) if after else ("", [])
    for name in _names(folder):
        if name < first:
            continue
        path, key = folder / name, f"{prefix}{name}"
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path, f"{key}/", rest if name == first else [])
        elif name != first:
            file = _file(path, key)
            if file:
                yield file


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):  # another process deletes at the same time
        return []


def _file(path: Path, key: str) -> Listed | None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return Listed(key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))
