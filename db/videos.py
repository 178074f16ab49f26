"""Video jobs as `/v1/videos` shows them: listed until their owner deletes them."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from db import accounts
from db.engine import Database
from db.media_tables import MediaJobRow
from domain.errors import NotFound, RequestInvalid
from domain.media import Job, Kind, State

_NOT_FOUND = "There is no such video in this account."


class Videos:
    """Each public method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def owned(self, account_id: UUID, job_id: UUID) -> Job:
        """Return a video of the account. Raises `NotFound`, also for another account's."""
        async with self._database.reading() as session:
            return _job(await _row(session, account_id, job_id))

    async def listed(self, account_id: UUID, after: UUID | None, limit: int, *, newest_first: bool) -> list[Job]:
        """Return videos of the account in the order of their acceptance, those behind `after`. Raises `NotFound`."""
        async with self._database.reading() as session:
            place = tuple_(col(MediaJobRow.created_at), col(MediaJobRow.id))
            query = _shown(account_id, await accounts.epoch(session, account_id))
            if after is not None:
                last = await _row(session, account_id, after)
                beyond = (last.created_at, last.id)
                query = query.where(place < beyond if newest_first else place > beyond)
            ordered = query.order_by(*(each.desc() if newest_first else each for each in place)).limit(limit)
            return [_job(row) for row in (await session.exec(ordered)).all()]

    async def delete(self, account_id: UUID, job_id: UUID) -> None:
        """Delete a video that has ended. Its file is served no more, and deleted as one that has expired.

        Raises `NotFound`, and `RequestInvalid` for a video that is not finished.
        """
        async with self._database.transaction(account=account_id) as session:
            row = await _row(session, account_id, job_id, lock=True)
            if not State(row.state).terminal:
                message = "This video is not finished. Cancel its job first, at /api/media/jobs/."
                raise RequestInvalid(message, param="video_id")
            row.deleted_at = datetime.now(UTC)
            if row.expires_at is not None:
                row.expires_at = min(row.expires_at, row.deleted_at)
            session.add(row)


def _shown(account_id: UUID, epoch: int) -> SelectOfScalar[MediaJobRow]:
    return select(MediaJobRow).where(
        col(MediaJobRow.account_id) == account_id,
        col(MediaJobRow.epoch) >= epoch,
        col(MediaJobRow.kind) == Kind.VIDEO,
        col(MediaJobRow.deleted_at).is_(None),
    )


async def _row(session: AsyncSession, account_id: UUID, job_id: UUID, *, lock: bool = False) -> MediaJobRow:
    shown = _shown(account_id, await accounts.epoch(session, account_id)).where(col(MediaJobRow.id) == job_id)
    row = (await session.exec(shown.with_for_update() if lock else shown)).one_or_none()
    if row is None:
        raise NotFound(_NOT_FOUND)
    return row


def _job(row: MediaJobRow) -> Job:
    return Job.model_validate(row, from_attributes=True)
