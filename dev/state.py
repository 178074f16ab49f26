"""The state folder: who may use it, and the small files in it."""

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from dev import files, locks
from dev.errors import CannotStart
from environment import DEV_FILE, SECRET_FILE

MAX_PATH_BYTES = 400
"""SQLite, under Temporal, refuses file names of more than 512 bytes."""


class StateFolder:
    """Everything that survives a restart. One stack at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = locks.Lock(path / "lock")

    @classmethod
    def claim(cls, given: str) -> Self:
        """Create and lock the folder. Raises `CannotStart` when it is in use or cannot be used."""
        path = _checked(given)
        state = cls(path)
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            taken = state._lock.try_take()
        except OSError as problem:
            raise CannotStart(
                f"The state folder {path} cannot be used: {problem.strerror} ({problem.filename}). "
                f"Set YOUT_STATE_DIR to a folder that you may write to."
            ) from None
        if not taken:
            raise CannotStart(
                f"Another stack runs on {path} (pid {state._lock.owner()}). Stop it, or give this one a state folder "
                f"and ports of its own: YOUT_STATE_DIR, YOUT_PORT, YOUT_TEMPORAL_PORT, YOUT_TEMPORAL_UI_PORT."
            )
        return state

    def release(self) -> None:
        self._lock.release()

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    def secret(self) -> str:
        """Return the master secret. It is made once: no other secret can decrypt what it encrypted."""
        secret_file = self.path / SECRET_FILE
        if not secret_file.exists():
            files.write(secret_file, secrets.token_urlsafe(48) + "\n")
        return secret_file.read_text().strip()

    def last_run(self) -> dict[str, str]:
        """Return what the last run published, or nothing if the file is damaged."""
        try:
            written = json.loads((self.path / DEV_FILE).read_text())
        except FileNotFoundError:
            return {}
        except ValueError:
            (self.path / DEV_FILE).unlink()
            return {}
        return written if isinstance(written, dict) else {}

    def publish(self, values: Mapping[str, str]) -> None:
        """Write the values to a file, where `yout …` in another terminal and tests find them."""
        files.write(self.path / DEV_FILE, json.dumps(values, indent=2) + "\n")


def _checked(given: str) -> Path:
    if not given.isprintable() or not given.strip():
        raise CannotStart(f"YOUT_STATE_DIR is no usable path: {given!r}. Use printable characters.")
    path = Path(given).expanduser().absolute()
    if len(bytes(path)) > MAX_PATH_BYTES:
        raise CannotStart(f"YOUT_STATE_DIR is too long ({len(bytes(path))} bytes, at most {MAX_PATH_BYTES}): {path}")
    return path
