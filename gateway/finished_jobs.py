"""Waits for jobs to end, for callers that want the output. However many wait, one query looks for all of them."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog

from domain.errors import RateLimited, ServiceUnavailable, where
from domain.media import Job

MAX_WAITING = 100
"""Requests of one account that wait in this process."""
MIN_PAUSE, MAX_PAUSE = timedelta(milliseconds=100), timedelta(seconds=2)
"""Between two looks at a job: ever more rarely, the longer it takes."""
_LATE = timedelta(minutes=5)
"""How long after its deadline a job is waited for: by then maintenance has ended it."""
_RETRY_AFTER = timedelta(seconds=5)

log = structlog.get_logger(__name__)


class StoredJobs(Protocol):
    async def unfinished_of(self, job_ids: Collection[UUID]) -> set[UUID]:
        """Return those of these jobs that have not ended."""


class _Wait:
    """One request that waits for a job."""

    __slots__ = ("ended", "job_id", "look_at", "pause", "until")

    def __init__(self, job: Job, now: float) -> None:
        self.job_id = job.id
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.pause = MIN_PAUSE.total_seconds()
        self.look_at = now + self.pause
        self.until = now + (job.deadline + _LATE - datetime.now(UTC)).total_seconds()

    def postpone(self, now: float) -> None:
        self.pause = min(self.pause * 1.5, MAX_PAUSE.total_seconds())
        self.look_at = now + self.pause


class FinishedJobs:
    """The waits of this process."""

    def __init__(self, stored: StoredJobs, max_waiting: int = MAX_WAITING) -> None:
        self._stored = stored
        self._max_waiting = max_waiting
        self._waiting: Counter[UUID] = Counter()
        self._waits: set[_Wait] = set()
        self._added = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._stopping = False

    @contextmanager
    def place(self, account_id: UUID) -> Iterator[None]:
        """Take a place of the account for the block, in which it may wait. Raises `RateLimited` when there is none."""
        if self._waiting[account_id] >= self._max_waiting:
            message = f"{self._max_waiting} requests of this account wait for jobs already. Start jobs at /api/media/."
            raise RateLimited(message, retry_after=_RETRY_AFTER)
        self._waiting[account_id] += 1
        try:
            yield
        finally:
            self._waiting[account_id] -= 1
            if not self._waiting[account_id]:
                del self._waiting[account_id]

    async def wait(self, job: Job) -> None:
        """Return when the job has ended. Raises `ServiceUnavailable` when this process stops before."""
        if job.state.terminal:
            return
        self._require_running()
        wait = _Wait(job, asyncio.get_running_loop().time())
        self._waits.add(wait)
        self._added.set()
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="finished jobs")
        try:
            await wait.ended
        finally:
            self._waits.discard(wait)

    def stop(self) -> None:
        """End all waits, because the process stops. The jobs go on."""
        self._stopping = True
        for wait in self._waits:
            _fail(wait)

    def _require_running(self) -> None:
        if self._stopping:
            raise _unavailable()

    async def _look(self) -> None:
        """Look for the ends of jobs while any request waits for one."""
        clock = asyncio.get_running_loop().time
        try:
            while self._waits:
                await self._pause(min(wait.look_at for wait in self._waits) - clock())
                due = [wait for wait in self._waits if wait.look_at <= clock() + MIN_PAUSE.total_seconds() / 2]
                unfinished = await self._unfinished({wait.job_id for wait in due})
                for wait in due:
                    self._decide(wait, unfinished, clock())
        except Exception as error:  # a fault of ours: nobody waits for ever because of it
            log.error("waits for jobs ended", fault=where(error))
            for wait in self._waits:
                _fail(wait)
        finally:
            self._looking = None

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not when there is a new wait: it may have to be looked for earlier."""
        self._added.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._added.wait()

    async def _unfinished(self, job_ids: set[UUID]) -> set[UUID]:
        if not job_ids:
            return set()
        try:
            return await self._stored.unfinished_of(job_ids)
        except ServiceUnavailable as error:  # it may be back in a moment
            log.warning("ends of jobs not seen", fault=where(error))
            return job_ids

    def _decide(self, wait: _Wait, unfinished: set[UUID], now: float) -> None:
        if wait.ended.done():
            return
        if wait.job_id not in unfinished:
            wait.ended.set_result(None)
        elif now > wait.until:
            _fail(wait)
        else:
            wait.postpone(now)


def _fail(wait: _Wait) -> None:
    with suppress(asyncio.InvalidStateError):
        wait.ended.set_exception(_unavailable())


def _unavailable() -> ServiceUnavailable:
    return ServiceUnavailable("This server cannot wait for the job any longer. The job goes on; ask for it again.")
