"""Forgets what is kept for a time only, in batches, each a transaction of its own. Never a movement of credits.

How far it has come is recorded in the same transaction: the audit knows what may be missing, and misses the rest.
Safe from many processes at once, and in nobody's way: a row that somebody has locked is left for the next round.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from db.engine import Database
from db.stored_outputs import NOT_DELETED
from domain.errors import ServiceUnavailable
from domain.ids import uuid7
from domain.retention import Retention, horizon

log = structlog.get_logger(__name__)

BATCH = 1000
MAX_BATCHES = 10
"""Of each kind in a round: what is left waits for the next one."""

# Ids begin with their time, so that the primary key leads to the oldest: no other index is needed for it.
_REFUNDED_SINCE = (
    "EXISTS (SELECT FROM transactions t WHERE t.hold_id = h.id AND t.kind = 'refund' AND t.created_at >= :horizon)"
)
_OLD_HOLDS = f"""
SELECT h.id FROM holds h
WHERE h.id < :until AND h.state <> 'open' AND h.closed_at < :horizon AND NOT {_REFUNDED_SINCE}
    AND NOT EXISTS (SELECT FROM media_jobs j WHERE j.id = h.id AND {NOT_DELETED})
ORDER BY h.id LIMIT :batch FOR UPDATE SKIP LOCKED
"""  # noqa: S608
_THEIR_JOBS = "SELECT id FROM media_jobs WHERE id = ANY(:ids) FOR UPDATE SKIP LOCKED"
# Asked again once they are locked: a refund may have come in between, or holds a job's row and waits for its hold.
_DELETE_HOLDS = f"""
DELETE FROM holds h WHERE h.id = ANY(:ids) AND NOT {_REFUNDED_SINCE}
    AND NOT EXISTS (SELECT FROM media_jobs j WHERE j.id = h.id AND (j.id <> ALL(:jobs) OR {NOT_DELETED}))
RETURNING h.id, h.closed_by = 'sweeper'
"""  # noqa: S608
_DELETE_JOBS = "DELETE FROM media_jobs WHERE id = ANY(:ids)"
_DELETE_USAGE = """
DELETE FROM usage WHERE hold_id IN (
    SELECT hold_id FROM usage WHERE hold_id < :until AND created_at < :horizon
    ORDER BY hold_id LIMIT :batch FOR UPDATE SKIP LOCKED)
"""
_DELETE_KEYS = """
DELETE FROM idempotency WHERE (account_id, scope) IN (
    SELECT account_id, scope FROM idempotency WHERE expires_at < now()
    ORDER BY expires_at LIMIT :batch FOR UPDATE SKIP LOCKED)
"""
_DELETE_AUDITS = """
DELETE FROM audits WHERE began_at < :horizon AND id < (SELECT max(id) FROM audits)
    AND id IN (SELECT id FROM audits ORDER BY id LIMIT :batch)
"""
_RECORD = """
INSERT INTO pruned AS p (what, horizon, swept) VALUES (:what, :horizon, :swept)
ON CONFLICT (what) DO UPDATE SET horizon = greatest(p.horizon, excluded.horizon), swept = p.swept + excluded.swept
"""

Batch = Callable[[AsyncSession], Awaitable[int]]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Pruning:
    database: Database
    retention: Retention
    batch: int = BATCH
    now: Callable[[], datetime] = _now

    async def forget(self) -> int:
        """A round. Returns how many rows are gone."""
        keys = await self._kind("used Idempotency-Keys", lambda session: self._run(session, _DELETE_KEYS))
        return keys + sum([await self._kind(*kind) for kind in self._kinds()])

    def _kinds(self) -> Iterator[tuple[str, Batch]]:
        """What is kept for a time that the operator sets."""
        retention, now = self.retention, self.now()
        if retention.holds is not None:
            yield "holds", partial(self._holds, before=horizon(now, retention.holds))
        if retention.usage is not None:
            yield "usage", partial(self._usage, before=horizon(now, retention.usage))
        if retention.audits is not None:
            yield "audits", partial(self._run, statement=_DELETE_AUDITS, horizon=horizon(now, retention.audits))

    async def _kind(self, name: str, one: Batch) -> int:
        """Each kind by itself: one that cannot be deleted keeps no other."""
        try:
            return await self._batches(one)
        except ServiceUnavailable:
            raise
        except Exception as error:
            log.error("old rows cannot be deleted", kind=name, fault=type(error).__name__)
            return 0

    async def _batches(self, one: Batch) -> int:
        gone = 0
        for _ in range(MAX_BATCHES):
            async with self.database.transaction() as session:
                deleted = await one(session)
            gone += deleted
            if deleted < self.batch:
                break
        return gone

    async def _holds(self, session: AsyncSession, before: datetime) -> int:
        connection = await session.connection()
        values = {"until": _first_id(before), "horizon": before, "batch": self.batch}
        old = [row[0] for row in await connection.execute(text(_OLD_HOLDS), values)]
        if not old:
            return 0
        jobs = [row[0] for row in await connection.execute(text(_THEIR_JOBS), {"ids": old})]
        deleting = {"ids": old, "jobs": jobs, "horizon": before}
        deleted = (await connection.execute(text(_DELETE_HOLDS), deleting)).all()
        await connection.execute(text(_DELETE_JOBS), {"ids": [row[0] for row in deleted]})
        await _record(session, "holds", before, swept=sum(bool(row[1]) for row in deleted))
        return len(deleted)

    async def _usage(self, session: AsyncSession, before: datetime) -> int:
        gone = await self._run(session, _DELETE_USAGE, until=_first_id(before), horizon=before)
        if gone:
            await _record(session, "usage", before)
        return gone

    async def _run(self, session: AsyncSession, statement: str, **values: Any) -> int:
        connection = await session.connection()
        return (await connection.execute(text(statement), values | {"batch": self.batch})).rowcount


async def _record(session: AsyncSession, what: str, before: datetime, *, swept: int = 0) -> None:
    values = {"what": what, "horizon": before, "swept": swept}
    await (await session.connection()).execute(text(_RECORD), values)


def _first_id(at: datetime) -> UUID:
    """The least id that a call of that moment can have."""
    return uuid7(round(at.timestamp() * 1000), bytes(10))
