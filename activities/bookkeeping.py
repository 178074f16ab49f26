"""The steps of a media job that move credits or its state: one transaction each, retried until the database is back."""

from temporalio import activity

from activities import failures
from activities.payloads import Begun, Ended, Ending, JobRef, Success
from activities.ports import Jobs


class BookkeepingActivities:
    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    @activity.defn
    async def begin(self, ref: JobRef) -> Begun:
        """`queued` becomes `running`. A job that has ended comes back as it is."""
        with failures.translated():
            job = await self._jobs.begin(ref.job_id)
            return Begun(
                state=job.state,
                kind=job.kind,
                model=job.model,
                provider=job.provider,
                deadline=job.deadline,
                submitted=job.provider_job_id is not None,
            )

    @activity.defn
    async def succeed(self, success: Success) -> Ended:
        """Capture the price and make the job `succeeded`; a job that ended otherwise meanwhile stays that."""
        with failures.translated():
            return Ended(state=(await self._jobs.succeed(success.job_id, success.outputs)).state)

    @activity.defn
    async def end(self, ending: Ending) -> Ended:
        """Release the price and make the job `failed` or `cancelled`; a job that has already ended stays as it is."""
        with failures.translated():
            return Ended(state=(await self._jobs.end(ending.job_id, ending.state, ending.error)).state)
