"""The rounds of maintenance over a real PostgreSQL: one job's trouble is not the others'."""

from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from db.audit import audit
from db.data_keys import Sealing
from db.engine import Database
from db.media import MediaJobs
from db.media_orders import Order
from db.media_tables import MediaJobRow
from db.writer import LedgerWriter
from domain.caller import Payer
from domain.media import Job, Kind, MediaRequest, State
from domain.pricing import FlatTerms
from domain.purges import PurgeKey
from gateway.erasure import AcceptedPurges
from gateway.maintenance import Maintenance
from tests.support.bank import WRAPPING, Customer, balance, open_account
from tests.support.temporal.fakes import Fakes

PRICE = 100


class NoTemporal:
    """Every workflow is started at once, and none runs."""

    def __init__(self) -> None:
        self.started: list[UUID] = []

    async def start(self, job: Job) -> bool:
        self.started.append(job.id)
        return True

    async def start_purge(self, purge: PurgeKey) -> bool:
        raise AssertionError(purge)

    async def cancel(self, job_id: UUID) -> bool:
        return False

    async def alive(self, job_id: UUID) -> bool:
        return False


class Site:
    def __init__(self, database: Database, ledger: LedgerWriter, url: str) -> None:
        self.database, self.ledger, self.url = database, ledger, url
        self.jobs = MediaJobs(database, Sealing(WRAPPING), output_lifetime=timedelta(hours=1))
        self.starter, self.fakes = NoTemporal(), Fakes()
        self.maintenance = Maintenance(self.jobs, AcceptedPurges(database), self.starter, self.fakes.errors)

    async def customer(self) -> Customer:
        return await open_account(self.database, self.ledger, 1000)

    async def accepted(self, customer: Customer) -> UUID:
        """A job of two hours ago that nobody has begun; its deadline is this moment."""
        request = MediaRequest(kind=Kind.IMAGE, model="image", prompt="a lake")
        price = FlatTerms(PRICE, "v1")
        order = Order(uuid4(), Payer(customer.digest), Kind.IMAGE, "demo-image", "demo", price, request)
        job_id = (await self.jobs.accept(order)).job.id
        await self.run(
            "UPDATE media_jobs SET created_at = now() - interval '2 hours', deadline = now() WHERE id = %s", job_id
        )
        return job_id

    async def run(self, statement: str, *values: object) -> None:
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            await connection.execute(statement.encode(), values)

    def named(self) -> list[object]:
        return [line["where"] for line in self.fakes.log.lines]


@pytest.fixture
def site(database: Database, ledger: LedgerWriter, database_url: str) -> Site:
    return Site(database, ledger, database_url)


async def test_a_row_that_is_no_job_hides_no_other(site: Site) -> None:
    customer = await site.customer()
    broken, sound = await site.accepted(customer), await site.accepted(customer)
    await site.run("UPDATE media_jobs SET kind = 'sculpture' WHERE id = %s", broken)
    await site.run("UPDATE media_jobs SET deadline = now() + interval '1 hour'")
    assert await site.maintenance.start_orphans() == 1
    assert site.starter.started == [sound]
    await site.run("UPDATE media_jobs SET deadline = now()")
    assert await site.maintenance.reconcile() == 1
    assert (await site.jobs.load(sound)).state is State.FAILED
    assert site.named() == [f"start_orphans job {broken}", f"reconcile job {broken}"]
    assert await balance(site.url, customer) == (1000, 0, 0)


async def test_an_account_with_many_orphans_has_its_turn_beside_others(site: Site) -> None:
    flood, other = await site.customer(), await site.customer()
    orphans = {await site.accepted(flood) for _ in range(6)}
    alone = await site.accepted(other)
    some = await site.jobs.waiting(timedelta(), 2, but=())
    assert {job.account_id for job in some} == {flood.account_id, other.account_id}
    rest = await site.jobs.waiting(timedelta(), 10, but=[job.id for job in some])
    assert {job.id for job in (*some, *rest)} == orphans | {alone}
    assert len(rest) == 5


async def test_an_account_with_many_purges_has_its_turn_beside_others(site: Site) -> None:
    flood, other = await site.customer(), await site.customer()
    begin = "SELECT begin_purge(gen_random_uuid(), %s, 'conversation', gen_random_uuid()::text, false)"
    for customer in (*[flood] * 6, other):
        await site.run(begin, customer.account_id)
    purges = AcceptedPurges(site.database)
    assert {key.account_id for key in await purges.waiting(timedelta(), 2)} == {flood.account_id, other.account_id}
    assert len(await purges.waiting(timedelta(), 10)) == 7


BEGINS = {
    "queued": ("state = 'queued'", True),
    "begun": ("state = 'running', started_at = now()", True),
    "waits for a place": ("state = 'running', slot_wanted_at = now()", False),
    "submitted": ("state = 'running', submit_intended_at = now()", False),
    "ended": ("state = 'failed'", False),
}


@pytest.mark.parametrize(("row", "begins"), BEGINS.values(), ids=BEGINS)
async def test_a_job_begins_until_it_is_sent_or_waits_for_a_place(site: Site, row: str, begins: bool) -> None:
    job, other = [await site.accepted(await site.customer()) for _ in range(2)]
    await site.run(f"UPDATE media_jobs SET {row} WHERE id = %s", job)
    assert set(await site.jobs.beginning([job, other])) == ({job, other} if begins else {other})


@pytest.mark.parametrize("table", ["accounts WHERE id", "media_jobs WHERE account_id"])
async def test_what_somebody_keeps_locked_waits_alone(site: Site, table: str) -> None:
    locked, other = await site.customer(), await site.customer()
    theirs = [await site.accepted(locked) for _ in range(3)]
    await site.accepted(other)
    async with await psycopg.AsyncConnection.connect(site.url) as somebody:
        await somebody.execute(f"SELECT FROM {table} = %s FOR UPDATE".encode(), [locked.account_id])
        assert await site.maintenance.reconcile() == 1
    assert await balance(site.url, other) == (1000, 0, 0)
    assert await balance(site.url, locked) == (1000 - 3 * PRICE, 3 * PRICE, 3)
    (name,) = site.named()
    assert name in [f"reconcile job {job_id}" for job_id in theirs]
    assert await site.maintenance.reconcile() == 3
    assert await balance(site.url, locked) == (1000, 0, 0)
    async with site.database.connection() as connection:
        assert (await audit(connection)).clean


async def test_a_session_that_reads_alone_changes_no_row(site: Site) -> None:
    job_id = await site.accepted(await site.customer())

    async def change() -> None:
        async with site.database.reading() as session:
            row = await session.get(MediaJobRow, job_id)
            assert row is not None
            row.state = State.SUCCEEDED
            await session.get(MediaJobRow, uuid4())

    with pytest.raises(RuntimeError):
        await change()
    assert (await site.jobs.load(job_id)).state is State.QUEUED
