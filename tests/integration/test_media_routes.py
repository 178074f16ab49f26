"""Media jobs in PostgreSQL: charged by the outputs that were made, moved to another route, held back by limits."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from db.audit import audit
from db.data_keys import Sealing
from db.engine import Database
from db.media import MediaJobs
from db.media_orders import Order
from db.refunds import refund
from db.writer import LedgerWriter
from domain.caller import Payer
from domain.errors import NotFound, ServiceUnavailable, UpstreamBusy
from domain.media import Job, JobRoute, Kind, MediaRequest, Output, ProviderLimits, State, object_key
from domain.pricing import FlatTerms
from tests.support import purging
from tests.support.bank import WRAPPING, Customer, balance, open_account

SECOND = JobRoute(provider="second", model="their-name", cost=7)


@dataclass(slots=True)
class Site:
    database: Database
    ledger: LedgerWriter
    url: str
    limits: ProviderLimits

    @property
    def jobs(self) -> MediaJobs:
        lifetime = timedelta(hours=1)
        jobs = MediaJobs(self.database, Sealing(WRAPPING), output_lifetime=lifetime)
        return jobs.limited_by(lambda _: self.limits)

    async def running(self, customer: Customer, n: int = 1, routes: Sequence[JobRoute] = ()) -> Job:
        request = MediaRequest(kind=Kind.IMAGE, model="image", prompt="a lake", n=n)
        order = Order(
            *(uuid4(), Payer(customer.digest), Kind.IMAGE, "demo-image", "demo", FlatTerms(70, "v1"), request),
            cost=1001,
            routes=tuple(routes),
            deadline=timedelta(seconds=90),
        )
        return await self.jobs.begin((await self.jobs.accept(order)).job.id)

    async def assert_clean(self) -> None:
        async with self.database.connection() as connection:
            report = await audit(connection)
        assert report.clean, report


def outputs(job: Job, count: int) -> list[Output]:
    keys = [object_key(job.account_id, job.id, index, "png") for index in range(count)]
    return [Output(object_key=key, content_type="image/png", bytes=1) for key in keys]


async def sent(site: Site, job: Job) -> UUID | None:
    """Try to submit. Return the job's id if its provider's limits leave a place."""
    try:
        intent = await site.jobs.intend_submit(job)
    except UpstreamBusy as busy:
        pause = busy.retry_after or timedelta(0)
        return job.id if pause < timedelta(seconds=1) else None
    return None if intent.again else job.id


@pytest.fixture
def site(database: Database, ledger: LedgerWriter, database_url: str) -> Site:
    return Site(database, ledger, database_url, ProviderLimits())


@pytest.mark.parametrize(("made", "charged"), [(1, 24), (2, 47), (3, 70), (5, 70)])
async def test_what_was_made_is_charged_and_the_rest_goes_back(site: Site, made: int, charged: int) -> None:
    customer = await open_account(site.database, site.ledger, 1000)
    job = await site.running(customer, n=3)
    assert await balance(site.url, customer) == (930, 70, 1)
    for _ in range(2):
        job = await site.jobs.succeed(job.id, outputs(job, made))
    assert (job.state, job.credits_cost, job.credits_refunded) == (State.SUCCEEDED, 70, 70 - charged)
    assert await balance(site.url, customer) == (1000 - charged, 0, 0)
    await site.assert_clean()
    async with site.database.transaction() as session:
        assert (await refund(session, job.id, "It was our fault.")).credits == charged
    assert (await site.jobs.load(job.id)).credits_refunded == 70
    assert await balance(site.url, customer) == (1000, 0, 0)
    await site.assert_clean()


async def test_the_next_route_has_its_own_model_and_cost(site: Site) -> None:
    customer = await open_account(site.database, site.ledger, 1000)
    job = await site.running(customer, routes=[SECOND])
    assert job.deadline - job.created_at == timedelta(seconds=90)
    intent = await site.jobs.intend_submit(job)
    with pytest.raises(ServiceUnavailable):
        await site.jobs.change_route(job.id, "demo", again=True)
    await site.jobs.forget_submit(job, intent)
    moved = await site.jobs.change_route(job.id, "demo", again=True)
    assert (moved.provider, moved.submit_intended_at) == ("second", None)
    assert (await site.jobs.request(job.id)).model == "their-name"
    assert await site.jobs.record_submitted(job, "late-answer-of-the-first") == ""
    assert (await site.jobs.change_route(job.id, "demo", again=True)).provider == "second"
    back = await site.jobs.change_route(job.id, "second", again=False)
    assert (back.provider, back.provider_model, back.routes) == ("demo", "image", ())
    assert await site.jobs.record_submitted(back, "work") == "work"
    assert (await site.jobs.change_route(job.id, "demo", again=True)).provider == "demo"
    await site.jobs.succeed(job.id, outputs(job, 1))
    await site.assert_clean()


async def test_a_late_attempt_submits_no_job_that_has_ended_or_moved(site: Site) -> None:
    customer = await open_account(site.database, site.ledger, 1000)
    job = await site.running(customer, routes=[SECOND])
    moved = await site.jobs.change_route(job.id, "demo", again=True)
    with pytest.raises(ServiceUnavailable):
        await site.jobs.intend_submit(job)
    first = await site.jobs.intend_submit(moved)
    await site.jobs.require_intent(job.id, first)
    second = await site.jobs.intend_submit(moved)
    assert (first.again, second.again) == (False, True)
    await site.jobs.forget_submit(moved, first)
    await site.jobs.require_intent(job.id, second)
    with pytest.raises(ServiceUnavailable):
        await site.jobs.require_intent(job.id, first)
    await site.jobs.end(job.id, State.FAILED, None)
    with pytest.raises(NotFound):
        await site.jobs.intend_submit(moved)


async def test_nobody_may_submit_a_job_that_its_owner_has_cancelled(site: Site) -> None:
    """The wish and the intent are in one row: the one that comes first holds."""
    site.limits = ProviderLimits(max_concurrent=1)
    customer = await open_account(site.database, site.ledger, 1000)
    unsent, late = await site.running(customer), await site.running(customer)
    await site.jobs.request_cancel(customer.account_id, unsent.id)
    assert (await site.jobs.intend_submit(unsent)).unwanted
    assert (await site.jobs.load(unsent.id)).submit_intended_at is None
    first = await site.jobs.intend_submit(late)  # the only place: the other one has taken none
    await site.jobs.request_cancel(customer.account_id, late.id)
    second = await site.jobs.intend_submit(late)
    assert [(each.again, each.unwanted) for each in (first, second)] == [(False, False), (True, True)]


class FarWorkflows(purging.NoJobs):
    """They will learn of it later."""

    async def cancel(self, job_id: UUID) -> bool:
        return True


async def test_nobody_may_submit_a_job_once_a_purge_has_cut_its_account_off(site: Site, tmp_path: Path) -> None:
    customer, other = [await open_account(site.database, site.ledger, 1000) for _ in range(2)]
    unsent, sent, foreign = await site.running(customer), await site.running(customer), await site.running(other)
    assert not (await site.jobs.intend_submit(sent)).again
    steps = purging.steps(site.database, tmp_path)
    purge_id = await purging.begin(site.database, customer)
    for _ in range(2):
        await replace(steps, histories=FarWorkflows()).cut(purge_id)
    intents = [await site.jobs.intend_submit(job) for job in (unsent, sent, foreign)]
    assert [(each.again, each.unwanted) for each in intents] == [(False, True), (True, True), (False, False)]
    assert (await site.jobs.load(unsent.id)).submit_intended_at is None


async def test_no_more_jobs_are_at_a_provider_than_it_takes(site: Site) -> None:
    site.limits = ProviderLimits(max_concurrent=3)
    customer = await open_account(site.database, site.ledger, 10_000)
    jobs = [await site.running(customer) for _ in range(8)]
    first = {each for each in await asyncio.gather(*(sent(site, job) for job in jobs)) if each}
    assert len(first) == 3
    ended = next(job for job in jobs if job.id in first)
    await site.jobs.end(ended.id, State.FAILED, None)
    waiting = [job for job in jobs if job.id not in first]
    second = {each for each in await asyncio.gather(*(sent(site, job) for job in waiting)) if each}
    assert len(second) == 1
    forgotten = next(job for job in waiting if job.id in second)
    await site.jobs.forget_submit(forgotten, await site.jobs.intend_submit(forgotten))
    assert await sent(site, forgotten) == forgotten.id


async def test_no_more_jobs_are_sent_in_a_minute_than_it_takes(site: Site) -> None:
    site.limits = ProviderLimits(requests_per_minute=2)
    customer = await open_account(site.database, site.ledger, 10_000)
    jobs = [await site.running(customer) for _ in range(4)]
    assert [await sent(site, job) is not None for job in jobs] == [True, True, False, False]
    await site.jobs.end(jobs[0].id, State.FAILED, None)
    assert await sent(site, jobs[2]) is None
    async with site.database.transaction() as session:
        aged = "UPDATE media_jobs SET submit_intended_at = now() - interval '61 seconds' WHERE id = :id"
        await (await session.connection()).execute(text(aged), {"id": jobs[0].id})
    assert await sent(site, jobs[2]) == jobs[2].id


async def test_a_place_goes_to_the_account_that_has_fewest(site: Site) -> None:
    site.limits = ProviderLimits(max_concurrent=4)
    many, few = [await open_account(site.database, site.ledger, 10_000) for _ in range(2)]
    crowd, single = [await site.running(many) for _ in range(12)], await site.running(few)
    assert [await sent(site, job) is not None for job in crowd[:4]] == [True] * 4
    assert [await sent(site, job) for job in (*crowd[4:], single)] == [None] * 9
    await site.jobs.end(crowd[0].id, State.FAILED, None)
    assert [await sent(site, job) for job in crowd[4:]] == [None] * 8
    assert await sent(site, single) == single.id
    await site.jobs.end(crowd[1].id, State.FAILED, None)
    assert await sent(site, crowd[4]) == crowd[4].id
