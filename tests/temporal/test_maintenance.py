"""The rounds of maintenance, over a Temporal that says what the test wants."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.maintenance import MaintenanceActivities
from activities.payloads import JobCount, Maintained
from domain.errors import ServiceUnavailable
from domain.media import Job, Kind, State
from domain.purges import PurgeKey
from gateway import maintenance
from gateway.beginnings import AT_ONCE, Beginnings
from gateway.job_starts import REJOIN_AGE
from temporal import attributes
from temporal.attributes import AttributesMissing
from tests.support.temporal.fakes import SENTINEL, Fakes
from tests.support.temporal.fleet import maintaining
from workflows.maintenance import MaintenanceWorkflow
from workflows.options import MAINTENANCE

LONG_AGO = timedelta(hours=1)


class FakeStarter:
    def __init__(self) -> None:
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        """What happens while a job is started."""
        self.started: list[UUID] = []
        self.purges: list[PurgeKey] = []
        self.running: set[UUID] = set()
        self.cancelled: list[UUID] = []
        self.over: set[UUID] = set()
        self.errors: dict[UUID, Exception] = {}
        self.unavailable = False

    async def start(self, job: Job) -> bool:
        if self.unavailable:
            raise ServiceUnavailable
        if job.id in self.errors:
            raise self.errors[job.id]
        if job.id in self.over:
            return False
        self.started.append(job.id)
        if self.meanwhile is not None:
            await self.meanwhile()
        return True

    async def start_purge(self, purge: PurgeKey) -> bool:
        if purge.id in self.errors:
            raise self.errors[purge.id]
        self.purges.append(purge)
        return True

    async def cancel(self, job_id: UUID) -> bool:
        if self.unavailable:
            raise ServiceUnavailable
        if job_id in self.running:
            self.cancelled.append(job_id)
        return job_id in self.running

    async def alive(self, job_id: UUID) -> bool:
        return job_id in self.running


class Night:
    """Some jobs that nobody cares for."""

    def __init__(self, jobs: int = 3, *, lasts: timedelta = LONG_AGO * 2) -> None:
        self.fakes, self.starter = Fakes(), FakeStarter()
        created = datetime.now(UTC) - LONG_AGO
        self.jobs = [self.fakes.accepted(now=created, lasts=lasts.total_seconds()) for _ in range(jobs)]
        self.maintenance = self.fakes.maintenance(self.starter)

    def script_calls(self, step: str) -> int:
        return self.fakes.script.calls.count(step)


async def test_a_job_that_ends_while_another_is_started_gets_no_workflow() -> None:
    """A purge ends it, and deletes histories: one that begins now would stay."""
    night = Night(2)
    first, second = (job.id for job in night.jobs)

    async def purge() -> None:
        (other,) = {first, second} - set(night.starter.started)
        await night.fakes.jobs.end(other, State.CANCELLED, None)

    night.starter.meanwhile = purge
    assert await night.maintenance.start_orphans() == 1
    assert len(night.starter.started) == 1


async def test_every_orphan_is_started() -> None:
    night = Night()
    assert await night.maintenance.start_orphans() == 3
    assert night.starter.started == [job.id for job in night.jobs]


async def test_every_orphaned_purge_is_started_beside_the_jobs() -> None:
    night = Night()
    broken, sound = (PurgeKey(uuid4(), uuid4()) for _ in range(2))
    night.fakes.erasing.accepted = [broken, sound]
    night.starter.errors = {broken.id: RuntimeError(SENTINEL)}
    assert await night.maintenance.start_orphans() == 1 + len(night.jobs)
    assert night.starter.purges == [sound]
    assert [line["where"] for line in night.fakes.log.lines] == [f"start_purges purge {broken.id}"]


async def test_one_orphans_trouble_is_not_the_others() -> None:
    night = Night()
    night.starter.errors = {night.jobs[0].id: RuntimeError(SENTINEL)}
    assert await night.maintenance.start_orphans() == 2
    assert night.starter.started == [job.id for job in night.jobs[1:]]
    (line,) = night.fakes.log.lines
    assert line["where"] == f"start_orphans job {night.jobs[0].id}"
    assert SENTINEL not in str(line)
    assert night.fakes.errors.by_task["start_orphans"] == 1

    night.starter.errors.clear()
    assert await night.maintenance.start_orphans() == 1
    assert night.fakes.log.lines == []


async def test_no_more_orphans_are_started_than_workers_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others wait as rows, where accounts take turns, and the plans' priority counts."""
    monkeypatch.setattr(maintenance, "MAX_STARTING", timedelta(0))
    night = Night(AT_ONCE * 2)
    for job in night.jobs:
        night.fakes.jobs.update(job.id, account_id=night.jobs[0].account_id, kind=Kind.VIDEO)
    assert await night.maintenance.start_orphans() == AT_ONCE
    assert await night.maintenance.start_orphans() == 0
    for job_id in night.starter.started[:3]:
        night.fakes.jobs.update(job_id, state=State.RUNNING)
    await night.maintenance.beginnings.look()
    assert await night.maintenance.start_orphans() == 3
    assert len(set(night.starter.started)) == AT_ONCE + 3


async def test_a_round_goes_on_while_workers_take_what_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "PAUSE", timedelta(0))
    night = Night(AT_ONCE * 4)
    for job in night.jobs:
        night.fakes.jobs.update(job.id, kind=Kind.VIDEO)

    async def all_begin(_job_ids: Collection[UUID]) -> Collection[UUID]:
        return ()

    night.maintenance.beginnings = Beginnings(all_begin)
    assert await night.maintenance.start_orphans() == AT_ONCE * 4


async def test_what_cannot_be_started_takes_no_place_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "PAUSE", timedelta(0))
    night = Night(AT_ONCE * 2 + 1)
    for job in night.jobs:
        night.fakes.jobs.update(job.id, kind=Kind.VIDEO)
    *broken, sound = (job.id for job in night.jobs)
    night.starter.errors = dict.fromkeys(broken, RuntimeError(SENTINEL))
    assert await night.maintenance.start_orphans() == 1
    assert night.starter.started == [sound]


async def test_a_workflow_is_joined_again_after_a_while() -> None:
    """It may be lost. Until then, thousands of jobs that wait cost nothing here."""
    night = Night()
    clock = [datetime.now(UTC)]
    maintenance = night.fakes.maintenance(night.starter, now=lambda: clock[0])
    assert await maintenance.start_orphans() == 3
    assert await maintenance.start_orphans() == 0
    clock[0] += REJOIN_AGE
    assert await maintenance.start_orphans() == 3


async def test_what_this_process_starts_anyway_is_left_alone() -> None:
    night = Night()
    first, *others = night.jobs
    night.maintenance.recent.note(first.id)
    assert await night.maintenance.start_orphans() == 2
    assert night.starter.started == [job.id for job in others]
    night.maintenance.recent.forget(first.id)
    assert await night.maintenance.start_orphans() == 1


async def test_a_job_that_cannot_be_read_is_not_the_others_trouble() -> None:
    night = Night()
    night.fakes.jobs.unreadable.add(night.jobs[1].id)
    assert await night.maintenance.start_orphans() == 2
    assert [line["where"] for line in night.fakes.log.lines] == [f"start_orphans job {night.jobs[1].id}"]


async def test_an_account_that_somebody_keeps_locked_waits_alone() -> None:
    """Its other jobs too, so that a round does not wait once for each."""
    night = Night(6, lasts=LONG_AGO / 2)
    locked = night.jobs[0]
    for job in night.jobs[1:4]:
        night.fakes.jobs.update(job.id, account_id=locked.account_id)
    night.fakes.jobs.locked_accounts = {locked.account_id}
    assert await night.maintenance.reconcile() == 2
    assert night.script_calls("jobs.end") == 3
    assert [line["where"] for line in night.fakes.log.lines] == [f"reconcile job {locked.id}"]
    night.fakes.jobs.locked_accounts.clear()
    assert await night.maintenance.reconcile() == 4


async def test_a_running_job_without_a_workflow_gets_one() -> None:
    """And one whose workflow has run to its end, in a past that Postgres does not know, ends."""
    night = Night()
    for job in night.jobs[:2]:
        night.fakes.jobs.update(job.id, state=State.RUNNING, started_at=job.created_at)
    lost, over, queued = night.jobs
    night.starter.over = {over.id, queued.id}
    assert await night.maintenance.recover() == 2
    assert night.starter.started == [lost.id]
    assert night.fakes.jobs.ends == [(over.id, State.FAILED)]
    assert await night.maintenance.start_orphans() == 1
    assert night.fakes.jobs.ends == [(over.id, State.FAILED), (queued.id, State.FAILED)]
    assert await night.maintenance.recover() == 0
    assert night.fakes.job(lost.id).state is State.RUNNING


async def test_while_temporal_is_away_a_round_ends_at_once() -> None:
    night = Night()
    night.starter.unavailable = True
    with pytest.raises(ServiceUnavailable):
        await night.maintenance.start_orphans()
    assert night.starter.started == []
    night.starter.unavailable = False
    assert await night.maintenance.start_orphans() == 3


async def test_as_an_activity_it_is_tried_again() -> None:
    night = Night()
    night.starter.unavailable = True
    does = MaintenanceActivities(night.maintenance, night.fakes.holds, night.fakes.holds, night.fakes.outputs)
    with pytest.raises(ApplicationError) as failure:
        await ActivityEnvironment().run(does.start_orphans)
    assert not failure.value.non_retryable
    night.starter.unavailable = False
    assert await ActivityEnvironment().run(does.start_orphans) == JobCount(jobs=3)


async def test_a_job_past_its_deadline_is_not_started_but_closed() -> None:
    night = Night(lasts=LONG_AGO / 2)
    assert await night.maintenance.start_orphans() == 0
    assert await night.maintenance.reconcile() == 3
    assert await night.maintenance.reconcile() == 0
    assert sorted(night.fakes.jobs.releases) == sorted(job.id for job in night.jobs)
    assert {night.fakes.job(job.id).state for job in night.jobs} == {State.FAILED}


@pytest.mark.parametrize(("late", "closed"), [(timedelta(minutes=9), 0), (timedelta(minutes=11), 1)])
async def test_an_open_workflow_gets_some_time_to_end_its_job(late: timedelta, closed: int) -> None:
    """And no more: with every worker of its queue gone, the caller would never see the credits again."""
    night = Night(1, lasts=LONG_AGO - late)
    night.starter.running = {night.jobs[0].id}
    assert await night.maintenance.reconcile() == closed


async def test_two_rounds_at_once_close_a_job_once() -> None:
    night = Night(lasts=LONG_AGO / 2)
    await asyncio.gather(night.maintenance.reconcile(), night.maintenance.reconcile())
    assert len(night.fakes.jobs.ends) == len(night.jobs)


async def test_what_cannot_be_done_now_does_not_keep_the_rest(client: Client) -> None:
    fakes = Fakes()
    fakes.script.always_fail("jobs.waiting", ServiceUnavailable())
    async with maintaining(client, fakes):
        done = await client.execute_workflow(MaintenanceWorkflow.run, id="a-round", task_queue=MAINTENANCE)
    assert done == Maintained(started=None, closed=0, swept=0, forgotten=0, recovered=0, expired=0, orphaned=0)


async def test_a_round_sweeps_until_no_hold_is_left(client: Client) -> None:
    fakes = Fakes()
    fakes.holds.expired = [500, 500, 7]
    fakes.script.always_fail("holds.forget", ServiceUnavailable())
    async with maintaining(client, fakes):
        done = await client.execute_workflow(MaintenanceWorkflow.run, id="after-a-crash", task_queue=MAINTENANCE)
    assert done == Maintained(started=0, closed=0, swept=1007, forgotten=None, recovered=0, expired=0, orphaned=0)


async def test_search_attributes_are_registered_once(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    await attributes.ensure(client)
    await attributes.ensure(client)
    assert caplog.text == ""


def test_an_operator_is_told_how_to_register_them() -> None:
    text = str(AttributesMissing(["YoutState"]))
    assert "temporal operator search-attribute create --name YoutState --type Keyword" in text


async def test_a_recorded_wish_to_cancel_is_passed_on_once() -> None:
    """As soon as Temporal is there, and the job's workflow is open."""
    night = Night(lasts=LONG_AGO / 2)
    for job in night.jobs[:2]:
        night.fakes.jobs.update(
            job.id, state=State.RUNNING, started_at=job.created_at, cancel_requested_at=job.created_at
        )
    working, _, _ = night.jobs
    night.starter.running = {working.id}
    night.starter.unavailable = True
    with pytest.raises(ServiceUnavailable):
        await night.maintenance.start_orphans()
    assert night.fakes.jobs.cancels_sent == []
    night.starter.unavailable = False
    for _ in range(2):
        await night.maintenance.start_orphans()
    assert night.starter.cancelled == night.fakes.jobs.cancels_sent == [working.id]
