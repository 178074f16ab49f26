"""Starts the workflows of accepted jobs after their callers have the answer: a few at a time, accounts in turn.

The job's row is durable. What has no place here, what fails, and what is left when the process ends, the orphan starter
finds by its row (`gateway/maintenance.py`).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from domain.errors import NotFound, RateLimited, where
from domain.media import Job, State
from gateway.fair_turns import FairTurns

AT_ONCE = 16
"""Starts under way, in a process."""
LANES = 4
"""Queues of each account, by the id of the job: so many starts of one are under way at most."""
MAX_WAITING = 2000
"""Jobs that wait here, of all accounts."""
MAX_WAITING_IN_LANE = 125
"""So about 500 of an account."""
MAX_AGE = timedelta(seconds=30)
"""A job that was accepted longer ago is left to the orphan starter: this process was frozen, or is behind."""
FRESH_AGE = timedelta(seconds=1)
"""A job that was accepted longer ago is looked at before its start: its caller or a purge may have ended it."""
CLOSE_TIMEOUT = timedelta(seconds=2)
"""How long a process that ends goes on starting jobs. Others start what is left."""
REJOIN_AGE = timedelta(minutes=5)
"""A job whose workflow was started or joined is left alone for so long, by this process."""

log = structlog.get_logger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


class RecentStarts:
    """Jobs that this process starts, or has started or joined lately: the orphan starter leaves them alone.

    Thousands may wait for a worker: each of them is joined rarely. Only the process that leads reads the ids, so that
    old ones are forgotten as new ones come.
    """

    def __init__(self, now: Callable[[], datetime] = _now) -> None:
        self._now = now
        self._times: OrderedDict[UUID, datetime] = OrderedDict()
        """The oldest first."""

    def __len__(self) -> int:
        return len(self._times)

    def note(self, job_id: UUID) -> None:
        self._times[job_id] = self._now()
        self._times.move_to_end(job_id)
        self._forget_old()

    def forget(self, job_id: UUID) -> None:
        self._times.pop(job_id, None)

    def ids(self) -> frozenset[UUID]:
        self._forget_old()
        return frozenset(self._times)

    def _forget_old(self) -> None:
        now = self._now()
        while self._times and now - self._times[oldest := next(iter(self._times))] >= REJOIN_AGE:
            del self._times[oldest]


class JobStarts:
    """Of a process. A start may be lost: `add` leaves some to the orphan starter, and `close` cancels some."""

    def __init__(self, start: Callable[[Job], Awaitable[bool]], owned: Callable[[UUID, UUID], Awaitable[Job]]) -> None:
        """`start` starts the job's workflow, or joins the one that it has; False: neither. `owned` reads the job of an
        account, and raises `NotFound`.
        """
        self._start, self._owned, self.recent = start, owned, RecentStarts()
        self._turns = FairTurns(AT_ONCE, MAX_WAITING_IN_LANE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._leaving = False
        """Jobs are left to the orphan starter now: the log has it."""

    def add(self, job: Job) -> None:
        """Start its workflow soon. Returns at once, and raises nothing."""
        if self._closed or len(self._tasks) >= MAX_WAITING:
            self._leave(job)
            return
        self.recent.note(job.id)
        task = asyncio.create_task(self._run(job), name="job start")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, grace: timedelta = CLOSE_TIMEOUT) -> None:
        """Wait up to `grace` for what is to be started. The rest is left to the orphan starter of any process."""
        self._closed = True
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=grace.total_seconds())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if late:
            log.warning("jobs accepted, not started before this process ended", count=len(late))

    async def _run(self, job: Job) -> None:
        started = False
        try:
            async with self._turns.turn((job.account_id, job.id.int % LANES)):
                age = _now() - job.created_at
                if age >= MAX_AGE:
                    self._leave(job)
                elif age < FRESH_AGE or await self._is_queued(job):
                    started = await self._start(job)
        except RateLimited:
            self._leave(job)
        except Exception as error:
            log.error("job accepted, not started yet", job=str(job.id), fault=where(error))
        finally:
            if not started:
                self.recent.forget(job.id)
            self._leaving = self._leaving and len(self._tasks) > 1

    async def _is_queued(self, job: Job) -> bool:
        try:
            return (await self._owned(job.account_id, job.id)).state is State.QUEUED
        except NotFound:
            return False

    def _leave(self, job: Job) -> None:
        """Log it once, until all starts that wait have ended."""
        if not self._leaving:
            log.warning("job accepted, its start is left to the orphan starter: too many wait", job=str(job.id))
        self._leaving = True
