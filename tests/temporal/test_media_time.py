"""Hours and days of it, in the server that skips time: deadlines, slow providers, long outages."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.testservice.v1 import LockTimeSkippingRequest, UnlockTimeSkippingRequest
from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment

from domain.errors import ServiceUnavailable, UpstreamBusy, UpstreamError, UpstreamTimeout
from domain.media import State
from providers.base import Progress, Stage
from tests.support.temporal.fleet import COMPLETED, DONE, FAILED, RUNNING, World, ended

MINUTE = timedelta(minutes=1)
ATTEMPTS = 300
"""In two hours: the longest pause between two is half a minute."""


async def ends(world: World, state: State, how: WorkflowExecutionStatus) -> None:
    """Time flies until the workflow closes."""
    clock = world.client.test_service
    await clock.unlock_time_skipping(UnlockTimeSkippingRequest())
    await ended(world, state, how)
    await clock.lock_time_skipping(LockTimeSkippingRequest())


async def lasted(world: World) -> timedelta:
    described = await world.handle.describe()
    assert described.close_time is not None
    return described.close_time - described.start_time


async def events(world: World) -> Sequence[HistoryEvent]:
    return (await world.handle.fetch_history()).events


async def world_with(skipping: WorkflowEnvironment, *, lasts: timedelta = timedelta(minutes=15)) -> World:
    world = World(skipping.client)
    now = await skipping.get_current_time()
    row = world.fakes.jobs.rows[world.job.id]
    row.job = world.job = world.job.model_copy(update={"created_at": now, "deadline": now + lasts})
    return world


async def test_a_provider_that_takes_its_time(skipping: WorkflowEnvironment) -> None:
    """It is asked again and again by attempts of one activity, until there is news: the history stays short."""
    world = await world_with(skipping, lasts=timedelta(hours=1))
    world.provider.stages = [Progress(Stage.RUNNING, percent) for percent in range(0, 90)] + [DONE]
    async with world.working():
        await ends(world, State.SUCCEEDED, COMPLETED)
    assert world.script.calls.count("provider.poll") == 91
    scheduled = [event.activity_task_scheduled_event_attributes for event in await events(world)]
    assert 9 <= [each.activity_type.name for each in scheduled].count("poll") <= 12


async def test_a_provider_that_never_ends(skipping: WorkflowEnvironment) -> None:
    world = await world_with(skipping)
    world.provider.stages = [RUNNING]
    async with world.working():
        await ends(world, State.FAILED, FAILED)
    assert await lasted(world) > timedelta(minutes=14)
    error = world.fakes.job(world.job.id).error
    assert error is not None
    assert error.code == "upstream_timeout"
    assert world.provider.cancelled == world.provider.discarded == [f"work-of-{world.job.id}"]


async def test_a_job_that_was_begun_too_late(skipping: WorkflowEnvironment) -> None:
    world = await world_with(skipping, lasts=timedelta(seconds=-1))
    async with world.working():
        await ends(world, State.FAILED, FAILED)
    assert world.provider.submitted == []


@pytest.mark.parametrize("step", ["provider.submit", "provider.poll", "provider.fetch", "storage.put"])
async def test_a_step_that_fails_until_the_deadline(skipping: WorkflowEnvironment, step: str) -> None:
    world = await world_with(skipping)
    world.script.always_fail(step, UpstreamBusy(retry_after=MINUTE) if step == "provider.submit" else UpstreamTimeout())
    async with world.working():
        await ends(world, State.FAILED, FAILED)
    assert await lasted(world) > timedelta(minutes=10)


async def test_a_busy_provider_is_asked_again_when_it_said(skipping: WorkflowEnvironment) -> None:
    """Whatever else may be in doubt: a refusal for being busy was certainly not a submission."""
    world = await world_with(skipping)
    world.provider.find_is_complete = False
    world.script.fail("provider.submit", *(UpstreamBusy(retry_after=timedelta(seconds=90)) for _ in range(8)))
    async with world.working():
        await ends(world, State.SUCCEEDED, COMPLETED)
    assert await lasted(world) >= timedelta(minutes=12)


async def test_a_broken_provider_is_given_up(skipping: WorkflowEnvironment) -> None:
    world = await world_with(skipping, lasts=timedelta(hours=1))
    world.script.always_fail("provider.submit", UpstreamError())
    async with world.working():
        await ends(world, State.FAILED, FAILED)
    assert world.script.calls.count("provider.submit") == 6
    assert await lasted(world) < timedelta(minutes=10)


@pytest.mark.parametrize(
    ("step", "state", "hours"), [("jobs.succeed", State.SUCCEEDED, 6), ("jobs.end", State.FAILED, 2)]
)
async def test_hours_without_a_database(skipping: WorkflowEnvironment, step: str, state: State, hours: int) -> None:
    world = await world_with(skipping)
    world.provider.stages = [DONE if state is State.SUCCEEDED else Progress(Stage.FAILED)]
    world.script.fail(step, *(ServiceUnavailable() for _ in range(ATTEMPTS * hours // 2)))
    async with world.working():
        await ends(world, state, COMPLETED if state is State.SUCCEEDED else FAILED)
    assert await lasted(world) > timedelta(hours=hours)
