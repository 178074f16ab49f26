"""What a saga cannot do for a job: start it when nobody did, close it when its workflow is lost.

Plain methods too: every API process runs them in a loop, so that neither needs Temporal's schedule to be there.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from temporalio import activity

from activities import failures
from activities.payloads import Tally
from activities.ports import Jobs
from domain.errors import ServiceUnavailable, UpstreamTimeout
from domain.media import Job, JobError, State

ORPHANED_AFTER = timedelta(seconds=5)
LOST_AFTER = timedelta(minutes=1)
"""A job that has run for so long is looked after: its workflow may be lost, with a Temporal that was restored."""
OVERDUE_AFTER = timedelta(minutes=10)
"""Past its deadline by that much, a job is closed even though its workflow is open: nobody can be working on it."""

log = logging.getLogger(__name__)


class Starter(Protocol):
    """Media workflows. Both raise `ServiceUnavailable` while Temporal is away."""

    async def start(self, job: Job) -> bool:
        """Start the job's workflow or join the running one. False when it has already run to its end."""

    async def alive(self, job_id: UUID) -> bool:
        """Whether the job's workflow is open."""


def _now() -> datetime:
    return datetime.now(UTC)


class MaintenanceActivities:
    def __init__(self, jobs: Jobs, starter: Starter, *, batch: int = 500, now: Callable[[], datetime] = _now) -> None:
        self._jobs, self._starter = jobs, starter
        self._batch = batch
        self._now = now

    @activity.defn
    async def start_orphans(self) -> Tally:
        """Start every job that was accepted and not begun: starting is idempotent by the workflow's id."""
        with failures.translated():
            return await self._tally(self._in_time(await self._jobs.waiting(ORPHANED_AFTER, self._batch)), self._revive)

    @activity.defn
    async def recover(self) -> Tally:
        """See to it that every running job has a workflow. One without goes on in a new one, where it had stopped."""
        with failures.translated():
            return await self._tally(self._in_time(await self._jobs.begun(LOST_AFTER, self._batch)), self._revive)

    @activity.defn
    async def reconcile(self) -> Tally:
        """Fail and give back every job past its deadline whose workflow is closed, gone, or stuck for long."""
        with failures.translated():
            return await self._tally(await self._jobs.unfinished(self._batch), self._close)

    def _in_time(self, jobs: list[Job]) -> list[Job]:
        now = self._now()
        return [job for job in jobs if job.deadline > now]

    async def _revive(self, job: Job) -> bool:
        """Start its workflow, or join it. One that has run to its end does not run again: then the job ends too.

        Whatever such a workflow has done is in a Postgres that was restored since, or it was terminated. A job that has
        ended meanwhile stays as it is.
        """
        if await self._starter.start(job):
            return True
        why = JobError(code=failures.INTERNAL, message=failures.INTERNAL_SENTENCE)
        return (await self._jobs.end(job.id, State.FAILED, why)).state is State.FAILED

    async def _close(self, job: Job) -> bool:
        if await self._starter.alive(job.id) and self._now() - job.deadline < OVERDUE_AFTER:
            return False
        late = UpstreamTimeout()
        ended = await self._jobs.end(job.id, State.FAILED, JobError(code=late.code, message=late.message))
        return ended.state is State.FAILED

    async def _tally(self, jobs: list[Job], deal: Callable[[Job], Awaitable[bool]]) -> Tally:
        """One job's trouble does not keep the others waiting; a Temporal or database that is away does."""
        dealt_with = 0
        for job in jobs:
            try:
                dealt_with += await deal(job)
            except ServiceUnavailable:
                raise
            except Exception as error:
                log.error("%s with job %s", failures.where(error), job.id)  # its text may be a user's
        return Tally(jobs=dealt_with)
