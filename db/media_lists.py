"""Lists the media jobs of an account, newest first."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.media_tables import MediaJobRow
from domain.media import Job, Kind, State
from domain.records import record

_COLUMNS = tuple(name for name in Job.model_fields if name in MediaJobRow.model_fields)
_OF_ACCOUNT = "account_id = :account_id AND epoch >= (SELECT epoch FROM accounts WHERE id = :account_id)"
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
    scanned, values = _scanned(account_id, wanted, place)
    equal = {"state": wanted.state, "kind": wanted.kind, "model": wanted.model}
    passes = {name: value for name, value in equal.items() if value is not None}
    conditions = " AND ".join(("true", *(f"{name} = :{name}" for name in passes)))
    query = f"""
    SELECT {", ".join(_COLUMNS)} FROM ({scanned} LIMIT :scanned) AS scanned WHERE {conditions}
    ORDER BY created_at DESC, id DESC LIMIT :limit
    """  # noqa: S608  # our own text
    connection = await session.connection()
    values |= {"scanned": MAX_SCANNED, "limit": limit + 1}
    rows = (await connection.execute(text(query), values | passes)).all()
    jobs = [Job.model_validate(dict(zip(_COLUMNS, row, strict=True))) for row in rows[:limit]]
    if len(rows) > limit:
        return JobPage(jobs, JobPlace(jobs[-1].created_at, jobs[-1].id))
    query = f"SELECT created_at, id FROM ({scanned} OFFSET :scanned - 1 LIMIT 1) AS last"  # noqa: S608
    last = (await connection.execute(text(query), values)).one_or_none()
    return JobPage(jobs, None if last is None else JobPlace(*last))


async def every(session: AsyncSession, account_id: UUID | None, wanted: JobFilter, limit: int) -> list[Job]:
    """Return jobs of all accounts, or of one, the newest first. For their operator."""
    query = select(MediaJobRow).where(*_passes(wanted, MediaJobRow))
    if account_id is not None:
        query = query.where(col(MediaJobRow.account_id) == account_id)
    rows = (await session.exec(query.order_by(col(MediaJobRow.id).desc()).limit(limit))).all()
    return [Job.model_validate(row, from_attributes=True) for row in rows]


def _scanned(account_id: UUID, wanted: JobFilter, place: JobPlace | None) -> tuple[str, dict[str, object]]:
    """Return the statement of an account's jobs, newest first, and its values.

    It is a text: SQLAlchemy takes longer to build it than PostgreSQL takes to answer it.
    """
    values: dict[str, object] = {"account_id": account_id}
    conditions = [_OF_ACCOUNT]
    if place is not None:
        conditions.append("(created_at, id) < (:place, :place_id)")
        values |= {"place": place.created_at, "place_id": place.id}
    if wanted.after is not None:
        conditions.append("created_at > :after")
        values["after"] = wanted.after
    if wanted.before is not None:
        conditions.append("created_at < :before")
        values["before"] = wanted.before
    where = " AND ".join(conditions)
    return f"SELECT * FROM media_jobs WHERE {where} ORDER BY created_at DESC, id DESC", values  # noqa: S608


def _passes(wanted: JobFilter, job: type[MediaJobRow]) -> list[ColumnElement[bool]]:
    equal = ((col(job.state), wanted.state), (col(job.kind), wanted.kind), (col(job.model), wanted.model))
    return [column == value for column, value in equal if value is not None]
