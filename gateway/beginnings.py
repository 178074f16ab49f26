"""Jobs whose workflow was started and that no worker has brought to their vendor yet: few videos at a time.

Temporal and a worker take what they have in the order in which it came, but for the first step of each job. So a flood
of jobs waits as rows, where accounts take turns, and another account's job has few before it.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from domain.media import Kind

AT_ONCE = 4
"""Videos, in a process. An account that has none of them may have one of as many more."""
MANY = 100
"""Jobs of another kind. Most are done soon after: fewer at a time end fewer a second (docs/benchmark.md)."""
TIMEOUT = timedelta(seconds=5)
"""A job counts no longer: no worker serves its queue, or something about this job alone takes long."""


class Beginning(Protocol):
    @property
    def id(self) -> UUID: ...
    @property
    def account_id(self) -> UUID: ...
    @property
    def kind(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: str
    account_id: UUID
    since: datetime


class Beginnings:
    """Of a process."""

    def __init__(
        self,
        beginning: Callable[[Collection[UUID]], Awaitable[Collection[UUID]]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`beginning` returns those of the jobs that wait for a worker still, on their way to the vendor."""
        self._beginning, self._now = beginning, now
        self._jobs: dict[UUID, _Entry] = {}

    def room(self, kind: str) -> Callable[[UUID], bool] | None:
        """Tell whether there is room for one more job of an account. None: for nobody's."""
        accounts = [entry.account_id for entry in self._jobs.values() if entry.kind == kind]
        limit = AT_ONCE if kind == Kind.VIDEO else MANY
        if len(accounts) >= 2 * limit:
            return None
        return lambda account_id: len(accounts) < limit or account_id not in accounts

    def enter(self, job: Beginning) -> bool:
        """Count the job from now on, if there is room for it."""
        if job.id not in self._jobs:
            room = self.room(job.kind)
            if room is None or not room(job.account_id):
                return False
        self._jobs[job.id] = _Entry(job.kind, job.account_id, self._now())
        return True

    def leave(self, job_id: UUID) -> None:
        self._jobs.pop(job_id, None)

    async def look(self) -> None:
        """Count no more what has reached its vendor meanwhile, or waits for too long."""
        looked_at = dict(self._jobs)
        if not looked_at:
            return
        left, now = await self._beginning(looked_at.keys()), self._now()
        for job_id, entry in looked_at.items():
            if (job_id not in left or now - entry.since >= TIMEOUT) and self._jobs.get(job_id) is entry:
                del self._jobs[job_id]
