"""Cancels media jobs for their owners. What becomes of a job that a provider has, the provider decides.

The wish is recorded first. Then the job's workflow is asked. If that cannot be done now, maintenance does it.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol
from uuid import UUID

from domain.media import Job


class CancellableJobs(Protocol):
    async def request_cancel(self, account_id: UUID, job_id: UUID) -> Job:
        """Record the wish; end a job that nobody has begun. Raises `NotFound`."""

    async def cancel_sent(self, job_id: UUID) -> None:
        """Note that the job's workflow has the wish."""

    async def owned(self, account_id: UUID, job_id: UUID) -> Job:
        """Raises `NotFound`."""


class JobCancellations:
    def __init__(self, stored: CancellableJobs, send: Callable[[UUID], Awaitable[bool]]) -> None:
        """`send` asks the workflow of a job; False when it could not."""
        self._stored = stored
        self._send = send

    async def request(self, account_id: UUID, job_id: UUID) -> Job:
        """Return the job as it is then: it may have ended, in whatever way, or still run. Idempotent.

        Raises `NotFound`, also for a job of another account.
        """
        job = await self._stored.request_cancel(account_id, job_id)
        if job.state.terminal:
            return job
        if await self._send(job_id):
            await self._stored.cancel_sent(job_id)
        return await self._stored.owned(account_id, job_id)
