"""Input files of jobs at rest: written with the job's hold or not at all, read while it runs, gone at its end."""

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from db.data_keys import Sealing
from db.engine import Database
from db.job_files import JobFiles
from db.media import MediaJobs
from db.media_orders import Order
from db.writer import LedgerWriter
from domain.caller import Payer
from domain.errors import GatewayError, InsufficientCredits, NotFound
from domain.media import Kind, MediaInput, MediaRequest, State
from domain.operations import IdempotencyClaim
from domain.pricing import FlatTerms
from domain.sealing import SealBroken
from tests.support.bank import WRAPPING, Customer, open_account

SECRET = b"the-secret-of-this-picture"
FILES = (
    MediaInput("image", "image/png", SECRET * 100_000),
    MediaInput("mask", "image/png", b"mask"),
    MediaInput("reference", "image/webp", b"reference"),
)
PRICE = 400
REQUEST = MediaRequest(kind=Kind.IMAGE, model="demo-image", prompt="x")


@pytest.fixture
def jobs(database: Database) -> MediaJobs:
    return MediaJobs(database, Sealing(WRAPPING), output_lifetime=timedelta(days=1))


@pytest.fixture
def files(database: Database) -> JobFiles:
    return JobFiles(database, Sealing(WRAPPING))


@pytest.fixture
async def customer(database: Database, ledger: LedgerWriter) -> Customer:
    return await open_account(database, ledger, 1000)


def order(customer: Customer, claim: IdempotencyClaim | None = None) -> Order:
    payer = Payer(customer.digest, customer.account_id)
    terms = FlatTerms(PRICE, "v1")
    return Order(uuid.uuid4(), payer, Kind.IMAGE, "demo-image", "demo", terms, REQUEST, claim=claim, files=FILES)


def stored(url: str) -> list[tuple[uuid.UUID, str]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT DISTINCT job_id, role FROM job_files ORDER BY role").fetchall()


async def test_the_files_of_a_job_are_read_in_their_order_until_it_ends(
    jobs: MediaJobs, files: JobFiles, customer: Customer, database_url: str
) -> None:
    job = (await jobs.accept(order(customer))).job
    other = (await jobs.accept(replace(order(customer), files=()))).job
    assert await files.of(job.id) == FILES
    assert await files.of(other.id) == ()
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT sealed FROM job_files").fetchall()
    assert len(rows) > len(FILES)
    assert not any(SECRET[:8] in sealed for (sealed,) in rows)
    await jobs.end(job.id, State.FAILED, None)
    assert await files.of(job.id) == ()
    assert stored(database_url) == []


async def test_a_job_that_is_refused_leaves_no_file(jobs: MediaJobs, customer: Customer, database_url: str) -> None:
    poor = replace(order(customer), price=FlatTerms(100_000, "v1"))
    with pytest.raises(InsufficientCredits):
        await jobs.accept(poor)
    assert stored(database_url) == []


async def test_one_request_in_parallel_makes_one_job_with_its_files(
    jobs: MediaJobs, files: JobFiles, customer: Customer, database_url: str
) -> None:
    claim = IdempotencyClaim(b"s" * 32, b"f" * 32)
    accepted = await asyncio.gather(*(jobs.accept(order(customer, claim)) for _ in range(4)))
    (job_id,) = {one.job.id for one in accepted}
    assert sorted(one.replayed for one in accepted) == [False, True, True, True]
    assert {id_ for id_, _ in stored(database_url)} == {job_id}
    assert await files.of(job_id) == FILES
    again = await jobs.made_before(customer.account_id, claim)
    assert again is not None
    assert (again.job.id, again.replayed, again.available) == (job_id, True, 1000 - PRICE)
    with pytest.raises(GatewayError, match="different request"):
        await jobs.made_before(customer.account_id, replace(claim, fingerprint=b"g" * 32))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE job_files SET role = 'image' WHERE role = 'mask'",
        "UPDATE job_files SET content_type = 'image/gif' WHERE role = 'mask'",
        "UPDATE job_files SET file = 9 WHERE role = 'mask'",
        "DELETE FROM job_files WHERE file = 0 AND part = 2",
    ],
    ids=["role", "type", "place", "part"],
)
async def test_files_that_were_changed_do_not_open(
    jobs: MediaJobs, files: JobFiles, customer: Customer, database_url: str, change: str
) -> None:
    job = (await jobs.accept(order(customer))).job
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(change.encode())
    with pytest.raises(SealBroken):
        await files.of(job.id)


async def test_a_destroyed_key_opens_nothing(
    jobs: MediaJobs, files: JobFiles, customer: Customer, database_url: str
) -> None:
    job = (await jobs.accept(order(customer))).job
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DELETE FROM data_keys WHERE account_id = %s", [customer.account_id])
    with pytest.raises(NotFound):
        await files.of(job.id)
