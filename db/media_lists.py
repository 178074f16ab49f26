"""Lists the media jobs of an account, newest first."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, tuple_
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from db.media_tables import MediaJobRow
from db.tables import AccountRow
from domain.media import Job, Kind, State
from domain.records import record

MAX_SCANNED = 5000
"""Jobs that one page looks at: a filter that few of them pass costs no more."""


@record
class JobPlace:
    """Where a list goes on: after the job that was accepted then, and has this id."""

    created_at: datetime
    id: UUID


@record
class JobFilter:
    """None: any."""

    state: State | None = None
    kind: Kind | None = None
    model: str | None = None
    after: datetime | None = None
    """Accepted later than this."""
    before: datetime | None = None


@record
class JobPage:
    jobs: list[Job]
    next: JobPlace | None
    """Where the next page begins. None: this is the last."""


async def listed(
    session: AsyncSession, account_id: UUID, wanted: JobFilter, limit: int, place: JobPlace | None = None
) -> JobPage:
    """Return a page of the account's jobs. It may have fewer than `limit`, even none, and still a next page.

    A job that is being purged is not listed.
    """
    scanned = _scanned(account_id, wanted, place)
    job = aliased(MediaJobRow, scanned.limit(MAX_SCANNED).subquery())
    passing = select(job).where(*_passes(wanted, job)).order_by(col(job.created_at).desc(), col(job.id).desc())
    rows = (await session.exec(passing.limit(limit + 1))).all()
    jobs = [Job.model_validate(row, from_attributes=True) for row in rows[:limit]]
    if len(rows) > limit:
        return JobPage(jobs, JobPlace(jobs[-1].created_at, jobs[-1].id))
    last = (await session.exec(scanned.offset(MAX_SCANNED - 1).limit(1))).one_or_none()
    return JobPage(jobs, None if last is None or last.created_at is None else JobPlace(last.created_at, last.id))


async def every(session: AsyncSession, account_id: UUID | None, wanted: JobFilter, limit: int) -> list[Job]:
    """Return jobs of all accounts, or of one, the newest first. For their operator."""
    query = select(MediaJobRow).where(*_passes(wanted, MediaJobRow))
    if account_id is not None:
        query = query.where(col(MediaJobRow.account_id) == account_id)
    rows = (await session.exec(query.order_by(col(MediaJobRow.id).desc()).limit(limit))).all()
    return [Job.model_validate(row, from_attributes=True) for row in rows]


def _scanned(account_id: UUID, wanted: JobFilter, place: JobPlace | None) -> SelectOfScalar[MediaJobRow]:
    created, job_id = col(MediaJobRow.created_at), col(MediaJobRow.id)
    account = select(col(AccountRow.epoch)).where(col(AccountRow.id) == account_id).scalar_subquery()
    query = select(MediaJobRow).where(col(MediaJobRow.account_id) == account_id)
    query = query.where(col(MediaJobRow.epoch) >= account)
    if place is not None:
        query = query.where(tuple_(created, job_id) < tuple_(place.created_at, place.id))
    if wanted.after is not None:
        query = query.where(created > wanted.after)
    if wanted.before is not None:
        query = query.where(created < wanted.before)
    return query.order_by(created.desc(), job_id.desc())


def _passes(wanted: JobFilter, job: type[MediaJobRow]) -> list[ColumnElement[bool]]:
    equal = ((col(job.state), wanted.state), (col(job.kind), wanted.kind), (col(job.model), wanted.model))
    return [column == value for column, value in equal if value is not None]
