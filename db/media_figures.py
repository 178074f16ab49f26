"""Counts media jobs and their outputs, for metrics and for the operator."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.media import Kind

OVERDUE_AFTER = timedelta(minutes=15)
"""Longer than a round of maintenance, and longer than a job with an open workflow may be past its deadline."""

_OVERDUE = """
SELECT (SELECT count(*) FROM media_jobs WHERE state IN ('queued', 'running') AND deadline <= now() - :overdue),
       (SELECT count(*) FROM media_jobs
        WHERE outputs_deleted_at IS NULL AND state = 'succeeded' AND expires_at <= now() - :overdue)
"""
_OPEN = """
SELECT kind, count(*) FILTER (WHERE state = 'queued'), count(*) FILTER (WHERE state = 'running'),
       coalesce(now() - min(created_at) FILTER (WHERE state = 'queued'), interval '0')
FROM media_jobs WHERE state IN ('queued', 'running') GROUP BY kind
"""
_BY_ACCOUNT = """
SELECT account_id, count(*), coalesce(sum((output ->> 'bytes')::bigint), 0)
FROM media_jobs, LATERAL jsonb_array_elements(outputs) output
WHERE outputs_deleted_at IS NULL AND state = 'succeeded'
GROUP BY account_id ORDER BY 3 DESC, 1
"""


@dataclass(frozen=True, slots=True)
class Overdue:
    jobs: int
    """Unfinished jobs whose deadline passed long ago: maintenance cannot end them."""
    outputs: int
    """Jobs whose outputs expired long ago and are still in storage: maintenance cannot delete them."""


@dataclass(frozen=True, slots=True)
class OpenJobs:
    """Jobs of one kind that have not ended."""

    kind: Kind
    queued: int = 0
    running: int = 0
    age: timedelta = timedelta()
    """Of the oldest that is queued."""


@dataclass(frozen=True, slots=True)
class AccountStorage:
    account_id: UUID
    objects: int
    bytes: int


async def overdue(session: AsyncSession) -> Overdue:
    connection = await session.connection()
    jobs, outputs = (await connection.execute(text(_OVERDUE), {"overdue": OVERDUE_AFTER})).one()
    return Overdue(jobs, outputs)


async def open_jobs(session: AsyncSession) -> list[OpenJobs]:
    """Return them by kind, also those of which there are none."""
    connection = await session.connection()
    by_kind = {Kind(kind): OpenJobs(Kind(kind), *figures) for kind, *figures in await connection.execute(text(_OPEN))}
    return [by_kind.get(kind, OpenJobs(kind)) for kind in Kind]


async def stored_by_account(session: AsyncSession) -> list[AccountStorage]:
    """Return how much each account stores, the largest first."""
    rows = await (await session.connection()).execute(text(_BY_ACCOUNT))
    return [AccountStorage(account_id, objects, int(size)) for account_id, objects, size in rows]
