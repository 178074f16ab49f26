"""Outputs in storage, over a real PostgreSQL, in a folder and in S3: what has expired goes, what is served stays."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from db import media_figures
from db.data_keys import Sealing
from db.engine import Database
from db.media import MediaJobs
from db.media_figures import Overdue
from db.media_orders import Order
from db.pruning import Pruning
from db.stored_outputs import StoredOutputs
from db.writer import LedgerWriter
from domain.caller import Payer
from domain.errors import ServiceUnavailable
from domain.media import JobError, Kind, MediaRequest, Output, OutputFolder, State, object_key
from domain.pricing import FlatTerms
from domain.retention import Retention
from gateway.stored_outputs import Pace, StoredOutputsMaintenance
from storage.objects import ObjectStorage
from tests.support import purging
from tests.support.backdate import backdate
from tests.support.bank import WRAPPING, Customer, open_account
from tests.support.doubles.s3_server import S3Server, bucket
from tests.support.temporal.fakes import Fakes

LIFETIME = timedelta(hours=1)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
FAILED = JobError(code="upstream_error", message="It failed.")


@dataclass(slots=True)
class Store:
    """A real store, and what a test does to it behind its back."""

    storage: ObjectStorage
    folder: Path | None = None
    server: S3Server | None = None

    def stored(self) -> set[str]:
        if self.server:
            return {key.removeprefix("media/some/prefix/") for key in self.server.objects}
        assert self.folder
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}

    def written(self, moment: datetime) -> None:
        """As if all that is there had been written then."""
        if self.server:
            self.server.written_at = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
            return
        assert self.folder
        for path in self.folder.rglob("*"):
            os.utime(path, (moment.timestamp(),) * 2)

    @contextmanager
    def unavailable(self) -> Iterator[None]:
        if self.server:
            self.server.broken = True
            yield
            self.server.broken = False
            return
        assert self.folder
        elsewhere = self.folder.rename(self.folder.with_name("not-mounted"))
        yield
        elsewhere.rename(self.folder)


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "folder":
        folder = tmp_path / "media"
        yield Store(ObjectStorage.from_url(folder.as_uri()), folder=folder)
        return
    with S3Server().serving() as server:
        server.written_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield Store(bucket(server), server=server)


class Site:
    def __init__(self, database: Database, ledger: LedgerWriter, url: str, store: Store) -> None:
        self.database, self.ledger, self.url, self.store = database, ledger, url, store
        self.jobs = MediaJobs(database, Sealing(WRAPPING), output_lifetime=LIFETIME)
        self.fakes = Fakes()
        self.pace = Pace()

    @property
    def outputs(self) -> StoredOutputsMaintenance:
        rows = StoredOutputs(self.database)
        return StoredOutputsMaintenance(rows, self.store.storage, self.fakes.errors, lambda: LIFETIME, self.pace)

    async def customer(self) -> Customer:
        return await open_account(self.database, self.ledger, 10_000)

    async def running(self, customer: Customer, files: int = 2) -> OutputFolder:
        """A job at its provider whose files have been copied."""
        request = MediaRequest(kind=Kind.IMAGE, model="image", prompt="a lake")
        order = Order(uuid4(), Payer(customer.digest), Kind.IMAGE, "demo-image", "demo", FlatTerms(100, "v1"), request)
        folder = OutputFolder(customer.account_id, (await self.jobs.accept(order)).job.id)
        job = await self.jobs.begin(folder.job_id)
        await self.jobs.record_submitted(job, f"work-of-{folder.job_id}")
        for index in range(files):
            await self.put(f"{folder.prefix}/{index}.png")
        return folder

    async def succeeded(self, customer: Customer, files: int = 2) -> OutputFolder:
        folder = await self.running(customer, files)
        keys = [object_key(folder.account_id, folder.job_id, index, "png") for index in range(files)]
        await self.jobs.succeed(
            folder.job_id, [Output(object_key=key, content_type="image/png", bytes=7) for key in keys]
        )
        return folder

    async def put(self, key: str) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"content"

        await self.store.storage.put(key, chunks(), content_type="image/png", max_bytes=100)

    async def run(self, statement: str, *values: object) -> None:
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            await connection.execute(statement.encode(), values)

    async def expire(self, *jobs: OutputFolder) -> None:
        ids = [job.job_id for job in jobs]
        await self.run("UPDATE media_jobs SET expires_at = now() WHERE id = ANY(%s)", ids)

    async def end_long_ago(self, job: OutputFolder, state: State) -> None:
        await self.jobs.end(job.job_id, state, FAILED if state is State.FAILED else None)
        await self.run("UPDATE media_jobs SET finished_at = now() - interval '1 hour' WHERE id = %s", job.job_id)

    async def searched(self) -> int:
        """A whole search for orphans."""
        await self.run("DELETE FROM storage_scans")
        return await self.outputs.delete_orphans()

    def of(self, job: OutputFolder) -> set[str]:
        return {key for key in self.store.stored() if key.startswith(job.prefix)}


@pytest.fixture
def site(database: Database, ledger: LedgerWriter, database_url: str, store: Store) -> Site:
    return Site(database, ledger, database_url, store)


async def test_outputs_go_when_they_expire_and_not_before(site: Site) -> None:
    customer = await site.customer()
    expired, lasting, running = [
        await site.succeeded(customer),
        await site.succeeded(customer),
        await site.running(customer),
    ]
    assert await site.outputs.delete_expired() == 0
    await site.put(f"{expired.prefix}/0.webp")  # of an attempt whose outputs were not the ones that the row names
    await site.expire(expired)
    assert await site.outputs.delete_expired() == 1
    assert await site.outputs.delete_expired() == 0
    assert site.store.stored() == {f"{job.prefix}/{index}.png" for job in (lasting, running) for index in range(2)}
    job = await site.jobs.load(expired.job_id)
    assert job.outputs_deleted_at is not None
    assert (len(job.outputs), job.served(LONG_AGO)) == (2, ())
    assert not await site.jobs.serves(job.outputs[0].object_key)
    assert await site.jobs.serves((await site.jobs.load(lasting.job_id)).outputs[0].object_key)


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
async def test_what_a_job_without_outputs_left_behind_goes(site: Site, state: State) -> None:
    """The workflow deletes it, unless storage was away for longer than it tries, or nobody was there to do it."""
    job = await site.running(await site.customer())
    await site.jobs.end(job.job_id, state, None)
    assert await site.outputs.delete_expired() == 0
    await site.run("UPDATE media_jobs SET finished_at = now() - interval '1 hour'")
    assert await site.outputs.delete_expired() == 1
    assert await site.outputs.delete_expired() == 0
    assert site.store.stored() == set()


async def test_storage_that_is_away_is_asked_again(site: Site) -> None:
    jobs = [await site.succeeded(await site.customer()) for _ in range(5)]
    await site.expire(*jobs)
    with site.store.unavailable(), pytest.raises(ServiceUnavailable):
        await site.outputs.delete_expired()
    assert (await site.jobs.load(jobs[0].job_id)).outputs_deleted_at is None
    assert len(site.store.stored()) == 10
    await site.outputs.delete_expired()
    await site.run("UPDATE media_jobs SET outputs_retry_at = now() WHERE outputs_retry_at IS NOT NULL")
    await site.outputs.delete_expired()
    assert site.store.stored() == set()
    assert all([(await site.jobs.load(job.job_id)).outputs_deleted_at for job in jobs])


async def test_a_round_takes_one_batch_after_the_other(site: Site) -> None:
    site.pace = Pace(batch=2)
    customer = await site.customer()
    jobs = [await site.succeeded(customer, files=1) for _ in range(5)]
    await site.expire(*jobs)
    assert await site.outputs.delete_expired() == 5
    assert site.store.stored() == set()


async def test_killed_between_the_objects_and_the_row_it_is_marked_later(site: Site) -> None:
    job = await site.succeeded(await site.customer())
    await site.expire(job)
    await site.store.storage.delete_prefix(job.prefix)
    assert await site.outputs.delete_expired() == 1
    assert (await site.jobs.load(job.job_id)).outputs_deleted_at is not None


async def test_a_row_that_names_objects_is_kept_until_they_are_gone(site: Site) -> None:
    customer = await site.customer()
    await site.succeeded(customer)
    await site.end_long_ago(await site.running(customer), State.FAILED)
    never_submitted = await site.running(customer, files=0)
    unsubmitted = "UPDATE media_jobs SET provider_job_id = NULL, submit_intended_at = NULL WHERE id = %s"
    await site.run(unsubmitted, never_submitted.job_id)
    await site.end_long_ago(never_submitted, State.FAILED)
    await backdate(site.url, customer.account_id, 100)
    pruning = Pruning(site.database, Retention(holds=timedelta(days=90)), site.fakes.errors)
    assert await pruning.forget() == 1
    await site.run("UPDATE media_jobs SET expires_at = now() WHERE state = 'succeeded'")
    assert await site.outputs.delete_expired() == 2
    assert await pruning.forget() == 2


ORPHANS = {
    "forgotten": "DELETE FROM media_jobs WHERE id = %s",
    "failed": "UPDATE media_jobs SET state = 'failed', expires_at = NULL, outputs = '[]' WHERE id = %s",
    "written-late": "UPDATE media_jobs SET outputs_deleted_at = now() WHERE id = %s",
}
ERASED = {"": "UPDATE holds SET state = 'erased' WHERE id = %s", "job": "UPDATE purges SET part_id = %s"}
"""By what a purge erased alone: what it leaves behind of a job."""


@pytest.mark.parametrize("how", ORPHANS)
async def test_objects_that_no_row_needs_are_found(site: Site, how: str) -> None:
    customer = await site.customer()
    orphan, lasting, running = [
        await site.succeeded(customer),
        await site.succeeded(customer),
        await site.running(customer),
    ]
    await site.run(ORPHANS[how], orphan.job_id)
    if how == "forgotten":
        assert await site.searched() == 0, "the row may come back with a database that was restored"
    site.store.written(LONG_AGO)
    assert await site.searched() == 1
    assert site.of(orphan) == set()
    assert len(site.of(lasting) | site.of(running)) == 4


@pytest.mark.parametrize("part", ERASED)
async def test_what_is_written_after_a_purge_is_deleted_by_the_next_search(site: Site, part: str) -> None:
    """By a worker that woke too late, and then died."""
    customer = await site.customer()
    erased, lasting = [await site.succeeded(customer), await site.succeeded(customer)]
    await purging.begin(site.database, customer, part=part)
    await site.run(ORPHANS["forgotten"], erased.job_id)
    assert await site.searched() == 0
    await site.run(ERASED[part], erased.job_id)
    assert await site.searched() == 1
    assert site.of(erased) == set()
    assert len(site.of(lasting)) == 2


async def test_what_is_another_installations_is_left_alone(site: Site) -> None:
    foreign = OutputFolder(uuid4(), uuid4())
    others = {f"{foreign.prefix}/0.png", "readme.txt", "a/b/c/d.png", f"{uuid4()}/0.png", f"{UUID(int=0).hex}/x/0.png"}
    for key in others:
        await site.put(key)
    site.store.written(LONG_AGO)
    assert await site.searched() == 0
    assert site.store.stored() == others


async def test_a_search_goes_on_where_it_was(site: Site) -> None:
    site.pace = Pace(scan_batch=3, max_round=timedelta(microseconds=1))
    customer = await site.customer()
    jobs = [await site.succeeded(customer) for _ in range(5)]
    for job in jobs:
        await site.run(ORPHANS["written-late"], job.job_id)
    rounds = [await site.outputs.delete_orphans() for _ in range(5)]
    assert (sum(rounds), rounds[-1]) == (5, 0)
    assert max(rounds) <= 2
    assert site.store.stored() == set()
    await site.put(f"{jobs[0].prefix}/9.png")
    assert await site.outputs.delete_orphans() == 0, "it pauses"
    await site.run("UPDATE storage_scans SET finished_at = now() - interval '1 day'")
    assert await site.outputs.delete_orphans() == 1


async def test_one_bad_object_keeps_no_other(site: Site) -> None:
    customer, other = await site.customer(), await site.customer()
    bad, good = await site.succeeded(customer, files=5), await site.succeeded(other)
    await site.expire(bad, good)
    stuck = f"{bad.prefix}/1.png"
    if site.store.server:
        site.store.server.stuck = {f"media/some/prefix/{stuck}"}
        assert await site.outputs.delete_expired() == 1
        assert site.store.stored() == {stuck}
        assert [line["where"] for line in site.fakes.log.lines] == [f"delete_expired_outputs job {bad.job_id}"]
        assert (await site.jobs.load(bad.job_id)).outputs_deleted_at is None
        assert await site.outputs.delete_expired() == 0, "others come first"
        site.store.server.stuck = set()
    await site.run("UPDATE media_jobs SET outputs_retry_at = now() WHERE outputs_deleted_at IS NULL")
    await site.outputs.delete_expired()
    assert site.store.stored() == set()


async def test_what_is_stored_is_known_by_account(site: Site) -> None:
    customer, other = await site.customer(), await site.customer()
    for _ in range(2):
        await site.succeeded(customer)
    expired = await site.succeeded(other)
    async with site.database.reading() as session:
        accounts = await media_figures.stored_by_account(session)
    assert [(each.account_id, each.objects, each.bytes) for each in accounts] == [
        (customer.account_id, 4, 28),
        (other.account_id, 2, 14),
    ]
    await site.run("UPDATE media_jobs SET expires_at = now() - interval '1 hour' WHERE id = %s", expired.job_id)
    async with site.database.reading() as session:
        assert await media_figures.overdue(session) == Overdue(jobs=0, outputs=1)
    await site.outputs.delete_expired()
    async with site.database.reading() as session:
        assert await media_figures.overdue(session) == Overdue(jobs=0, outputs=0)
        assert [each.account_id for each in await media_figures.stored_by_account(session)] == [customer.account_id]


async def test_a_job_serves_nothing_of_another(site: Site) -> None:
    """The database itself refuses it."""
    customer, other = await site.customer(), await site.customer()
    job, theirs = await site.running(customer), await site.succeeded(other)
    output = Output(object_key=f"{theirs.prefix}/0.png", content_type="image/png", bytes=7)
    with pytest.raises(Exception, match="own_outputs"):
        await site.jobs.succeed(job.job_id, [output])
    assert (await site.jobs.load(job.job_id)).state is State.RUNNING
