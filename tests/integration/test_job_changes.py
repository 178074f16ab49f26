"""Changes of media jobs, as a real PostgreSQL notifies them: what a thousand waiters of a process cost."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from db.data_keys import Sealing
from db.engine import Database
from db.job_changes import ChangedJobs, JobSignals
from db.media import MediaJobs
from db.media_orders import Order
from db.outage import Outage
from db.writer import LedgerWriter
from domain.caller import Payer
from domain.errors import NotFound
from domain.media import Job, Kind, MediaRequest, Phase, State
from domain.pricing import FlatTerms
from domain.rounds import MaintenanceErrors
from gateway.job_changes import JobChanges
from tests.support.bank import WRAPPING, open_account
from tests.support.fault_lines import FaultLines
from tests.support.media_stack import until

LONG = timedelta(minutes=1)
LISTENING = "FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN yout_jobs'"


class CountedJobs:
    def __init__(self, database: Database) -> None:
        self._jobs = ChangedJobs(database)
        self.reads = 0

    async def read(self, job_ids: Collection[UUID]) -> Mapping[UUID, Job]:
        self.reads += 1
        return await self._jobs.read(job_ids)


class Site:
    def __init__(self, database: Database, ledger: LedgerWriter, database_url: str, app_url: str) -> None:
        self.database, self.ledger, self._url = database, ledger, database_url
        self.jobs = MediaJobs(database, Sealing(WRAPPING), output_lifetime=timedelta(hours=1))
        self.stored = CountedJobs(database)
        self.log = FaultLines()
        errors = MaintenanceErrors(self.log, lambda error: type(error).__name__)
        self.changes = JobChanges(JobSignals(app_url, Outage(app_url, self.log)), self.stored, errors)

    async def job(self) -> Job:
        customer = await open_account(self.database, self.ledger, 1000)
        request = MediaRequest(kind=Kind.IMAGE, model="image", prompt="a lake")
        order = Order(uuid4(), Payer(customer.digest), Kind.IMAGE, "demo-image", "demo", FlatTerms(100, "v1"), request)
        return (await self.jobs.accept(order)).job

    async def as_owner(self, statement: str, *values: object) -> int:
        """Run a statement as the owner of the database. Return how many rows it is about."""
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            return (await connection.execute(statement.encode(), values)).rowcount

    async def listening(self) -> None:
        await until(lambda: self.as_owner(f"SELECT {LISTENING}"), "a connection that listens", every=0.02)


@pytest.fixture
async def site(database: Database, ledger: LedgerWriter, database_url: str, app_url: str) -> AsyncIterator[Site]:
    own = Site(database, ledger, database_url, app_url)
    task = asyncio.create_task(own.changes.run())
    yield own
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_thousand_waiters_have_one_connection_and_share_the_queries(site: Site) -> None:
    job = await site.job()
    waits = [asyncio.create_task(site.changes.ended(job, LONG)) for _ in range(1000)]
    await site.listening()
    await site.jobs.begin(job.id)
    for percent in (20, 40, 60):
        await site.jobs.record_progress(job.id, percent, Phase.RUNNING)
    await site.jobs.end(job.id, State.CANCELLED, None)
    assert {(await wait).state for wait in waits} == {State.CANCELLED}
    assert await site.as_owner(f"SELECT {LISTENING}") == 1
    assert site.stored.reads <= 7  # at the start, when it listens, and once for each of five changes


async def test_each_change_of_a_job_is_told_in_the_transaction_that_makes_it(site: Site) -> None:
    job = await site.job()
    with site.changes.watch(job.id) as watch:
        await site.listening()
        await site.jobs.begin(job.id)
        job = await watch.next(job)
        assert job.state is State.RUNNING
        await site.jobs.record_progress(job.id, 30, Phase.RUNNING)
        job = await watch.next(job)
        assert job.progress == 30
        await site.jobs.intend_submit(job)  # no change that anybody sees
        await site.jobs.end(job.id, State.FAILED, None)
        assert (await watch.next(job)).state is State.FAILED


async def test_a_change_while_the_connection_was_lost_is_read_when_it_is_back(site: Site) -> None:
    job = await site.job()
    wait = asyncio.create_task(site.changes.ended(job, LONG))
    await site.listening()
    await site.as_owner("ALTER TABLE media_jobs DISABLE TRIGGER changed")  # nobody learns of the end of the job
    await site.jobs.end(job.id, State.CANCELLED, None)
    await site.as_owner("ALTER TABLE media_jobs ENABLE TRIGGER changed")
    assert await site.as_owner(f"SELECT pg_terminate_backend(pid) {LISTENING}") == 1
    assert (await wait).state is State.CANCELLED
    faults = [line for line in site.log.lines if not line.endswith("mended")]
    assert faults
    assert not [line for line in faults if "the database" not in line]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM media_jobs WHERE id = %s",
        "WITH a AS (UPDATE accounts SET epoch = epoch + 1) UPDATE media_jobs SET progress = 1 WHERE id = %s",
    ],
)
async def test_a_job_that_a_purge_erases_is_not_found(site: Site, statement: str) -> None:
    job = await site.job()
    wait = asyncio.create_task(site.changes.ended(job, LONG))
    await site.listening()
    await site.as_owner(statement, job.id)
    with pytest.raises(NotFound):
        await wait


async def test_a_row_that_cannot_be_read_does_not_keep_the_others_waiting(site: Site) -> None:
    broken, sound = await site.job(), await site.job()
    waits = [asyncio.create_task(site.changes.ended(job, LONG)) for job in (broken, sound)]
    await site.listening()
    await site.as_owner("UPDATE media_jobs SET kind = 'sculpture', state = 'running' WHERE id = %s", broken.id)
    await site.jobs.end(sound.id, State.CANCELLED, None)
    assert (await waits[1]).state is State.CANCELLED
    with pytest.raises(NotFound):
        await waits[0]
