"""Hashes passwords with argon2id: slow on purpose, so in threads, few at a time, and with a bounded queue.

Networks take turns, one hash of each at a time: a flood of sign-ins from one is not in front of the others.

A password is never kept, logged or repeated in an error.
"""

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from domain import passwords
from domain.errors import ServiceUnavailable
from gateway.fair_turns import FairTurns

AT_A_TIME = 2
"""Hashes that are computed at a time. Each takes 64 MiB and a tenth of a second."""
MAX_WAITING = 400
"""Hashes that wait. One more is refused."""
MAX_WAITING_OF_ONE = 20
"""Of one network, or of whoever else waits. One more is refused: a client would have given up before its turn."""
_BUSY = "Too many sign-ins at once from your network. Try again in a moment."
Value = TypeVar("Value")


class Passwords:
    """Computes hashes, and compares with them. `PasswordHasher` has the parameters that RFC 9106 recommends."""

    def __init__(self, hasher: PasswordHasher | None = None, *, max_waiting: int = MAX_WAITING) -> None:
        self._hasher = hasher or PasswordHasher()
        self._threads = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="passwords")
        self._turns = FairTurns(AT_A_TIME, MAX_WAITING_OF_ONE, _BUSY)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._most = AT_A_TIME + max_waiting
        self.runs = 0
        """How often a hash was computed. A request must compute as many for every address."""
        self._nobodys = self._hasher.hash("nobody has this password")

    async def hash(self, password: str, owner: Hashable) -> str:
        """Hash a password that `domain.passwords.chosen` has let through. `owner` is who takes turns with others.

        Raises `RateLimited` if too many of the owner's wait, and `ServiceUnavailable` if too many of all do.
        """
        return await self._run(owner, lambda: self._hasher.hash(password))

    async def verify(self, hashed: str | None, presented: str, owner: Hashable) -> bool:
        """Tell whether the password belongs to the hash. Without a hash it takes as long, and is False.

        Raises as `hash`.
        """
        password = passwords.normalized(presented) if passwords.possible(presented) else "impossible"
        right = await self._run(owner, lambda: self._matches(hashed or self._nobodys, password))
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

    async def _run(self, owner: Hashable, work: Callable[[], Value]) -> Value:
        if len(self._tasks) >= self._most:
            raise ServiceUnavailable("Too many people sign in at this moment. Try again.")
        self.runs += 1
        task = asyncio.create_task(self._in_turn(owner, work), name="password")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)  # a caller who has gone does not end its hash, and so not its turn

    async def _in_turn(self, owner: Hashable, work: Callable[[], Value]) -> Value:
        async with self._turns.turn(owner):
            return await asyncio.wrap_future(self._threads.submit(work))
