"""Hashes passwords with argon2id: slow on purpose, so in threads, few at a time, and in turns.

Strangers take turns by their networks. Whoever is known already, by a session, a mailed link or a browser, never waits
for them. A password is never stored, logged or repeated in an error.
"""

import asyncio
import os
import sys
import threading
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from domain import passwords
from domain.errors import ServiceUnavailable
from domain.records import record
from gateway.fair_turns import FairTurns

MAX_WAITING = 16
"""Hashes of one asker that wait, beside the one that is computed. One more is refused with 429."""
TIMEOUT_SECONDS = 10.0
"""How long a hash waits for its turn, and is computed. Each takes 64 MiB and a tenth of a second."""
NICENESS = 5
Value = TypeVar("Value")


@record
class Asker:
    """Who has a password hashed: a user who is known already, or somebody in a network."""

    name: str = field(repr=False)
    known: bool = False


class Passwords:
    """Computes hashes, one of strangers and one of others at a time, and compares with them.

    `PasswordHasher` has the parameters that RFC 9106 recommends.
    """

    def __init__(self, hasher: PasswordHasher | None = None, *, max_waiting: int = MAX_WAITING) -> None:
        self._hasher = hasher or PasswordHasher()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="passwords", initializer=_after_calls)
        self._turns = {known: FairTurns(1, max_waiting, self._threads) for known in (True, False)}
        self._nobodys = _of_nobody(self._hasher)

    async def hash(self, password: str, asker: Asker) -> str:
        """Hash a password that `domain.passwords.chosen` has let through."""
        return await self._run(asker, lambda: self._hasher.hash(password))

    async def verify(self, hashed: str | None, presented: str, asker: Asker) -> bool:
        """Tell whether the password belongs to the hash. Without a hash it takes as long, and is False."""
        password = passwords.normalized(presented) if passwords.possible(presented) else "impossible"
        right = await self._run(asker, lambda: self._matches(hashed or self._nobodys, password))
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

    async def _run(self, asker: Asker, work: Callable[[], Value]) -> Value:
        """Run work in the asker's turn. Raises `RateLimited` if too much of the asker's waits, `ServiceUnavailable`."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await self._turns[asker.known].run(asker.name, work)
        except TimeoutError:
            raise ServiceUnavailable("Too many people sign in at this moment. Try again.") from None


def _of_nobody(hasher: PasswordHasher) -> str:
    """Return a hash that no password has. To compare with it takes as long as with others; to make it takes no time."""
    parameters = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, digest = (b64encode(os.urandom(size)).decode().rstrip("=") for size in (hasher.salt_len, hasher.hash_len))
    return f"$argon2id$v={ARGON2_VERSION}${parameters}${salt}${digest}"


def _after_calls() -> None:
    """Let calls go before the threads that compute hashes. Only Linux has priorities of threads."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)
