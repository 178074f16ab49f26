"""Deletes rows that are kept for a limited time, in batches of one transaction each. It never deletes a movement.

This module finds old rows; functions of `db/functions.sql` check their age again and delete them. The same transaction
records how far that has come, so that the audit reports any other missing row. Several processes may run it at once. A
locked row is left for the next round.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from db.engine import Database
from db.stored_outputs import NOT_DELETED
from domain.errors import ServiceUnavailable
from domain.ids import uuid7
from domain.retention import Retention, horizon
from domain.rounds import MaintenanceErrors
from domain.sessions import SessionLifetime

TASK = "forget"
BATCH = 1000
MAX_BATCHES = 10
"""The most batches of each kind in a round. The rest waits for the next round."""
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of row. `old` selects a batch after the row `:after`, in order; `forget` takes its first columns."""

    name: str
    old: str
    forget: str
    first: Row
    """A value below every row of this kind."""
    horizon: datetime | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    """More values of `old`."""


# Ids begin with their time, so the primary key finds the oldest rows without another index.
_OLD_HOLDS = f"""
SELECT h.id FROM holds h
WHERE h.id > :a0 AND h.id < :until AND h.state <> 'open' AND h.closed_at < :horizon
    AND NOT EXISTS (
        SELECT FROM transactions t WHERE t.hold_id = h.id AND t.kind = 'refund' AND t.created_at >= :horizon)
    AND NOT EXISTS (SELECT FROM media_jobs j WHERE j.id = h.id AND {NOT_DELETED})
ORDER BY h.id LIMIT :batch
"""  # noqa: S608
_OLD_USAGE = """
SELECT hold_id FROM usage WHERE hold_id > :a0 AND hold_id < :until AND created_at < :horizon
ORDER BY hold_id LIMIT :batch
"""
_OLD_KEYS = """
SELECT account_id, scope, expires_at FROM idempotency
WHERE expires_at < now() AND (expires_at, account_id, scope) > (:a2, :a0, :a1)
ORDER BY expires_at, account_id, scope LIMIT :batch
"""
# Sessions that have ended, links that are too old, and throttles that hold nobody up.
_OLD_SESSIONS = """
SELECT id FROM sessions WHERE id > :a0 AND (expires_at < now() OR last_seen_at < now() - CAST(:idle AS interval))
ORDER BY id LIMIT :batch
"""
_OLD_LINKS = "SELECT digest FROM one_time_links WHERE digest > :a0 AND expires_at < now() ORDER BY digest LIMIT :batch"
_OLD_THROTTLES = "SELECT digest FROM throttles WHERE digest > :a0 AND until < now() ORDER BY digest LIMIT :batch"
_FORGET_SESSIONS = """
WITH gone AS (DELETE FROM sessions WHERE id = ANY(CAST(:c0 AS uuid[])) RETURNING 1) SELECT count(*) FROM gone
"""
_FORGET_LINKS = """
WITH gone AS (DELETE FROM one_time_links WHERE digest = ANY(CAST(:c0 AS bytea[])) RETURNING 1)
SELECT count(*) FROM gone
"""
_FORGET_THROTTLES = """
WITH gone AS (DELETE FROM throttles WHERE digest = ANY(CAST(:c0 AS bytea[])) AND until < now() RETURNING 1)
SELECT count(*) FROM gone
"""
_OLD_AUDITS = """
SELECT id FROM audits WHERE id > :a0 AND began_at < :horizon AND id < (SELECT max(id) FROM audits)
ORDER BY id LIMIT :batch
"""


@dataclass(frozen=True, slots=True)
class Pruning:
    database: Database
    retention: Retention
    errors: MaintenanceErrors
    batch: int = BATCH
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    lifetime: SessionLifetime = field(default_factory=SessionLifetime)

    async def forget(self) -> int:
        """Run one round, and return how many rows it deleted.

        A row that cannot be deleted is reported, and does not keep others from being deleted.
        """
        return sum([await self._batches(kind) for kind in self._kinds()])

    def _kinds(self) -> Iterator[_Kind]:
        least, retention, now = UUID(int=0), self.retention, self.now()
        long_ago = datetime.min.replace(tzinfo=UTC)
        yield _Kind(
            "Idempotency-Key of account",
            _OLD_KEYS,
            "SELECT forget_idempotency(CAST(:c0 AS uuid[]), CAST(:c1 AS bytea[]))",
            (least, b"", long_ago),
        )
        yield _Kind("session", _OLD_SESSIONS, _FORGET_SESSIONS, (least,), more={"idle": self.lifetime.idle})
        yield _Kind("one-time link", _OLD_LINKS, _FORGET_LINKS, (b"",))
        yield _Kind("throttle", _OLD_THROTTLES, _FORGET_THROTTLES, (b"",))
        if retention.holds is not None:
            forget = "SELECT forget_holds(CAST(:c0 AS uuid[]), :horizon)"
            yield _Kind("hold", _OLD_HOLDS, forget, (least,), horizon(now, retention.holds))
        if retention.usage is not None:
            forget = "SELECT forget_usage(CAST(:c0 AS uuid[]), :horizon)"
            yield _Kind("usage of hold", _OLD_USAGE, forget, (least,), horizon(now, retention.usage))
        if retention.audits is not None:
            forget = "SELECT forget_audits(CAST(:c0 AS bigint[]), :horizon)"
            yield _Kind("audit", _OLD_AUDITS, forget, (0,), horizon(now, retention.audits))

    async def _batches(self, kind: _Kind) -> int:
        gone, after = 0, kind.first
        for _ in range(MAX_BATCHES):
            rows = await self._old(kind, after)
            if rows:
                gone += await self._forget(kind, rows)
                after = rows[-1]
            if len(rows) < self.batch:
                break
        return gone

    async def _old(self, kind: _Kind, after: Row) -> list[Row]:
        values: dict[str, Any] = {f"a{number}": value for number, value in enumerate(after)} | {
            "batch": self.batch,
            **kind.more,
        }
        if kind.horizon is not None:
            values |= {"horizon": kind.horizon, "until": _first_id(kind.horizon)}
        async with self.database.reading() as session:
            return [tuple(row) for row in await (await session.connection()).execute(text(kind.old), values)]

    async def _forget(self, kind: _Kind, rows: Sequence[Row]) -> int:
        """Delete all rows at once. If that fails, delete each half, down to the rows that cannot be deleted."""
        names = [f"{kind.name} {row[0]}" for row in rows]
        try:
            gone = await self._delete(kind, rows)
        except ServiceUnavailable:
            raise
        except Exception as error:
            if len(rows) == 1:
                self.errors.failed(TASK, names[0], error)
                return 0
            half = len(rows) // 2
            return await self._forget(kind, rows[:half]) + await self._forget(kind, rows[half:])
        for name in names:
            self.errors.succeeded(TASK, name)
        return gone

    async def _delete(self, kind: _Kind, rows: Sequence[Row]) -> int:
        values: dict[str, Any] = {f"c{number}": list(column) for number, column in enumerate(zip(*rows, strict=True))}
        async with self.database.transaction() as session:
            values["horizon"] = kind.horizon
            return int((await (await session.connection()).execute(text(kind.forget), values)).scalar_one())


def _first_id(at: datetime) -> UUID:
    """Return the smallest id that a call of that moment can have."""
    return uuid7(round(at.timestamp() * 1000), bytes(10))
