"""What every step of a media job looks at first and last: whether the job still runs."""

from uuid import UUID

from activities import failures
from activities.outputs import OutputStore
from activities.ports import Jobs
from domain.errors import NotFound
from domain.media import Job, State


async def running(jobs: Jobs, job_id: UUID) -> Job:
    """Return the job. Raises for one that has ended."""
    job = await jobs.load(job_id)
    if job.state is State.QUEUED:  # it has begun, but in a Postgres that has been restored since
        job = await jobs.begin(job_id)
    if job.state.terminal:
        raise failures.job_ended()
    return job


async def delete_unserved(jobs: Jobs, outputs: OutputStore, job: Job) -> Job | None:
    """Delete the job's objects if it has ended without outputs, or a purge has erased it: None. Else the job as it is.

    A worker that was frozen learns only here, after it has written, what happened meanwhile.
    """
    try:
        now = await jobs.load(job.id)
    except NotFound:
        now = None
    if now is None or (now.state.terminal and now.state is not State.SUCCEEDED):
        await outputs.delete(job)
        return None
    return now
