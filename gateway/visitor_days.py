"""The UTC days of visitors in PostgreSQL: the key of each day's hashes, its counts, and its credits.

Whoever comes first begins the day: the same transaction makes its random key, and fills the house account up to what
all visitors together may cost in the day.

In a process, visitors' transactions run one after another: they wait without a connection, and leave the pool to
accounts.
"""

import os
from datetime import date
from uuid import UUID

from db import data_keys, ledger
from db import visitors as stored
from db.engine import Database, Session, raw
from domain import visitors
from domain.errors import KeyReused, ServiceUnavailable
from domain.house_account import HOUSE_ACCOUNT
from domain.operations import Adjust, Grant
from domain.sealing import NONCE_BYTES, SealBroken, Wrapping
from domain.visitors import KEY_BYTES

_LOWERED = "above what visitors may cost in a day"


class _Full(Exception):
    """A cookie or a network has sent its messages. Rolls the transaction back."""


class VisitorDays:
    def __init__(self, database: Database, wrapping: Wrapping, credits_day: int) -> None:
        self._database, self._wrapping, self._credits_day = database, wrapping, credits_day

    async def used(self, day: date, visitor_id: UUID, network: str) -> int:
        """Return how many messages were sent under this cookie or from this network, whichever is more."""
        async with self._database.reading() as session:
            wrapped = await stored.key_of(session, day)
            try:
                key = None if wrapped is None else self._unwrapped(day, wrapped)
            except SealBroken:
                key = None
            return await stored.used(session, day, visitors.digests(key, visitor_id, network)) if key else 0

    async def take(
        self, day: date, visitor_id: UUID, network: str, limit: int
    ) -> tuple[tuple[bytes, bytes], int | None]:
        """Count a message, and return its digests and how many the visitor has sent. None: it would be one too many."""
        digests = (b"", b"")
        try:
            async with self._database.transaction(account=HOUSE_ACCOUNT) as session:
                digests = visitors.digests(await self._key(session, day), visitor_id, network)
                used = await stored.take(session, day, digests, limit)
                if used is None:
                    raise _Full
        except _Full:
            return digests, None
        return digests, used

    async def give_back(self, day: date, digests: tuple[bytes, bytes]) -> int:
        async with self._database.transaction(account=HOUSE_ACCOUNT) as session:
            return await stored.give_back(session, day, digests)

    async def _key(self, session: Session, day: date) -> bytes:
        wrapped = await stored.key_of(session, day)
        if wrapped is None:
            await self._begin(session, day)
            wrapped = await stored.key_of(session, day)
            if wrapped is None:
                raise ServiceUnavailable
        try:
            return self._unwrapped(day, wrapped)
        except SealBroken:
            return await self._other_key(session, day, wrapped)

    async def _other_key(self, session: Session, day: date, unreadable: bytes) -> bytes:
        """Replace a key whose master secret this process does not know. The day's counts begin anew.

        A process with a new master secret still knows the older one, so both can read the key that the older one made.
        """
        await stored.replace_key(session, day, unreadable, self._wrapped(day), self._wrapping.current_id)
        wrapped = await stored.key_of(session, day)
        try:
            return self._unwrapped(day, wrapped or b"")
        except SealBroken:
            raise ServiceUnavailable from None

    async def _begin(self, session: Session, day: date) -> None:
        if await stored.open_house(session):
            await data_keys.provision(session, self._wrapping, HOUSE_ACCOUNT, 1)
        available, held = await stored.house_balance(session)
        missing = max(self._credits_day - available - held, -available)
        if await stored.begin(session, day, self._wrapped(day), self._wrapping.current_id) and missing:
            await self._fill(session, f"visitors:{day.isoformat()}", missing)

    async def _fill(self, session: Session, ref: str, missing: int) -> None:
        """Give the house account what it may spend in the day, or take what it has above that."""
        if missing > 0:
            operation: Grant | Adjust = Grant(HOUSE_ACCOUNT, missing, ref)
        else:
            operation = Adjust(HOUSE_ACCOUNT, missing, ref, _LOWERED)
        (result,) = await ledger.execute(await raw(session), [operation])
        if isinstance(result, Exception) and not isinstance(result, KeyReused):  # filled before its key was deleted
            raise result

    def _wrapped(self, day: date) -> bytes:
        return self._wrapping.wrap(os.urandom(KEY_BYTES), aad=stored.day_aad(day), nonce=os.urandom(NONCE_BYTES))

    def _unwrapped(self, day: date, wrapped: bytes) -> bytes:
        return self._wrapping.unwrap(wrapped, aad=stored.day_aad(day))
