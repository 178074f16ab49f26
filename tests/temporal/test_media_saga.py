"""Every way a media job can go. Each ends exactly once, with one charge or one release and at most one submission."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowUpdateStage
from temporalio.exceptions import ApplicationError

from domain.errors import HoldVoided, NotFound, UpstreamRefused
from domain.media import JobError, State
from providers.base import Progress, Stage
from storage.base import OutputTooLarge
from temporal import attributes
from tests.temporal.fleet import Handle, World, current_details, deciding, doing, pending
from workflows.media import MediaWorkflow
from workflows.saga import COMPENSATION_FAILED

COMPLETED, FAILED, CANCELED = (
    WorkflowExecutionStatus.COMPLETED,
    WorkflowExecutionStatus.FAILED,
    WorkflowExecutionStatus.CANCELED,
)
RUNNING = Progress(Stage.RUNNING, 40)
DONE = Progress(Stage.DONE, 100)

Cancel = Callable[[Handle], Awaitable[object]]


async def by_handle(handle: Handle) -> None:
    await handle.cancel()


async def by_update(handle: Handle) -> None:
    await handle.start_update(MediaWorkflow.request_cancel, wait_for_stage=WorkflowUpdateStage.ACCEPTED)


async def by_both(handle: Handle) -> None:
    await by_update(handle)
    await by_handle(handle)
    await by_handle(handle)


CLOSES_AS = {by_handle: CANCELED, by_update: COMPLETED, by_both: CANCELED}


@pytest.fixture(params=[100, 0], ids=["cached", "evicted"])
def world(request: pytest.FixtureRequest, anywhere: Client) -> World:
    """Once with the workflow kept in memory, once with nothing cached: every task a replay."""
    return World(anywhere, cached=request.param)


async def ended(world: World, state: State, how: WorkflowExecutionStatus) -> None:
    """The workflow closes like that, and the job has ended in `state`, once."""
    try:
        result = await world.handle.result()
    except WorkflowFailureError:
        assert how is not COMPLETED
    else:
        assert (result.job_id, result.state) == (world.job.id, state)
    described = await world.handle.describe()
    assert described.status is how
    assert described.typed_search_attributes.get(attributes.STATE) == state.value
    world.fakes.assert_ended_once(world.job, state)


def error_of(world: World) -> JobError | None:
    return world.fakes.job(world.job.id).error


async def test_it_succeeds(world: World) -> None:
    world.provider.stages = [RUNNING, RUNNING, DONE]
    async with world.working():
        await ended(world, State.SUCCEEDED, COMPLETED)
    assert world.provider.discarded == [f"work-of-{world.job.id}"]
    assert world.provider.cancelled == []


FAILURES = {
    "begin": (lambda world: world.script.fail("jobs.begin", HoldVoided()), "internal_error"),
    "submit": (lambda world: world.script.fail("provider.submit", UpstreamRefused()), "upstream_error"),
    "render": (lambda world: setattr(world.provider, "stages", [Progress(Stage.FAILED)]), "upstream_error"),
    "stopped-there": (lambda world: setattr(world.provider, "stages", [Progress(Stage.CANCELLED)]), "upstream_error"),
    "refused-late": (
        lambda world: setattr(world.provider, "stages", [RUNNING, Progress(Stage.FAILED, failure="invalid_value")]),
        "invalid_value",
    ),
    "copy": (lambda world: setattr(world.provider, "made", [b"<html>"]), "upstream_error"),
    "copy-second": (lambda world: world.script.fail("storage.put", OutputTooLarge()), "upstream_error"),
    "nothing-made": (lambda world: setattr(world.provider, "made", []), "upstream_error"),
    "capture": (lambda world: world.script.fail("jobs.succeed", HoldVoided()), "internal_error"),
}


@pytest.mark.parametrize("step", FAILURES)
async def test_a_step_fails(world: World, step: str) -> None:
    arrange, code = FAILURES[step]
    arrange(world)
    async with world.working() as handle:
        await ended(world, State.FAILED, FAILED)
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    error = error_of(world)
    assert error is not None
    assert error.code == code
    assert isinstance(failure.value.cause, ApplicationError)
    assert (failure.value.cause.type, failure.value.cause.message) == (error.code, error.message)


@pytest.mark.parametrize("cancel", [by_handle, by_update, by_both])
@pytest.mark.parametrize(
    ("step", "state"),
    [
        ("jobs.begin", State.CANCELLED),
        ("jobs.intend_submit", State.CANCELLED),
        ("provider.submit", State.CANCELLED),
        ("provider.submitted", State.CANCELLED),
        ("jobs.record_submitted", State.CANCELLED),
        ("provider.poll", State.CANCELLED),
        ("provider.fetch", State.SUCCEEDED),
        ("storage.put", State.SUCCEEDED),
        ("jobs.succeed", State.SUCCEEDED),
        ("jobs.succeeded", State.SUCCEEDED),
        ("provider.discard", State.SUCCEEDED),
    ],
)
async def test_a_cancel_during(world: World, step: str, state: State, cancel: Cancel) -> None:
    gate = world.script.hold(step)
    async with world.working() as handle:
        await gate.reached.wait()
        await cancel(handle)
        gate.open.set()
        await ended(world, state, CLOSES_AS[cancel] if state is State.CANCELLED else COMPLETED)
    # Whatever was submitted was cancelled there: nobody pays for what nobody gets.
    stopped = [f"work-of-{reference}" for reference in world.provider.submitted] if state is State.CANCELLED else []
    assert world.provider.cancelled == stopped


@pytest.mark.parametrize("cancel", [by_handle, by_update])
async def test_a_cancel_before_the_first_step(anywhere: Client, cancel: Cancel) -> None:
    world = World(anywhere)
    handle = await world.begin()
    asked = asyncio.create_task(cancel(handle))  # an update is accepted only once somebody decides
    async with doing(anywhere, world.fakes):
        await asyncio.sleep(0.05)
        async with deciding(anywhere):
            await asked
            await ended(world, State.CANCELLED, CLOSES_AS[cancel])
    assert world.script.calls == ["jobs.end"]


@pytest.mark.parametrize("cancel", [by_handle, by_update])
async def test_a_cancel_during_a_durable_pause(world: World, cancel: Cancel) -> None:
    world.provider.stages = [RUNNING]
    async with world.working() as handle:
        while "Polling provider demo, 40 %" not in await current_details(handle):
            await asyncio.sleep(0.01)
        await cancel(handle)
        await ended(world, State.CANCELLED, CLOSES_AS[cancel])


@pytest.mark.parametrize("cancel_first", [True, False], ids=["cancel-first", "completion-first"])
@pytest.mark.parametrize(
    ("step", "truth", "state"),
    [
        ("jobs.begin", Progress(Stage.CANCELLED), State.CANCELLED),
        ("provider.submitted", Progress(Stage.CANCELLED), State.CANCELLED),
        ("provider.poll", DONE, State.SUCCEEDED),
        ("provider.fetch", DONE, State.SUCCEEDED),
        ("jobs.succeeded", DONE, State.SUCCEEDED),
    ],
)
async def test_a_cancel_in_the_same_task_as_a_completion(
    anywhere: Client, step: str, truth: Progress, state: State, *, cancel_first: bool
) -> None:
    world = World(anywhere)
    world.provider.at_cancel = truth
    gate = world.script.hold(step)
    async with doing(anywhere, world.fakes):
        async with deciding(anywhere):
            handle = await world.begin()
            await gate.reached.wait()
        if cancel_first:
            await handle.cancel()
        gate.open.set()
        while await pending(handle):
            await asyncio.sleep(0.01)
        if not cancel_first:
            await handle.cancel()
        async with deciding(anywhere):
            await ended(world, state, CANCELED if state is State.CANCELLED else COMPLETED)


@pytest.mark.parametrize(
    ("truth", "state"),
    [
        (DONE, State.SUCCEEDED),
        (Progress(Stage.CANCELLED), State.CANCELLED),
        (Progress(Stage.FAILED), State.CANCELLED),
        (None, State.CANCELLED),
    ],
    ids=["billed", "stopped", "failed", "goes-on"],
)
async def test_a_cancel_follows_the_providers_truth(world: World, truth: Progress | None, state: State) -> None:
    world.provider.stages, world.provider.at_cancel = [RUNNING], truth
    gate = world.script.hold("provider.poll")
    async with world.working() as handle:
        await gate.reached.wait()
        await handle.cancel()
        gate.open.set()
        await ended(world, state, CANCELED if state is State.CANCELLED else COMPLETED)


async def test_a_cancel_that_the_provider_does_not_take_gives_the_credits_back(world: World) -> None:
    world.script.always_fail("provider.cancel", UpstreamRefused())
    gate = world.script.hold("provider.poll")
    async with world.working() as handle:
        await gate.reached.wait()
        await handle.cancel()
        gate.open.set()
        await ended(world, State.CANCELLED, CANCELED)


@pytest.mark.parametrize("cancel", [by_handle, by_update, by_both])
@pytest.mark.parametrize("undo", ["jobs.end", "provider.cancel", "provider.discard"])
async def test_a_cancel_while_a_failure_is_undone(world: World, undo: str, cancel: Cancel) -> None:
    world.script.fail("storage.put", OutputTooLarge())
    gate = world.script.hold(undo)
    async with world.working() as handle:
        await gate.reached.wait()
        await cancel(handle)
        gate.open.set()
        await ended(world, State.FAILED, FAILED)
    assert len(world.provider.discarded) == 1


@pytest.mark.parametrize("undo", ["jobs.end", "provider.cancel", "provider.discard"])
async def test_a_cancel_while_a_cancel_is_undone(world: World, undo: str) -> None:
    world.provider.stages = [RUNNING]
    gate = world.script.hold(undo)
    async with world.working() as handle:
        while "provider.poll" not in world.script.calls:
            await asyncio.sleep(0.01)
        await by_update(handle)
        await gate.reached.wait()
        await by_update(handle)
        await by_handle(handle)
        gate.open.set()
        await ended(world, State.CANCELLED, CANCELED)
    assert len(world.provider.discarded) == 1


async def test_an_undo_that_fails_for_good_does_not_keep_the_others(world: World) -> None:
    world.script.fail("provider.poll", UpstreamRefused())
    world.script.always_fail("provider.discard", UpstreamRefused())
    async with world.working() as handle:
        await ended(world, State.FAILED, FAILED)
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == COMPENSATION_FAILED


async def test_a_job_that_cannot_be_ended_is_left_to_the_reconciler(world: World) -> None:
    world.script.fail("provider.poll", UpstreamRefused())
    world.script.always_fail("jobs.end", NotFound())
    async with world.working() as handle:
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == COMPENSATION_FAILED
    assert world.fakes.jobs.ends == []
    assert len(world.provider.discarded) == 1


async def test_a_job_that_ended_otherwise_meanwhile_stays_that(world: World) -> None:
    """Somebody ended it in Postgres, between the copy and the capture: no charge, and no output stays."""
    gate = world.script.hold("jobs.succeed")
    async with world.working() as handle:
        await gate.reached.wait()
        await world.fakes.jobs.end(world.job.id, State.CANCELLED, None)
        gate.open.set()
        await ended(world, State.CANCELLED, COMPLETED)
    assert len(world.provider.discarded) == 1


async def test_a_job_that_has_ended_is_not_begun(world: World) -> None:
    await world.fakes.jobs.end(world.job.id, State.CANCELLED, None)
    async with world.working():
        assert (await world.handle.result()).state is State.CANCELLED
    assert world.script.calls == ["jobs.end", "jobs.begin"]
