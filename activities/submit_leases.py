"""Whether this attempt may still submit a job, looked at right before the job leaves.

A worker may be frozen anywhere, and Temporal away while it works: then another attempt begins beside this one. It takes
the intent over, waits for longer than a lease lasts, and only then asks the provider what it has.
"""

from datetime import timedelta
from time import monotonic
from uuid import UUID

from activities.ports import Jobs
from domain.errors import ServiceUnavailable
from domain.media import SubmitIntent


class Lease:
    """Implements `providers.submit_lease.SubmitLease`."""

    def __init__(self, jobs: Jobs, job_id: UUID, intent: SubmitIntent, lasts: timedelta) -> None:
        self._jobs, self._job_id, self._intent, self._lasts = jobs, job_id, intent, lasts
        self._ends = 0.0

    async def renew(self) -> None:
        ends = monotonic() + self._lasts.total_seconds()
        await self._jobs.require_intent(self._job_id, self._intent)
        self._ends = ends

    def require(self) -> None:
        if monotonic() > self._ends:
            raise ServiceUnavailable("This attempt took too long to submit a job.")
