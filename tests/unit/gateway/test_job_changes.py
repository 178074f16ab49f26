"""What waiters of media jobs cost, and that none misses the end: over signals and rows in memory."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain.errors import NotFound, ServiceUnavailable
from domain.media import Job, Kind, Phase, State
from gateway import job_changes
from gateway.job_changes import JobChanges
from tests.support.temporal.fakes import Fakes

LONG = timedelta(minutes=1)


class Rows:
    """Jobs in memory, whose changes are notified while somebody listens."""

    def __init__(self) -> None:
        self.jobs: dict[UUID, Job] = {}
        self.reads: list[int] = []
        self.connections = 0
        self.away = False
        self._listening: asyncio.Queue[UUID | None] | None = None

    def add(self) -> Job:
        job = Job(
            id=uuid4(),
            account_id=uuid4(),
            kind=Kind.VIDEO,
            model="demo-video",
            provider="demo",
            state=State.RUNNING,
            credits_cost=100,
            created_at=datetime.now(UTC),
            deadline=datetime.now(UTC) + LONG,
        )
        self.jobs[job.id] = job
        return job

    def change(self, job: Job, **fields: object) -> Job:
        self.jobs[job.id] = self.jobs[job.id].model_copy(update=fields)
        self._notify(job.id)
        return self.jobs[job.id]

    def erase(self, job: Job) -> None:
        del self.jobs[job.id]
        self._notify(job.id)

    def disconnect(self) -> None:
        assert self._listening is not None
        self._listening.put_nowait(None)
        self._listening = None

    async def listen(self) -> AsyncGenerator[UUID | None]:
        if self.away:
            raise ServiceUnavailable
        self.connections += 1
        mine = self._listening = asyncio.Queue[UUID | None]()
        yield None
        while (job_id := await mine.get()) is not None:
            yield job_id
        raise ServiceUnavailable

    async def read(self, job_ids: Collection[UUID]) -> Mapping[UUID, Job]:
        if self.away:
            raise ServiceUnavailable
        self.reads.append(len(job_ids))
        await asyncio.sleep(0)
        return {job_id: self.jobs[job_id] for job_id in job_ids if job_id in self.jobs}

    def _notify(self, job_id: UUID) -> None:
        if self._listening is not None:
            self._listening.put_nowait(job_id)


@asynccontextmanager
async def serving(rows: Rows) -> AsyncIterator[JobChanges]:
    changes = JobChanges(rows, rows, Fakes().errors)
    task = asyncio.create_task(changes.run())
    try:
        yield changes
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_changes, "RETRY_PAUSE", timedelta(0))


async def test_without_a_waiter_nobody_listens() -> None:
    rows = Rows()
    async with serving(rows):
        rows.change(rows.add(), progress=10)
        await settle()
    assert (rows.connections, rows.reads) == (0, [])


@pytest.mark.parametrize("waiters", [1, 1000])
async def test_queries_and_connections_do_not_grow_with_the_waiters(waiters: int) -> None:
    rows = Rows()
    job = rows.add()
    async with serving(rows) as changes:
        waits = [asyncio.create_task(changes.ended(job, LONG)) for _ in range(waiters)]
        await settle()
        for percent in (10, 20, 30):
            rows.change(job, progress=percent)
            await settle()
        rows.change(job, state=State.SUCCEEDED)
        ends = await asyncio.gather(*waits)
    assert {end.state for end in ends} == {State.SUCCEEDED}
    assert rows.connections == 1
    assert len(rows.reads) <= 6
    assert set(rows.reads) == {1}


async def test_many_jobs_that_change_at_once_are_read_in_one_query() -> None:
    rows = Rows()
    jobs = [rows.add() for _ in range(500)]
    async with serving(rows) as changes:
        waits = [asyncio.create_task(changes.ended(job, LONG)) for job in jobs]
        await settle()
        rows.reads.clear()
        for job in jobs:
            rows.change(job, state=State.FAILED)
        await asyncio.gather(*waits)
    assert sum(rows.reads) >= 500
    assert len(rows.reads) <= 3


async def test_each_change_is_seen_and_only_the_newest_is_stored() -> None:
    rows = Rows()
    job = rows.add()
    async with serving(rows) as changes:
        with changes.watch(job.id) as watch:
            await settle()
            waiting = rows.change(job, phase=Phase.WAITING)
            assert await watch.next(job) == waiting
            for percent in (1, 50, 99):
                rows.change(job, phase=Phase.RUNNING, progress=percent)
                await settle()
            newest = await watch.next(waiting)
            assert (newest.phase, newest.progress) == (Phase.RUNNING, 99)


async def test_a_change_while_nobody_listened_is_read_after_the_connection_is_back() -> None:
    rows = Rows()
    job = rows.add()
    async with serving(rows) as changes:
        wait = asyncio.create_task(changes.ended(job, LONG))
        await settle()
        rows.away = True
        rows.disconnect()
        rows.change(job, state=State.SUCCEEDED)
        await settle()
        assert not wait.done()
        rows.away = False
        assert (await wait).state is State.SUCCEEDED
    assert rows.connections == 2


async def test_what_ended_before_the_wait_began_is_seen() -> None:
    rows = Rows()
    job = rows.add()
    rows.change(job, state=State.CANCELLED)
    async with serving(rows) as changes:
        assert (await changes.ended(job, LONG)).state is State.CANCELLED


async def test_a_wait_ends_with_the_job_as_it_is_when_its_time_is_over() -> None:
    rows = Rows()
    job = rows.add()
    async with serving(rows) as changes:
        assert await changes.ended(job, timedelta(0)) == job
        assert not changes.watched


async def test_an_erased_job_is_not_found() -> None:
    rows = Rows()
    job = rows.add()
    async with serving(rows) as changes:
        wait = asyncio.create_task(changes.ended(job, LONG))
        await settle()
        rows.erase(job)
        with pytest.raises(NotFound):
            await wait


async def test_a_process_that_ends_keeps_no_waiter() -> None:
    rows = Rows()
    job = rows.add()
    async with serving(rows) as changes:
        wait = asyncio.create_task(changes.ended(job, LONG))
        await settle()
        changes.stop()
        with pytest.raises(ServiceUnavailable):
            await wait
        with pytest.raises(ServiceUnavailable):
            await changes.ended(job, LONG)
