"""Requests that wait for the end of a media job, in bounds: one account's many do not use up a process."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.counts import counted
from domain.errors import RateLimited, ServiceUnavailable
from domain.media import Job
from gateway.job_changes import JobChanges

MAX_WAITING = 100
"""Requests of one account that wait in this process."""
_LATE = timedelta(minutes=5)
"""How long after its deadline a job is waited for: by then maintenance has ended it."""
_RETRY_AFTER = timedelta(seconds=5)


class JobWaits:
    """The waits of this process."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._waiting: Counter[UUID] = Counter()

    @contextmanager
    def place(self, account_id: UUID) -> Iterator[None]:
        """Take a place of the account for the block, in which it may wait. Raises `RateLimited` when there is none."""
        if self._waiting[account_id] >= self._max_waiting:
            message = f"No more than {counted(self._max_waiting, 'request')} of this account may wait for jobs."
            raise RateLimited(f"{message} Start jobs at /api/media/.", retry_after=_RETRY_AFTER)
        self._waiting[account_id] += 1
        try:
            yield
        finally:
            self._waiting[account_id] -= 1
            if not self._waiting[account_id]:
                del self._waiting[account_id]


async def ended(changes: JobChanges, job: Job) -> Job:
    """Return the job when it has ended. Raises `ServiceUnavailable` when this process stops before."""
    job = await changes.ended(job, job.deadline + _LATE - datetime.now(UTC))
    if not job.state.terminal:
        raise ServiceUnavailable("The end of the job cannot be seen for the moment. Ask for the job again.")
    return job
