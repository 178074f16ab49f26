"""Purges as their owners see them: ask for one, follow it, fetch its receipt. What a purge does is `erasure_steps`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from db import accounts, data_keys, erasure, idempotency, purges, webhooks
from db import webhook_content as content
from db.data_keys import Sealing
from db.engine import Database, Session
from db.erasure import Extent
from db.purge_tables import PurgeRow
from db.webhook_content import Target
from domain import shares
from domain.errors import NotFound
from domain.purges import PurgeKey
from domain.sealing import Wrapping
from domain.webhooks import EventType
from gateway.idempotency import IdempotentRequest
from gateway.ids import new_id

STUCK_AFTER = timedelta(minutes=10)
"""A purge that runs, and has erased nothing for so long, is stuck."""
Start = Callable[[PurgeKey], Awaitable[None]]
"""Starts a purge's workflow, or joins it. Raises `ServiceUnavailable` while Temporal is away."""


@dataclass(frozen=True, slots=True)
class PurgeOrder:
    """What to erase: everything, or one thing by its id."""

    part: str = ""
    """A conversation, share or job, by its name in `db.erasure.Erased.one`. Empty: everything."""
    part_id: str = field(default="", repr=False)
    sessions: bool = False

    @property
    def stored_id(self) -> str:
        """What is stored of the id, for ever. Of a page its slug's hash: the slug was its address."""
        return shares.slug_hash(self.part_id).hex() if self.part == "share" else self.part_id


@dataclass(frozen=True, slots=True)
class Purge:
    id: UUID
    part: str
    part_id: str = field(repr=False)
    sessions: bool
    step: str
    requested_at: datetime
    completed_at: datetime | None
    found: dict[str, int]
    erased: dict[str, int]
    receipt: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a purge is, as its operator sees it."""

    id: UUID
    account_id: UUID
    part: str
    step: str
    requested_at: datetime
    progressed_at: datetime
    completed_at: datetime | None
    left: dict[str, int]
    """Rows to erase, by name. Nothing of a completed purge is counted again."""

    def stuck_for(self, now: datetime) -> timedelta | None:
        """Return how long it has not come further, if that is too long."""
        still = now - self.progressed_at
        return still if self.completed_at is None and still >= STUCK_AFTER else None


class Erasure:
    def __init__(self, database: Database, wrapping: Wrapping, start: Start) -> None:
        self._database, self._wrapping, self._start = database, wrapping, start

    async def request(
        self, account_id: UUID, order: PurgeOrder, idempotent: IdempotentRequest | None
    ) -> tuple[Purge, bool]:
        """Begin a purge, or return the one that runs or that this request has begun before, and True.

        When this returns, nothing older is served any more, and what still runs can write nothing.
        """
        async with self._database.transaction(account=account_id) as session:
            await accounts.lock(session, account_id)
            known = await _known(session, account_id, order, idempotent)
            row = known or await self._begin(session, account_id, order)
            if idempotent is not None and known is None:
                await idempotency.remember(session, account_id, idempotent.claim, row.id, None)
            purge = await _purge(session, row)
        if purge.completed_at is None:
            await self._start(PurgeKey(purge.id, account_id))
        return purge, known is not None

    async def _begin(self, session: Session, account_id: UUID, order: PurgeOrder) -> PurgeRow:
        purge_id = new_id()
        if order.part:
            one = Extent(account_id, await accounts.epoch(session, account_id), order.part, order.stored_id)
            if not sum((await erasure.count(session, one)).values()):
                raise NotFound(f"There is no such {order.part} in this account.")
        new = PurgeRow(
            id=purge_id,
            account_id=account_id,
            part=order.part,
            part_id=order.stored_id,
            sessions=order.sessions,
            epoch=0,
            step="accepted",
            movements=0,
            balance=0,
        )
        targets = [] if order.part else await self._targets(session, account_id)
        epoch = await purges.begin(session, new)
        if not order.part:
            await data_keys.provision(session, self._wrapping, account_id, epoch)
            await self._expect(session, account_id, purge_id, targets)
        return await purges.find(session, purge_id)

    async def _targets(self, session: Session, account_id: UUID) -> list[Target]:
        """Return the endpoints that are told the end of the purge, which erases them, with the secrets that sign it."""
        rows = [row for row in await webhooks.endpoints(session, account_id) if row.enabled]
        wanting = [row for row in rows if row.types is None or EventType.PURGE_COMPLETED in row.types]
        if not wanting:
            return []
        key = await Sealing(self._wrapping).current(session, account_id)
        return [
            Target(content.open_endpoint(key, row)[0], await content.live_secrets(session, key, row.id))
            for row in wanting
        ]

    async def _expect(self, session: Session, account_id: UUID, purge_id: UUID, targets: list[Target]) -> None:
        """Seal where the end of the purge is told with the new key: the old one is destroyed before."""
        if targets:
            key = await Sealing(self._wrapping).current(session, account_id)
            for target in targets:
                await content.expect(session, key, purge_id, target)

    async def find(self, account_id: UUID, purge_id: UUID) -> Purge:
        """Raises `NotFound`, also for another account's."""
        async with self._database.reading() as session:
            return await _purge(session, await purges.find(session, purge_id, account_id))

    async def listed(self, account_id: UUID) -> list[Purge]:
        """The newest purges of an account."""
        return [Purge(**fields) for fields in await purges.listed(self._database, account_id)]


async def standings(session: Session, account_id: UUID | None, limit: int) -> list[Standing]:
    """Purges of an account, or of all: those that run, the oldest first, then the others, the newest first."""
    return [await _standing(session, row) for row in await purges.of_all(session, account_id, limit)]


async def _standing(session: Session, row: PurgeRow) -> Standing:
    assert row.requested_at is not None  # noqa: S101  # the database has set both
    assert row.progressed_at is not None  # noqa: S101
    return Standing(
        id=row.id,
        account_id=row.account_id,
        part=row.part,
        step=row.step,
        requested_at=row.requested_at,
        progressed_at=row.progressed_at,
        completed_at=row.completed_at,
        left={} if row.completed_at else await purges.left(session, row),
    )


async def _known(
    session: Session, account_id: UUID, order: PurgeOrder, idempotent: IdempotentRequest | None
) -> PurgeRow | None:
    """Return the purge that this request has begun before, or one that runs and erases the same."""
    if idempotent is not None and (record := await idempotency.find(session, account_id, idempotent.claim)):
        return await purges.find(session, record.hold_id, account_id)
    return await purges.running(session, account_id, order.part, order.stored_id)


async def _purge(session: Session, row: PurgeRow) -> Purge:
    assert row.requested_at is not None  # noqa: S101  # the database has set it
    return Purge(
        id=row.id,
        part=row.part,
        part_id=row.part_id,
        sessions=row.sessions,
        step=row.step,
        requested_at=row.requested_at,
        completed_at=row.completed_at,
        found=row.found,
        erased=row.erased,
        receipt=await purges.receipt(session, row.id) if row.completed_at else None,
    )


@dataclass(frozen=True, slots=True)
class AcceptedPurges:
    """What `gateway.maintenance` starts."""

    database: Database

    async def waiting(self, older_than: timedelta, limit: int) -> list[PurgeKey]:
        async with self.database.reading() as session:
            return await purges.waiting(session, older_than, limit)
