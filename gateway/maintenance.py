"""What a saga cannot do for a job or a purge: start it when nobody did, close a job whose workflow is lost.

Every API process does it in a loop, and a worker by Temporal's schedule: either side may be away. Each method is one
round, safe to do twice, safe from many processes at once. One job's trouble does not keep the others waiting.
"""

import asyncio
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from domain.media import INTERNAL_ERROR, TOO_LATE, Job, JobError, JobKey, State
from domain.purges import PurgeKey
from domain.rounds import MaintenanceErrors, Round
from gateway.beginnings import Beginnings
from gateway.delivery_starts import DeliveryStarts
from gateway.job_starts import PAUSE, RecentStarts

ORPHAN_AGE = timedelta(seconds=5)
"""A job or a purge that is so old, and still waits, was started by nobody."""
RECOVERY_AGE = timedelta(minutes=1)
"""A job that has run for so long is looked after: its workflow may be lost, with a Temporal that was restored."""
RESEND_AGE = timedelta(minutes=5)
"""A job that still runs so long after its workflow was asked to cancel it: it is asked again."""
BATCH = 500
ORPHANS = 200
"""Jobs that are started in a round, those of accounts in turn."""
MAX_STARTING = timedelta(seconds=5)
"""A round starts as many as workers take meanwhile. The next round knows what others have accepted since."""
MAX_OVERDUE = timedelta(minutes=10)
"""Past its deadline by that much, a job is closed even though its workflow is open: nobody can be working on it."""


class MaintainedJobs(Protocol):
    """Media jobs in PostgreSQL. Raises `ServiceUnavailable` while it is away."""

    async def load(self, job_id: UUID) -> Job: ...

    async def end(self, job_id: UUID, state: State, error: JobError | None, *, wait: bool = True) -> Job:
        """Release the held price and make the job `failed` or `cancelled`, in one transaction.

        A job that has already ended is returned as it is. Without `wait`, a row that somebody else has locked raises
        `ServiceUnavailable` at once.
        """

    async def waiting(self, older_than: timedelta, limit: int, *, but: Collection[UUID]) -> list[JobKey]:
        """Jobs still `queued` that long after their acceptance, but these: nobody may have started their workflow."""

    async def beginning(self, job_ids: Collection[UUID]) -> Collection[UUID]:
        """Those of the jobs that wait for a worker still, on their way to the vendor."""

    async def begun(self, since: timedelta, limit: int) -> list[JobKey]:
        """Jobs that have been `running` for that long."""

    async def to_cancel(self, resend_after: timedelta, limit: int) -> list[JobKey]:
        """Unfinished jobs whose owner wants them cancelled, and whose workflow was not told of it lately."""

    async def cancel_sent(self, job_id: UUID) -> None:
        """Note that the job's workflow has the wish to cancel."""

    async def unfinished(self, limit: int) -> list[JobKey]:
        """Non-terminal jobs past their deadline."""


class AcceptedPurges(Protocol):
    async def waiting(self, older_than: timedelta, limit: int) -> list[PurgeKey]:
        """Purges that are not complete so long after their acceptance: their workflow may be lost, or never began."""


class Starter(Protocol):
    """Workflows of jobs and purges. All raise `ServiceUnavailable` while Temporal is away."""

    async def start(self, job: Job) -> bool:
        """Start the job's workflow or join the running one. False when it has already run to its end."""

    async def cancel(self, job_id: UUID) -> bool:
        """Ask the job's workflow to cancel it. False when none is open."""

    async def alive(self, job_id: UUID) -> bool:
        """Whether the job's workflow is open."""

    async def start_purge(self, purge: PurgeKey) -> bool:
        """Start the purge's workflow or join the running one. True."""


class Maintenance:
    def __init__(
        self,
        jobs: MaintainedJobs,
        purges: AcceptedPurges,
        starter: Starter,
        errors: MaintenanceErrors,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._jobs, self._purges, self._starter, self._errors = jobs, purges, starter, errors
        self._now = now
        self.recent = RecentStarts(now)
        self.beginnings = Beginnings(jobs.beginning, now)
        self.deliveries: DeliveryStarts | None = None
        """Webhooks whose workflows are to be started too."""

    async def start_orphans(self) -> int:
        """Start every purge and job that was accepted and not begun: starting is idempotent by the workflow's id.

        Also pass on what owners want cancelled, if Temporal was away when they said so.
        """
        purges: Round[PurgeKey] = Round(
            "start_purges", lambda one: f"purge {one.id}", lambda one: one.account_id, self._errors
        )
        started = await purges.run(await self._purges.waiting(ORPHAN_AGE, BATCH), self._starter.start_purge)
        waiting = await self._jobs.waiting(ORPHAN_AGE, ORPHANS, but=self.recent.ids())
        orphans = [job for job in waiting if job.deadline > self._now()]
        started += await self._start_as_taken(orphans)
        await self._round("cancel").run(await self._jobs.to_cancel(RESEND_AGE, BATCH), self._cancel)
        return started

    async def _start_as_taken(self, orphans: Collection[JobKey]) -> int:
        """Start as many as workers take. The others wait as rows, from which accounts are served in turn."""
        clock, turns, started = asyncio.get_running_loop().time, self._round("start_orphans"), 0
        end = clock() + MAX_STARTING.total_seconds()
        while orphans:
            ready, left = list[JobKey](), list[JobKey]()
            for job in orphans:
                (ready if self.beginnings.enter(job) else left).append(job)
            started += await turns.run(ready, self._revive)
            orphans = left
            if not orphans or clock() >= end:
                break
            await asyncio.sleep(PAUSE.total_seconds())
            await self.beginnings.look()
        return started

    async def start_deliveries(self) -> int:
        """Start the workflow of every webhook that nobody has started, and of those that are lost."""
        return 0 if self.deliveries is None else await self.deliveries.start()

    async def recover(self) -> int:
        """See to it that every running job has a workflow. One without goes on in a new one, where it had stopped."""
        now, recent = self._now(), self.recent.ids()
        begun = await self._jobs.begun(RECOVERY_AGE, BATCH)
        running = [job for job in begun if job.deadline > now and job.id not in recent]
        return await self._round("recover").run(running, self._revive)

    async def reconcile(self) -> int:
        """Fail and give back every job past its deadline whose workflow is closed, gone, or stuck for long."""
        return await self._round("reconcile").run(await self._jobs.unfinished(BATCH), self._close)

    def _round(self, task: str) -> Round[JobKey]:
        return Round(task, lambda job: f"job {job.id}", lambda job: job.account_id, self._errors)

    async def _revive(self, job: JobKey) -> bool:
        """Start its workflow, or join it. One that has run to its end does not run again: then the job ends too.

        Whatever such a workflow has done is in a Postgres that was restored since, or it was terminated. A job that has
        ended meanwhile stays as it is, and gets no workflow: a purge may have deleted its histories already.
        """
        started = False
        try:
            stored = await self._jobs.load(job.id)
            if stored.state.terminal:
                return False
            started = await self._starter.start(stored)
        finally:
            if not started:  # it takes no place of another
                self.beginnings.leave(job.id)
        if started:
            self.recent.note(job.id)
            return True
        return await self._fail(job, INTERNAL_ERROR)

    async def _cancel(self, job: JobKey) -> bool:
        """Without an open workflow, the job is started or ended by the other tasks."""
        sent = await self._starter.cancel(job.id)
        if sent:
            await self._jobs.cancel_sent(job.id)
        return sent

    async def _close(self, job: JobKey) -> bool:
        if await self._starter.alive(job.id) and self._now() - job.deadline < MAX_OVERDUE:
            return False
        return await self._fail(job, TOO_LATE)

    async def _fail(self, job: JobKey, why: JobError) -> bool:
        ended = await self._jobs.end(job.id, State.FAILED, why, wait=False)
        return ended.state is State.FAILED
