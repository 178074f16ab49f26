"""Media jobs that maintenance has something to do for."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Uuid, and_, bindparam, func, or_, update
from sqlmodel import col, select

from db.engine import Database
from db.media_tables import MediaJobRow
from domain.media import JobKey, State


class DueJobs:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def to_cancel(self, resend_after: timedelta, limit: int) -> list[JobKey]:
        requested, sent = col(MediaJobRow.cancel_requested_at), col(MediaJobRow.cancel_sent_at)
        unfinished = col(MediaJobRow.state).in_([State.QUEUED, State.RUNNING])
        due = sent.is_(None) | (sent < datetime.now(UTC) - resend_after)
        return await self._some(limit, unfinished, requested.is_not(None), due)

    async def waiting(self, older_than: timedelta, limit: int, *, but: Collection[UUID]) -> list[JobKey]:
        accepted = col(MediaJobRow.created_at) < datetime.now(UTC) - older_than
        others = col(MediaJobRow.id) != func.all(bindparam("but", list(but), ARRAY(Uuid())))
        return await self._some(limit, MediaJobRow.state == State.QUEUED, accepted, others)

    async def beginning(self, job_ids: Collection[UUID]) -> Collection[UUID]:
        """Return those that wait for a worker on the way to their vendor, and not for a place there."""
        sent = (MediaJobRow.submit_intended_at, MediaJobRow.provider_job_id, MediaJobRow.slot_wanted_at)
        on_its_way = and_(col(MediaJobRow.state) == State.RUNNING, *(col(time).is_(None) for time in sent))
        wanted = col(MediaJobRow.id) == func.any(bindparam("ids", list(job_ids), ARRAY(Uuid())))
        query = select(MediaJobRow.id).where(wanted, or_(col(MediaJobRow.state) == State.QUEUED, on_its_way))
        async with self._database.reading() as session:
            return set((await session.exec(query)).all())

    async def begun(self, since: timedelta, limit: int) -> list[JobKey]:
        started = col(MediaJobRow.started_at) < datetime.now(UTC) - since
        return await self._some(limit, MediaJobRow.state == State.RUNNING, started)

    async def unfinished(self, limit: int) -> list[JobKey]:
        unfinished = col(MediaJobRow.state).in_([State.QUEUED, State.RUNNING])
        return await self._some(limit, unfinished, col(MediaJobRow.deadline) < datetime.now(UTC))

    async def cancel_sent(self, job_id: UUID) -> None:
        """Record that the wish to cancel was passed on."""
        sent = update(MediaJobRow).where(col(MediaJobRow.id) == job_id).values(cancel_sent_at=datetime.now(UTC))
        async with self._database.transaction() as session:
            await session.exec(sent)

    async def _some(self, limit: int, *conditions: ColumnElement[bool] | bool) -> list[JobKey]:
        """Return some jobs: one of each account by the priority of its plan, then a second of each, and so on.

        In random order otherwise, so that jobs which always fail cannot delay others without end.
        """
        turn = func.row_number().over(partition_by=col(MediaJobRow.account_id), order_by=func.random())
        first = col(MediaJobRow.priority)
        query = select(MediaJobRow.id, MediaJobRow.account_id, MediaJobRow.kind, MediaJobRow.deadline)
        async with self._database.reading() as session:
            rows = await session.exec(query.where(*conditions).order_by(turn, first, func.random()).limit(limit))
            return [JobKey(*row) for row in rows]
