"""What an account stores: for how long, how much at most, and what its owner deletes early."""

import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from db.data_keys import Sealing
from db.engine import Database
from db.media import MediaJobs
from db.media_orders import Order
from db.stored_outputs import StoredOutputs
from db.writer import LedgerWriter
from domain.caller import Payer
from domain.errors import RequestInvalid, StorageFull
from domain.media import Job, Kind, MediaRequest, Output, OutputFolder, State, object_key
from domain.media_files import FileFacts, MediaFile
from domain.operations import IdempotencyClaim
from domain.plans import Plan, Turn
from domain.pricing import FlatTerms
from gateway.account_files import AccountFiles
from gateway.uploads import UploadRules, Uploads
from tests.support.bank import WRAPPING, Customer, balance, open_account

MAX_BYTES = 10_000
WEEK, MONTH = timedelta(days=7), timedelta(days=30)
PRO = Plan("pro", "Pro", 0, MONTH, Turn(2, 10))
REQUEST = MediaRequest(kind=Kind.VIDEO, model="demo-video", prompt="x")
NEAR = timedelta(minutes=5)


class Site:
    def __init__(self, database: Database, url: str, customer: Customer) -> None:
        self.database, self.url, self.customer = database, url, customer
        self.jobs = MediaJobs(
            database,
            Sealing(WRAPPING),
            output_lifetime=WEEK,
            plan_of={"pro": PRO}.get,
            max_stored_bytes=MAX_BYTES,
        )
        self.files = AccountFiles(database, MAX_BYTES, MAX_BYTES)
        self.uploads = Uploads(database, Sealing(WRAPPING), UploadRules(max_stored_bytes=MAX_BYTES))

    def sql(self, statement: str, *values: object) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode(), values)

    def order(self, claim: IdempotencyClaim | None = None) -> Order:
        payer, price = Payer(self.customer.digest), FlatTerms(100, "v1")
        return Order(uuid.uuid4(), payer, Kind.VIDEO, "demo-video", "demo", price, REQUEST, claim=claim)

    async def running(self) -> Job:
        job = (await self.jobs.accept(self.order())).job
        return await self.jobs.begin(job.id)

    async def succeeded(self, job: Job, size: int, poster: int = 0) -> Job:
        keys = [object_key(job.account_id, job.id, 0, extension) for extension in ("mp4", "poster.jpg")]
        picture = Output(object_key=keys[1], content_type="image/jpeg", bytes=poster) if poster else None
        film = Output(object_key=keys[0], content_type="video/mp4", bytes=size, poster=picture)
        return await self.jobs.succeed(job.id, [film])

    async def upload(self, size: int) -> str:
        file = MediaFile(FileFacts("audio/mpeg", seconds=1), b"x" * size)
        return (await self.uploads.create(self.customer.account_id, file)).name

    async def used(self) -> tuple[int, int]:
        stored = await self.files.stored(self.customer.account_id)
        return stored.outputs, stored.uploads


@pytest.fixture
async def site(database: Database, ledger: LedgerWriter, database_url: str) -> Site:
    return Site(database, database_url, await open_account(database, ledger, 10_000))


@pytest.mark.parametrize(
    ("plan", "active", "lifetime"), [(None, False, WEEK), ("pro", True, MONTH), ("pro", False, WEEK), ("x", True, WEEK)]
)
async def test_outputs_are_stored_for_as_long_as_the_plan_says(
    site: Site, plan: str | None, active: bool, lifetime: timedelta
) -> None:
    site.sql("UPDATE accounts SET plan = %s, plan_active = %s", plan, active)
    job = await site.succeeded(await site.running(), 10)
    assert (job.priority, job.share) == ((2, 10) if lifetime == MONTH else (3, 1))
    site.sql("UPDATE accounts SET plan = NULL, plan_active = false")
    expires_at = (await site.jobs.load(job.id)).expires_at
    assert expires_at is not None
    assert abs(expires_at - datetime.now(UTC) - lifetime) < NEAR


async def test_an_account_at_its_limit_starts_nothing_and_pays_nothing(site: Site) -> None:
    job, late = await site.running(), await site.running()
    claim = IdempotencyClaim(b"s" * 32, b"f" * 32)
    before = (await site.jobs.accept(site.order(claim))).job
    await site.succeeded(job, 6_000, poster=500)
    name = await site.upload(3_500)
    assert await site.used() == (6_500, 3_500)
    held = await balance(site.url, site.customer)
    with pytest.raises(StorageFull, match="DELETE /api/media/jobs/<uuid>/outputs/"):
        await site.jobs.accept(site.order())
    with pytest.raises(StorageFull):
        await site.upload(1)
    assert await balance(site.url, site.customer) == held
    assert (await site.jobs.accept(site.order(claim))).job.id == before.id, "what was accepted before stays so"
    await site.succeeded(late, 4_000)
    assert await site.used() == (10_500, 3_500)
    await site.uploads.delete(site.customer.account_id, name)
    await site.files.expire(await site.jobs.load(job.id))
    assert await site.used() == (4_000, 0)
    await site.jobs.accept(site.order())


async def test_outputs_that_their_owner_deletes_are_gone_at_once_and_due(site: Site) -> None:
    job = await site.succeeded(await site.running(), 10, poster=5)
    (film,) = job.outputs
    assert film.poster is not None
    for key in (film.object_key, film.poster.object_key):
        assert await site.jobs.serves(key)
    for _ in range(2):
        await site.files.expire(job)
        for key in (film.object_key, film.poster.object_key):
            assert not await site.jobs.serves(key)
    assert await StoredOutputs(site.database).due(9) == [OutputFolder(job.account_id, job.id)]


async def test_a_job_that_runs_has_nothing_to_delete(site: Site) -> None:
    job = await site.running()
    with pytest.raises(RequestInvalid, match="has not ended"):
        await site.files.expire(job)
    await site.files.expire(await site.jobs.end(job.id, State.FAILED, None))


async def test_a_poster_elsewhere_is_refused_by_the_database(site: Site) -> None:
    job = await site.running()
    poster = Output(object_key=object_key(job.account_id, uuid.uuid4(), 0, "jpg"), content_type="image/jpeg", bytes=1)
    film = Output(
        object_key=object_key(job.account_id, job.id, 0, "mp4"), content_type="video/mp4", bytes=1, poster=poster
    )
    with pytest.raises(Exception, match="own_outputs"):
        await site.jobs.succeed(job.id, [film])
