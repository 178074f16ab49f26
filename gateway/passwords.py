"""Hashes passwords with argon2id: slow on purpose, so in threads, few at a time, and with a bounded queue.

A password is never kept, logged or repeated in an error.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from domain import passwords
from domain.errors import ServiceUnavailable

AT_A_TIME = 2
"""Hashes that are computed at a time. Each takes 64 MiB and a tenth of a second."""
MAX_WAITING = 40
"""Hashes that wait. One more is refused: a client would have given up before its turn."""
Value = TypeVar("Value")


class Passwords:
    """Computes hashes, and compares with them. `PasswordHasher` has the parameters that RFC 9106 recommends."""

    def __init__(self, hasher: PasswordHasher | None = None, *, max_waiting: int = MAX_WAITING) -> None:
        self._hasher = hasher or PasswordHasher()
        self._threads = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="passwords")
        self._most = AT_A_TIME + max_waiting
        self._under_way = 0
        self.runs = 0
        """How often a hash was computed. A request must compute as many for every address."""
        self._nobodys = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """Hash a password that `domain.passwords.chosen` has let through."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, hashed: str | None, presented: str) -> bool:
        """Tell whether the password belongs to the hash. Without a hash it takes as long, and is False."""
        password = passwords.normalized(presented) if passwords.possible(presented) else "impossible"
        right = await self._run(lambda: self._matches(hashed or self._nobodys, password))
        return right and bool(hashed) and passwords.possible(presented)

    def outdated(self, hashed: str) -> bool:
        """Tell whether the hash was made with other parameters than new ones are."""
        return self._hasher.check_needs_rehash(hashed)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _matches(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], Value]) -> Value:
        if self._under_way >= self._most:
            raise ServiceUnavailable("Too many people sign in at this moment. Try again.")
        self._under_way += 1
        self.runs += 1
        loop = asyncio.get_running_loop()
        future = self._threads.submit(work)
        future.add_done_callback(lambda _: self._finished(loop))
        return await asyncio.wrap_future(future)

    def _finished(self, loop: asyncio.AbstractEventLoop) -> None:
        """Count down when the thread is free: a caller who has gone does not end its hash."""
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._count_down)

    def _count_down(self) -> None:
        self._under_way -= 1
