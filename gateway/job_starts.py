"""Starts the workflows of accepted jobs after their callers have the answer: a few at a time, accounts in turn.

What was started and has not reached its vendor bounds how many more are started (`gateway/beginnings.py`): a flood
waits here and as rows, and not in the queues of Temporal and of a worker.

The job's row is durable. What has no place here, what fails, and what is left when the process ends, the orphan starter
finds by its row (`gateway/maintenance.py`).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from domain.current_request import working_for
from domain.errors import NotFound, ServiceUnavailable, where
from domain.media import Job, State
from gateway.beginnings import Beginnings
from gateway.start_turns import StartTurns

MAX_WAITING = 2000
"""Jobs that wait here, of all accounts."""
MAX_WAITING_OF_ACCOUNT = 500
PAUSE = timedelta(milliseconds=50)
"""Between two looks at what has reached its vendor, while jobs wait for that."""
MAX_AGE = timedelta(minutes=4)
"""A job that was accepted longer ago is left to the orphan starter: this process was frozen, or is behind."""
FRESH_AGE = timedelta(seconds=1)
"""A job that was accepted longer ago is looked at before its start: its caller or a purge may have ended it."""
CLOSE_TIMEOUT = timedelta(seconds=2)
"""How long a process that ends goes on starting jobs. Others start what is left."""
REJOIN_AGE = timedelta(minutes=5)
"""A job whose workflow was started or joined is left alone for so long, by this process."""

log = structlog.get_logger(__name__)


class RecentStarts:
    """Jobs that this process starts, or has started or joined lately: the orphan starter leaves them alone.

    Thousands may wait for a worker: each of them is joined rarely. Only the process that leads reads the ids, so that
    old ones are forgotten as new ones come.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
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

    def __init__(
        self,
        start: Callable[[Job], Awaitable[bool]],
        owned: Callable[[UUID, UUID], Awaitable[Job]],
        beginnings: Beginnings,
    ) -> None:
        """`start` starts the job's workflow, or joins the one that it has; False: neither. `owned` reads the job of an
        account, and raises `NotFound`.
        """
        self._start, self._owned, self.beginnings = start, owned, beginnings
        self.recent = RecentStarts()
        self._waiting = StartTurns()
        self._starting: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None
        """While jobs wait."""
        self._closed = False
        self._leaving = False
        """Jobs are left to the orphan starter now: the log has it."""

    def add(self, job: Job) -> None:
        """Start its workflow soon. Returns at once, and raises nothing."""
        full = len(self._waiting) >= MAX_WAITING or self._waiting.of(job.account_id) >= MAX_WAITING_OF_ACCOUNT
        if self._closed or full:
            self._leave(job)
            return
        self.recent.note(job.id)
        self._waiting.add(job)
        self._fill()
        if self._waiting and self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="job starts", context=Context())

    async def close(self, grace: timedelta = CLOSE_TIMEOUT) -> None:
        """Wait up to `grace` for what is to be started. The rest is left to the orphan starter of any process."""
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(grace.total_seconds()):
                while tasks := self._tasks():
                    await asyncio.wait(tasks)
        late, count = self._tasks(), len(self._starting) + len(self._waiting)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        self._forget()
        if count:
            log.warning("jobs accepted, not started before this process ended", count=count)

    def _tasks(self) -> set[asyncio.Task[None]]:
        return self._starting | ({self._looking} if self._looking is not None else set())

    def _fill(self) -> None:
        """Start those for which there is room."""
        while (job := self._waiting.take(self.beginnings.room)) is not None:
            self.beginnings.enter(job)
            # It works for the request of its job, and not for the one that has just made room.
            task = asyncio.create_task(self._run(job), name="job start", context=Context())
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    async def _look(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(PAUSE.total_seconds())
                with suppress(ServiceUnavailable):  # without PostgreSQL nothing reaches its vendor
                    await self.beginnings.look()
                self._fill()
        except Exception as error:
            log.error("jobs accepted, not started yet", count=len(self._waiting), fault=where(error))
            self._forget()
        finally:
            self._looking = None

    def _forget(self) -> None:
        """Leave all that wait to the orphan starter."""
        for job in self._waiting:
            self.recent.forget(job.id)
        self._waiting = StartTurns()

    async def _run(self, job: Job) -> None:
        with working_for(job.request_id, job.traceparent):
            await self._begin(job)

    async def _begin(self, job: Job) -> None:
        started = False
        try:
            age = datetime.now(UTC) - job.created_at
            if age >= MAX_AGE:
                self._leave(job)
            elif age < FRESH_AGE or await self._is_queued(job):
                started = await self._start(job)
        except Exception as error:
            if not (isinstance(error, ServiceUnavailable) and error.reported):
                log.error("job accepted, not started yet", job=str(job.id), fault=where(error))
        finally:
            if not started:
                self.recent.forget(job.id)
                self.beginnings.leave(job.id)
            self._leaving = self._leaving and bool(self._waiting)

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
