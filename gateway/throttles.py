"""Slows down whoever tries often. Names are hashed with a key: neither an address nor a network is stored.

Each throttle is taken before the work, and given back when the try succeeds. The limits are in `domain/throttles.py`.
"""

import hmac
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta

from db import throttles as stored
from db.engine import Database, Session
from db.throttles import Try
from domain import throttles
from domain.errors import RateLimited
from domain.throttles import Throttle


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks, as far as it is known."""

    network: str = field(repr=False)
    """An IPv4 address, or the /64 network of an IPv6 address."""
    browser: str | None = field(default=None, repr=False)
    """The cookie of a browser in which somebody has signed in."""


class Throttles:
    def __init__(self, database: Database, key: bytes) -> None:
        self._database = database
        self._key = key

    async def take(self, *wanted: tuple[Throttle, str]) -> list[Try]:
        """Take a try of each throttle for its name, or of none. Raises `RateLimited`."""
        tries = [self._try(throttle, name) for throttle, name in wanted]
        async with self._in_turn(tries) as session:
            _require(await stored.take(session, tries))
        return tries

    async def take_sign_in(self, email: str, client: Client, *, known_browser: str | None) -> list[Try]:
        """Take a try to sign in at an address. `known_browser` names a browser that this user has signed in with.

        Raises `RateLimited`. Somebody who guesses uses up the tries of the own network, and a part of those of other
        networks that are fresh, but never all of them.
        """
        if known_browser is not None:
            return await self.take((throttles.KNOWN_BROWSER, known_browser))
        pair = f"{email}\n{client.network}"
        tries = [self._try(throttles.NETWORK, client.network), self._try(throttles.ADDRESS_AND_NETWORK, pair)]
        everywhere, fresh = self._try(throttles.ADDRESS, email), self._try(throttles.FRESH_NETWORK, pair)
        async with self._in_turn(tries) as session:
            _require(await stored.take(session, tries))
            if await stored.take(session, [everywhere]) is None:
                return [*tries, everywhere]
            _require(await stored.take(session, [fresh]))
        return [*tries, fresh]

    async def give_back(self, session: Session, tries: list[Try]) -> None:
        await stored.give_back(session, tries)

    def _in_turn(self, tries: list[Try]) -> AbstractAsyncContextManager[Session]:
        """Tries under the first name wait for one another without a connection."""
        return self._database.transaction(locked=tries[0].digest)

    def _try(self, throttle: Throttle, name: str) -> Try:
        return Try(throttle, hmac.digest(self._key, f"throttle\n{throttle.name}\n{name}".encode(), "sha256"))


def _require(wait: timedelta | None) -> None:
    if wait is not None:
        raise RateLimited("Too many tries. Wait, and try again.", retry_after=max(timedelta(seconds=1), wait))
