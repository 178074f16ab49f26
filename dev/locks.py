"""A lock on a folder. It is held until all processes that use it have ended."""

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dev.errors import CannotStart


class Lock:
    """A lock that an open file holds. A child that inherits the file keeps it, even when the parent is killed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def try_take(self) -> bool:
        if self._descriptor is not None:
            return True
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        self._write_owner(descriptor)
        return True

    async def take(self, max_wait: float) -> None:
        """Take the lock, and wait up to `max_wait` seconds for a previous owner that is ending."""
        deadline = asyncio.get_running_loop().time() + max_wait
        while not self.try_take():
            if asyncio.get_running_loop().time() > deadline:
                raise CannotStart(f"{self.path.parent} is in use by a server that was started by pid {self.owner()}.")
            await asyncio.sleep(0.1)

    @contextmanager
    def handed_over(self) -> Iterator[int]:
        """Yield the descriptor for a child to inherit, then close ours: the child alone holds the lock."""
        if self._descriptor is None:
            raise RuntimeError("take the lock first")
        try:
            yield self._descriptor
        finally:
            self.release()

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def owner(self) -> str:
        with suppress(OSError):
            return self.path.read_text().strip() or "unknown"
        return "unknown"

    def _write_owner(self, descriptor: int) -> None:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
