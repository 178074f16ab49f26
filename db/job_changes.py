"""Changes of media jobs, as PostgreSQL notifies them.

The triggers `changed` and `erased` of `media_jobs` notify a channel, with the job's id, when the transaction commits.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import LiteralString
from uuid import UUID

from pydantic import ValidationError
from sqlmodel import col, select

from db import connections
from db.engine import Database
from db.media_tables import MediaJobRow
from db.outage import Outage
from db.tables import AccountRow
from domain.errors import ServiceUnavailable
from domain.media import Job

_LISTEN: LiteralString = "LISTEN yout_jobs"
_CHECK_PAUSE = timedelta(seconds=15)
_CHECK_TIMEOUT = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class JobSignals:
    """Listens for changes of jobs, on a connection of its own."""

    url: str = field(repr=False)
    outage: Outage | None = None
    """Where the operator reads that the server is away."""
    check_pause: timedelta = _CHECK_PAUSE
    """A connection without a notification for this long is checked: the server may be gone, or read-only."""

    async def listen(self) -> AsyncGenerator[UUID | None]:
        """Yield the id of each job that has changed; first None, when the connection listens.

        What changed before that is not yielded. Raises `ServiceUnavailable` when the connection is lost.
        """
        try:
            async with await connections.connect(self.url, "yout-job-changes", {}, writes=True) as connection:
                await connection.execute(_LISTEN)
                yield None
                while True:
                    async for notification in connection.notifies(timeout=self.check_pause.total_seconds()):
                        yield UUID(notification.payload)
                    async with asyncio.timeout(_CHECK_TIMEOUT.total_seconds()):
                        row = await (await connection.execute(connections.WRITABLE)).fetchone()
                    if not (row and row[0]):
                        raise ServiceUnavailable("The database is read-only for the moment. Try again.")
        except Exception as error:
            if not (isinstance(error, TimeoutError) or connections.is_unavailable(error)):
                raise
            reported = self.outage is not None and self.outage.seen(error)
            raise ServiceUnavailable("The database is away for the moment. Try again.", reported=reported) from None


@dataclass(frozen=True, slots=True)
class ChangedJobs:
    database: Database

    async def read(self, job_ids: Collection[UUID]) -> Mapping[UUID, Job]:
        """Return those of the jobs that exist and can be read, in one query. One that is being purged does not."""
        query = select(MediaJobRow).join(AccountRow, col(AccountRow.id) == col(MediaJobRow.account_id))
        own = query.where(col(MediaJobRow.id).in_(job_ids), col(MediaJobRow.epoch) >= col(AccountRow.epoch))
        async with self.database.reading() as session:
            return {row.id: job for row in (await session.exec(own)).all() if (job := _job(row)) is not None}


def _job(row: MediaJobRow) -> Job | None:
    """None for a row that cannot be read: the audit names it, and the others are read."""
    with suppress(ValidationError):
        return Job.model_validate(row, from_attributes=True)
    return None
