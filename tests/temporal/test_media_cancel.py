"""A cancel at every moment: it ends the job once, and never gives away what the provider was paid for."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.update.v1 import UpdateRef
from temporalio.api.workflowservice.v1 import PollWorkflowExecutionUpdateRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowUpdateStage
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import OutputTooLarge, UpstreamRefused
from domain.media import State
from providers.base import Progress, Stage
from tests.support.temporal.fleet import (
    CANCELED,
    COMPLETED,
    DONE,
    FAILED,
    RUNNING,
    Handle,
    World,
    deciding,
    details_say,
    doing,
    ended,
    no_activity,
    until,
)
from workflows.media import MediaWorkflow

STOPPED = Progress(Stage.CANCELLED)
Cancel = Callable[[Handle], Coroutine[Any, Any, None]]


async def by_handle(handle: Handle) -> None:
    await handle.cancel()


async def by_update(handle: Handle) -> None:
    await handle.start_update(MediaWorkflow.request_cancel, wait_for_stage=WorkflowUpdateStage.ACCEPTED)


async def by_both(handle: Handle) -> None:
    await by_update(handle)
    await by_handle(handle)
    await by_handle(handle)


CLOSES_AS: dict[Cancel, WorkflowExecutionStatus] = {by_handle: CANCELED, by_update: COMPLETED, by_both: CANCELED}
WAYS = pytest.mark.parametrize(
    ("cancel", "cached"),
    [
        pytest.param(by_handle, 100, id="handle"),
        pytest.param(by_update, 100, id="update"),
        pytest.param(by_both, 0, id="both-evicted"),
    ],
)


@WAYS
@pytest.mark.parametrize("step", ["jobs.begin", "provider.submit", "provider.poll", "jobs.succeeded"])
async def test_a_cancel_during_a_step(anywhere: Client, step: str, cancel: Cancel, cached: int) -> None:
    world = World(anywhere, cached=cached)
    assert world.provider.cancelled == await cancelled_during(world, step, cancel)


@pytest.mark.parametrize(
    ("step", "cancel"),
    [("jobs.record_submitted", by_handle), ("storage.put", by_update), ("provider.discard", by_both)],
)
async def test_a_cancel_within_a_step(anywhere: Client, step: str, cancel: Cancel) -> None:
    world = World(anywhere, cached=0)
    assert world.provider.cancelled == await cancelled_during(world, step, cancel)


async def cancelled_during(world: World, step: str, cancel: Cancel) -> list[str]:
    """Cancel there, and return the provider's jobs that must have been stopped: nobody pays for what nobody gets.

    What the provider had finished by then is stored and charged.
    """
    state = State.SUCCEEDED if step in ("storage.put", "jobs.succeeded", "provider.discard") else State.CANCELLED
    gate = world.script.hold(step)
    async with world.working() as handle:
        await gate.reached.wait()
        await cancel(handle)
        gate.open.set()
        await ended(world, state, CLOSES_AS[cancel] if state is State.CANCELLED else COMPLETED)
    return [f"work-of-{reference}" for reference in world.provider.submitted] if state is State.CANCELLED else []


async def test_a_cancel_before_the_first_step(anywhere: Client) -> None:
    world = World(anywhere)
    await by_handle(await world.begin())
    await decided(world, CANCELED)
    assert world.script.calls == ["jobs.end"]


async def test_an_update_before_the_first_step(anywhere: Client) -> None:
    """It is accepted only once somebody decides."""
    world = World(anywhere)
    handle, stage = await world.begin(), WorkflowUpdateStage.ACCEPTED
    update = handle.start_update(MediaWorkflow.request_cancel, id="cancel", wait_for_stage=stage)
    accepted = asyncio.create_task(update)
    await until(lambda: is_admitted(world, "cancel"))
    await decided(world, COMPLETED)
    await accepted
    assert world.script.calls == ["jobs.end"]


async def is_admitted(world: World, update: str) -> bool:
    """Whether the update is at the server."""
    of = UpdateRef(workflow_execution=WorkflowExecution(workflow_id=world.handle.id), update_id=update)
    request = PollWorkflowExecutionUpdateRequest(namespace=world.client.namespace, update_ref=of)
    try:
        await world.client.workflow_service.poll_workflow_execution_update(request)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


async def decided(world: World, how: WorkflowExecutionStatus) -> None:
    async with doing(world.client, world.fakes), deciding(world.client):
        await ended(world, State.CANCELLED, how)


@pytest.mark.parametrize("cancel", [by_handle, by_update])
async def test_a_cancel_during_a_durable_pause(anywhere: Client, cancel: Cancel) -> None:
    world = World(anywhere, cached=0)
    world.provider.stages = [RUNNING]
    async with world.working() as handle:
        await until(lambda: details_say(handle, "Polling provider demo, 40 %"))
        await cancel(handle)
        await ended(world, State.CANCELLED, CLOSES_AS[cancel])
    assert world.provider.cancelled == [f"work-of-{world.job.id}"]


@pytest.mark.parametrize("cancel_first", [True, False], ids=["cancel-first", "completion-first"])
@pytest.mark.parametrize(
    ("step", "truth", "state"),
    [
        ("jobs.begin", STOPPED, State.CANCELLED),
        ("provider.submitted", STOPPED, State.CANCELLED),
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
        await until(lambda: no_activity(handle))
        if not cancel_first:
            await handle.cancel()
        async with deciding(anywhere):
            await ended(world, state, CANCELED if state is State.CANCELLED else COMPLETED)
    assert len(world.provider.discarded) == (step != "jobs.begin")


@pytest.mark.parametrize(
    ("truth", "state"),
    [
        (DONE, State.SUCCEEDED),
        (STOPPED, State.CANCELLED),
        (Progress(Stage.FAILED), State.CANCELLED),
        (None, State.CANCELLED),
    ],
    ids=["billed", "stopped", "failed", "goes-on"],
)
async def test_a_cancel_follows_the_providers_truth(anywhere: Client, truth: Progress | None, state: State) -> None:
    world = World(anywhere)
    world.provider.stages, world.provider.at_cancel = [RUNNING], truth
    gate = world.script.hold("provider.poll")
    async with world.working() as handle:
        await gate.reached.wait()
        await handle.cancel()
        gate.open.set()
        await ended(world, state, CANCELED if state is State.CANCELLED else COMPLETED)
    assert world.provider.cancelled == [f"work-of-{world.job.id}"]


@pytest.mark.parametrize("cancel", [by_handle, by_update])
@pytest.mark.parametrize(
    ("end", "state", "closes_as"),
    [(DONE, State.SUCCEEDED, COMPLETED), (Progress(Stage.FAILED), State.FAILED, FAILED)],
    ids=["done", "failed"],
)
async def test_what_cannot_be_stopped_is_waited_for_and_charged(
    anywhere: Client, end: Progress, state: State, closes_as: WorkflowExecutionStatus, cancel: Cancel
) -> None:
    world = World(anywhere, cached=0)
    world.provider.stages, world.provider.at_cancel = [RUNNING, RUNNING, end], None
    world.provider.cancel_answers = replace(RUNNING, unstoppable=True)
    gate = world.script.hold("provider.poll")
    async with world.working() as handle:
        await gate.reached.wait()
        await cancel(handle)
        gate.open.set()
        await ended(world, state, closes_as)
    assert world.provider.cancelled == [f"work-of-{world.job.id}"]
    assert len(world.provider.discarded) == 1


async def test_a_cancel_that_the_provider_does_not_take_gives_the_credits_back(anywhere: Client) -> None:
    world = World(anywhere)
    world.script.always_fail("provider.cancel", UpstreamRefused())
    gate = world.script.hold("provider.poll")
    async with world.working() as handle:
        await gate.reached.wait()
        await handle.cancel()
        gate.open.set()
        await ended(world, State.CANCELLED, CANCELED)
    assert world.provider.cancelled == []


@pytest.mark.parametrize(
    ("undo", "cancel", "cached"),
    [
        ("jobs.end", by_handle, 100),
        ("jobs.end", by_update, 0),
        ("provider.cancel", by_both, 0),
        ("provider.discard", by_handle, 0),
    ],
)
async def test_a_cancel_while_a_failure_is_undone(anywhere: Client, undo: str, cancel: Cancel, cached: int) -> None:
    world = World(anywhere, cached=cached)
    world.script.fail("storage.put", OutputTooLarge())
    gate = world.script.hold(undo)
    async with world.working() as handle:
        await gate.reached.wait()
        await cancel(handle)
        gate.open.set()
        await ended(world, State.FAILED, FAILED)
    assert len(world.provider.discarded) == 1


@pytest.mark.parametrize("undo", ["jobs.end", "provider.cancel", "provider.discard"])
async def test_a_cancel_while_a_cancel_is_undone(anywhere: Client, undo: str) -> None:
    world = World(anywhere, cached=0)
    world.provider.stages = [RUNNING]
    gate = world.script.hold(undo)
    async with world.working() as handle:
        await world.script.reached("provider.poll")
        await by_update(handle)
        await gate.reached.wait()
        await by_update(handle)
        await by_handle(handle)
        gate.open.set()
        await ended(world, State.CANCELLED, CANCELED)
    assert len(world.provider.discarded) == 1
