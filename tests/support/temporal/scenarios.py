"""Runs of every kind of workflow, over synthetic jobs: those that the replay tests have histories of."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import replace
from datetime import timedelta
from functools import partial
from operator import attrgetter
from typing import Any
from uuid import uuid4

from temporalio.client import WorkflowFailureError, WorkflowHandle

from domain.errors import HoldVoided, ServiceUnavailable, UpstreamBusy, UpstreamRefused
from domain.ids import delivery_workflow_id, purge_workflow_id
from domain.media import State
from domain.purges import PurgeKey
from domain.webhooks import DeliveryKey
from providers.base import Progress, Stage
from tests.support.temporal.fake_deliveries import FakeStep
from tests.support.temporal.fleet import (
    DONE,
    RUNNING,
    World,
    deciding,
    delivering,
    doing,
    maintaining,
    no_activity,
    purging,
    until,
)
from workflows.audit import AuditWorkflow
from workflows.grants import GrantsWorkflow
from workflows.maintenance import MaintenanceWorkflow
from workflows.media import MediaWorkflow
from workflows.options import MAINTENANCE
from workflows.start import start_delivery, start_purge

Handle = WorkflowHandle[Any, Any]
Run = Callable[[World], Awaitable[Handle]]
Arrange = Callable[[World], object]


class Scenario:
    """What is arranged in a world, and what runs in it then."""

    def __init__(self, run: Run, *arrangements: Arrange) -> None:
        self._run, self._arrangements = run, arrangements

    async def __call__(self, world: World) -> Handle:
        """Return the handle of the workflow, which is closed."""
        for arrange in self._arrangements:
            arrange(world)
        return await self._run(world)


def _with(part: str, **values: Any) -> Arrange:
    def arrange(world: World) -> None:
        for name, value in values.items():
            setattr(attrgetter(part)(world), name, copy(value))  # the fakes use lists up

    return arrange


def _failing(step: str, error: Exception) -> Arrange:
    return lambda world: world.script.fail(step, error)


def _always_failing(step: str, error: Exception) -> Arrange:
    return lambda world: world.script.always_fail(step, error)


async def _closed(handle: Handle) -> Handle:
    with suppress(WorkflowFailureError):
        await handle.result()
    return handle


async def _media(world: World) -> Handle:
    async with world.working() as handle:
        return await _closed(handle)


async def _cancelled_at(step: str, world: World) -> Handle:
    gate = world.script.hold(step)
    async with world.working() as handle:
        await gate.reached.wait()
        await handle.cancel()
        gate.open.set()
        return await _closed(handle)


async def _cancelled_in_the_same_task_as_a_submission(world: World) -> Handle:
    gate = world.script.hold("provider.submitted")
    async with doing(world.client, world.fakes):
        async with deciding(world.client):
            handle = await world.begin()
            await gate.reached.wait()
        await handle.cancel()
        gate.open.set()
        await until(lambda: no_activity(handle))
        async with deciding(world.client):
            return await _closed(handle)


async def _cancelled_by_its_caller(world: World) -> Handle:
    async with world.working() as handle:
        await world.script.reached("provider.poll")
        await handle.execute_update(MediaWorkflow.request_cancel)
        return await _closed(handle)


async def _cancelled_before_the_first_step(world: World) -> Handle:
    handle = await world.begin()
    await handle.cancel()
    async with doing(world.client, world.fakes), deciding(world.client):
        return await _closed(handle)


async def _scheduled(workflow: Any, world: World) -> Handle:
    async with maintaining(world.client, world.fakes):
        return await _closed(await world.client.start_workflow(workflow, id=str(uuid4()), task_queue=MAINTENANCE))


async def _purge(world: World) -> Handle:
    async with purging(world.client, world.fakes):
        purge_id = uuid4()
        await start_purge(world.client, PurgeKey(purge_id, uuid4()))
        return await _closed(world.client.get_workflow_handle(purge_workflow_id(purge_id)))


async def _webhook(world: World) -> Handle:
    async with delivering(world.client, world.fakes):
        delivery = DeliveryKey(uuid4(), uuid4(), 0)
        await start_delivery(world.client, delivery)
        return await _closed(world.client.get_workflow_handle(delivery_workflow_id(delivery.id, 0)))


REFUSED, AWAY = UpstreamRefused(), ServiceUnavailable()
MUCH_TO_PURGE = dict.fromkeys(("cut", "delete_media", "media_left", "delete_rows", "roll_up", "conclude"), 1)
"""Calls that end late, pages of jobs, histories that go late, many rows, and something that came in between."""
PAUSES = [FakeStep("pending", timedelta(seconds=seconds)) for seconds in (0.01, 0.02)]
_maintenance, _audit, _grants = (
    partial(_scheduled, workflow.run) for workflow in (MaintenanceWorkflow, AuditWorkflow, GrantsWorkflow)
)
_already_ended = Scenario(_media, lambda world: world.fakes.jobs.update(world.job.id, state=State.CANCELLED))
_at = partial(partial, _cancelled_at)
SCENARIOS: Mapping[str, Scenario] = {
    "media-succeeded": Scenario(_media),
    "media-succeeded-with-the-answer": Scenario(_media, _with("provider", synchronous=True)),
    "media-succeeded-after-pauses": Scenario(_media, _with("provider", stages=[*[RUNNING] * 5, DONE])),
    "media-succeeded-after-retries": Scenario(
        _media,
        _failing("jobs.begin", AWAY),
        _failing("provider.submit", UpstreamBusy(retry_after=timedelta(0))),
    ),
    "media-succeeded-and-left-a-copy-behind": Scenario(_media, _always_failing("provider.discard", REFUSED)),
    "media-failed-at-submit": Scenario(_media, _failing("provider.submit", REFUSED)),
    "media-failed-at-provider": Scenario(_media, _with("provider", stages=[RUNNING, Progress(Stage.FAILED)])),
    "media-failed-at-copy": Scenario(_media, _with("provider", files=[b"<html>"])),
    "media-failed-at-capture": Scenario(_media, _failing("jobs.succeed", HoldVoided())),
    "media-failed-past-its-deadline": Scenario(
        _media, lambda world: world.fakes.jobs.update(world.job.id, deadline=world.job.created_at)
    ),
    "media-failed-and-an-undo-too": Scenario(
        _media, _failing("provider.poll", REFUSED), _always_failing("provider.discard", REFUSED)
    ),
    "media-cancelled-during-begin": Scenario(_at("jobs.begin")),
    "media-cancelled-during-submit": Scenario(_at("provider.submit")),
    "media-cancelled-during-poll": Scenario(_at("provider.poll")),
    "media-cancelled-too-late": Scenario(_at("storage.put")),
    "media-cancelled-but-billed": Scenario(_at("provider.poll"), _with("provider", at_cancel=DONE)),
    "media-cancelled-where-it-cannot-be-stopped": Scenario(
        _at("provider.poll"),
        _with("provider", stages=[RUNNING, RUNNING, DONE], at_cancel=None),
        _with("provider", cancel_answers=replace(RUNNING, unstoppable=True)),
    ),
    "media-cancelled-while-a-failure-is-undone": Scenario(_at("jobs.end"), _failing("provider.poll", REFUSED)),
    "media-cancelled-in-the-same-task-as-a-submission": Scenario(_cancelled_in_the_same_task_as_a_submission),
    "media-cancelled-by-its-caller": Scenario(_cancelled_by_its_caller, _with("provider", stages=[RUNNING])),
    "media-cancelled-before-the-first-step": Scenario(_cancelled_before_the_first_step),
    "media-already-ended": _already_ended,
    "media-cancelled-before-it-began": _already_ended,
    "maintenance-of-nothing": Scenario(_maintenance),
    "maintenance-in-trouble": Scenario(_maintenance, _always_failing("jobs.waiting", AWAY)),
    "maintenance-of-dead-calls": Scenario(_maintenance, _with("fakes.holds", expired=[3])),
    "maintenance-side-by-side": Scenario(
        _maintenance, _with("fakes.holds", expired=[3]), _always_failing("jobs.waiting", AWAY)
    ),
    "audit-clean": Scenario(_audit),
    "audit-of-a-drift": Scenario(_audit, _with("fakes.auditor", counts={"available_drift": 7})),
    "purge-completed": Scenario(_purge),
    "purge-with-much-to-do": Scenario(
        _purge,
        lambda world: world.fakes.erasing.unfinished.update(MUCH_TO_PURGE),
        _failing("erasure.shred", AWAY),
    ),
    "grants-of-nothing": Scenario(_grants),
    "grants-in-batches": Scenario(_grants, _with("fakes.plans", batches=[2, 0, 1])),
    "webhook-delivered": Scenario(_webhook),
    "webhook-tried-again": Scenario(
        _webhook,
        _with("fakes.deliveries", steps=[*PAUSES, FakeStep("failed")]),
        _failing("deliveries.attempt", AWAY),
    ),
}
"""By the name of the history."""
