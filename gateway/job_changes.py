"""Waits for changes of media jobs.

One connection to PostgreSQL listens for all waiters of a process. What has changed is read in batches, once for all who
wait for it: neither connections nor queries grow with the number of waiters. After the connection was lost, every job
that somebody waits for is read again, so no change is missed for ever.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping
from contextlib import aclosing, contextmanager
from datetime import timedelta
from typing import NoReturn, Protocol
from uuid import UUID

from domain.errors import NotFound, ServiceUnavailable
from domain.media import Job
from domain.rounds import MaintenanceErrors

MAX_BATCH = 1000
RETRY_PAUSE = timedelta(seconds=1)
_TASK = "job_changes"


class JobSignals(Protocol):
    def listen(self) -> AsyncGenerator[UUID | None]:
        """Yield ids of jobs that changed. None: from here on it listens, and what was before may be missed.

        Raises `ServiceUnavailable` when PostgreSQL is away.
        """


class ChangedJobs(Protocol):
    async def read(self, job_ids: Collection[UUID]) -> Mapping[UUID, Job]:
        """Return those of the jobs that exist. Raises `ServiceUnavailable`."""


def position(job: Job) -> str:
    """Return what tells two moments of a job apart: its state, its phase and its progress."""
    return "-".join(str(part) for part in (job.state, job.phase, job.progress) if part is not None)


class JobWatch:
    """Waits for changes of one job. Only the newest one is stored: a waiter that is slow costs nothing."""

    def __init__(self, *, listener: bool = False) -> None:
        self.listener = listener
        self._newest: Job | None = None
        self._error: Exception | None = None
        self._changed = asyncio.Event()

    async def next(self, before: Job) -> Job:
        """Return the job as soon as it differs from `before`.

        Raises `NotFound` when it was erased, and `ServiceUnavailable` when this process ends.
        """
        while True:
            if self._error is not None:
                raise self._error
            if self._newest is not None and position(self._newest) != position(before):
                return self._newest
            self._changed.clear()
            await self._changed.wait()

    def tell(self, job: Job | None) -> None:
        if job is None:
            self.end(NotFound("There is no such job in this account."))
        elif self._newest is None or not self._newest.state.terminal:
            self._newest = job
            self._changed.set()

    def end(self, error: Exception) -> None:
        self._error = error
        self._changed.set()


class JobChanges:
    """The waiters of this process."""

    def __init__(self, signals: JobSignals, stored: ChangedJobs, errors: MaintenanceErrors) -> None:
        self._signals = signals
        self._stored = stored
        self._errors = errors
        self._watches: dict[UUID, set[JobWatch]] = {}
        self._unread: set[UUID] = set()
        self._work = asyncio.Event()
        self._wanted = asyncio.Event()
        """Set with the first watch: without one, no connection is opened."""
        self._stopped = self._listeners_stopped = False

    @contextmanager
    def watch(self, job_id: UUID, *, listener: bool = False) -> Iterator[JobWatch]:
        """Watch a job. Read it after this: the watch sees what changes from here on, and maybe what was before.

        A `listener` does not wait for one answer, but for all that happens: it can go on at another process.
        """
        watch = JobWatch(listener=listener)
        if self._stopped or (listener and self._listeners_stopped):
            watch.end(_stopping())
        watches = self._watches.setdefault(job_id, set())
        watches.add(watch)
        self._wanted.set()
        try:
            yield watch
        finally:
            watches.discard(watch)
            if not watches and self._watches.get(job_id) is watches:
                del self._watches[job_id]

    async def ended(self, job: Job, max_wait: timedelta) -> Job:
        """Wait for the end of a job, but no longer than `max_wait`. Return it as it is then: it may still run.

        Raises `NotFound` when it was erased, and `ServiceUnavailable` when this process ends.
        """
        with self.watch(job.id) as watch:
            self._note(job.id)
            try:
                async with asyncio.timeout(max_wait.total_seconds()):
                    while not job.state.terminal:
                        job = await watch.next(job)
            except TimeoutError:
                pass
            return job

    @property
    def watched(self) -> Collection[UUID]:
        """Return the jobs that somebody waits for."""
        return self._watches.keys()

    async def run(self) -> NoReturn:
        """Serve the waiters. Goes on while PostgreSQL is away."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            await self._read()

    def stop(self, *, listeners: bool = False) -> None:
        """End all waits, or those of listeners: the process stops."""
        self._listeners_stopped = True
        self._stopped = self._stopped or not listeners
        for watches in self._watches.values():
            for watch in watches:
                if watch.listener or not listeners:
                    watch.end(_stopping())

    async def _listen(self) -> NoReturn:
        await self._wanted.wait()
        while True:
            try:
                async with aclosing(self._signals.listen()) as changed:
                    async for job_id in changed:
                        self._note(job_id)
                        self._errors.succeeded(_TASK, "listen")
            except Exception as error:  # nothing else would listen again
                self._errors.failed(_TASK, "listen", error)
            await asyncio.sleep(RETRY_PAUSE.total_seconds())

    def _note(self, job_id: UUID | None) -> None:
        """Have a job read again, or all of them, if somebody waits for it."""
        changed = self._watches.keys() if job_id is None else self._watches.keys() & {job_id}
        self._unread |= changed
        if changed:
            self._work.set()

    async def _read(self) -> NoReturn:
        while True:
            await self._work.wait()
            self._work.clear()
            while self._unread:
                batch = frozenset(list(self._unread)[:MAX_BATCH])
                self._unread -= batch
                try:
                    self._tell(batch, await self._stored.read(batch))
                    self._errors.succeeded(_TASK, "read")
                except Exception as error:  # nothing else would read them again
                    self._errors.failed(_TASK, "read", error)
                    self._unread |= batch & self._watches.keys()
                    await asyncio.sleep(RETRY_PAUSE.total_seconds())

    def _tell(self, batch: Collection[UUID], jobs: Mapping[UUID, Job]) -> None:
        for job_id in batch:
            for watch in self._watches.get(job_id, ()):
                watch.tell(jobs.get(job_id))


def _stopping() -> ServiceUnavailable:
    return ServiceUnavailable("This process of the server ends. Try again.")
