"""Sign-in without HTTP, on a real database, with hashes that are quick and mails that are kept."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Literal

from argon2 import PasswordHasher

from db.engine import Database
from domain.caller import WebSession
from domain.errors import ServiceUnavailable
from domain.mails import Letter
from domain.secrets import DerivedKeys
from domain.sessions import SessionLifetime
from gateway.free_tier import FreeTier
from gateway.known_browsers import KnownBrowsers
from gateway.letters import Letters
from gateway.outbox import Outbox
from gateway.passwords import Passwords
from gateway.people import People, SignedIn
from gateway.sessions import Sessions
from gateway.throttles import Client, Throttles
from tests.support.bank import WRAPPING

FREE = 50_000
PASSWORD = "a long sentence, easy to keep"
HOME = Client("192.0.2.1")
KEYS = DerivedKeys(b"k" * 32)


class CountingHasher(PasswordHasher):
    """Counts its hashes, made or compared. A request must take as many for every address."""

    def __init__(self, *, time_cost: int = 1, memory_cost: int = 8) -> None:
        super().__init__(time_cost=time_cost, memory_cost=memory_cost, parallelism=1)
        self.runs = 0

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.runs += 1
        return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.runs += 1
        return super().verify(hash, password)


QUICK = CountingHasher()


class RecordedMail:
    """Implements `gateway.outbox.Mailer`."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []

    def send(self, letter: Letter) -> None:
        self.letters.append(letter)


@asynccontextmanager
async def opened(
    database: Database, *, verification: bool = False, mail: RecordedMail | None = None, hasher: PasswordHasher = QUICK
) -> AsyncIterator[People]:
    """One process's."""
    passwords, outbox = Passwords(hasher), Outbox(mail)
    yield People(
        database=database,
        sessions=Sessions(database, SessionLifetime()),
        passwords=passwords,
        throttles=Throttles(database, KEYS.current),
        browsers=KnownBrowsers(KEYS),
        free_tier=FreeTier(WRAPPING, FREE),
        letters=Letters("https://yout.example"),
        outbox=outbox,
        verification=verification,
    )
    passwords.close()
    await outbox.close(timedelta(seconds=5))


async def outcomes(*waiting: Awaitable[object]) -> list[object]:
    return list(await asyncio.gather(*waiting, return_exceptions=True))


async def again_while_busy(act: Callable[[], Awaitable[object]]) -> object:
    """Try again what a busy machine has put off, as its error says."""
    for _ in range(30):
        with suppress(ServiceUnavailable):
            return await act()
    return await act()


def network(number: int) -> Client:
    return Client(f"198.51.{number // 256}.{number % 256}")


async def caller(people: People, signed_in: SignedIn | None) -> WebSession:
    assert signed_in is not None
    credential = (await people.sessions.authenticate(signed_in.session.secret)).credential
    assert isinstance(credential, WebSession)
    return credential
