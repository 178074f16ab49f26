"""Real runs of every kind, over synthetic jobs: replayed at once, and stored for the replay tests when asked to.

They run with the plain converter: what is stored can be read by whoever has to judge a failing replay.
"""

import base64
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowHistory
from temporalio.worker import Replayer

from domain.errors import HoldVoided, ServiceUnavailable, UpstreamBusy, UpstreamRefused
from domain.ids import delivery_workflow_id, purge_workflow_id
from domain.media import State
from domain.purges import PurgeKey
from domain.webhooks import DeliveryKey
from fleets import SANDBOX, WORKFLOWS, build_id
from providers.base import Progress, Stage
from temporal.client import plain_converter
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

HISTORIES = Path(__file__).parents[1] / "replay" / "histories"

Story = Callable[[World], Awaitable[WorkflowHandle[Any, Any]]]
AT_OTHER_TIMES = (
    "media-succeeded",
    "media-succeeded-with-the-answer",
    "media-failed-at-copy",
    "media-cancelled-by-its-caller",
)
STORIES: dict[str, Story] = {}


def story(tell: Story) -> Story:
    STORIES[tell.__name__.replace("_", "-")] = tell
    return tell


async def _cancelled_at(world: World, step: str) -> WorkflowHandle[Any, Any]:
    gate = world.script.hold(step)
    async with world.working() as handle:
        await gate.reached.wait()
        await handle.cancel()
        gate.open.set()
        await closed(handle)
    return handle


async def _run(world: World) -> WorkflowHandle[Any, Any]:
    async with world.working() as handle:
        await closed(handle)
    return handle


@story
async def media_succeeded(world: World) -> WorkflowHandle[Any, Any]:
    return await _run(world)


@story
async def media_succeeded_with_the_answer(world: World) -> WorkflowHandle[Any, Any]:
    world.provider.synchronous = True
    return await _run(world)


@story
async def media_succeeded_after_pauses(world: World) -> WorkflowHandle[Any, Any]:
    world.provider.stages = [RUNNING] * 5 + [DONE]
    return await _run(world)


@story
async def media_succeeded_after_retries(world: World) -> WorkflowHandle[Any, Any]:
    world.script.fail("jobs.begin", ServiceUnavailable())
    world.script.fail("provider.submit", UpstreamBusy(retry_after=timedelta(0)))
    return await _run(world)


@story
async def media_succeeded_and_left_a_copy_behind(world: World) -> WorkflowHandle[Any, Any]:
    world.script.always_fail("provider.discard", UpstreamRefused())
    return await _run(world)


@story
async def media_failed_at_submit(world: World) -> WorkflowHandle[Any, Any]:
    world.script.fail("provider.submit", UpstreamRefused())
    return await _run(world)


@story
async def media_failed_at_provider(world: World) -> WorkflowHandle[Any, Any]:
    world.provider.stages = [RUNNING, Progress(Stage.FAILED)]
    return await _run(world)


@story
async def media_failed_at_copy(world: World) -> WorkflowHandle[Any, Any]:
    world.provider.files = [b"<html>"]
    return await _run(world)


@story
async def media_failed_at_capture(world: World) -> WorkflowHandle[Any, Any]:
    world.script.fail("jobs.succeed", HoldVoided())
    return await _run(world)


@story
async def media_failed_past_its_deadline(world: World) -> WorkflowHandle[Any, Any]:
    world.fakes.jobs.update(world.job.id, deadline=world.job.created_at)
    return await _run(world)


@story
async def media_failed_and_an_undo_too(world: World) -> WorkflowHandle[Any, Any]:
    world.script.fail("provider.poll", UpstreamRefused())
    world.script.always_fail("provider.discard", UpstreamRefused())
    return await _run(world)


@story
async def media_cancelled_during_begin(world: World) -> WorkflowHandle[Any, Any]:
    return await _cancelled_at(world, "jobs.begin")


@story
async def media_cancelled_during_submit(world: World) -> WorkflowHandle[Any, Any]:
    return await _cancelled_at(world, "provider.submit")


@story
async def media_cancelled_during_poll(world: World) -> WorkflowHandle[Any, Any]:
    return await _cancelled_at(world, "provider.poll")


@story
async def media_cancelled_too_late(world: World) -> WorkflowHandle[Any, Any]:
    return await _cancelled_at(world, "storage.put")


@story
async def media_cancelled_but_billed(world: World) -> WorkflowHandle[Any, Any]:
    world.provider.at_cancel = DONE
    return await _cancelled_at(world, "provider.poll")


@story
async def media_cancelled_where_it_cannot_be_stopped(world: World) -> WorkflowHandle[Any, Any]:
    world.provider.stages, world.provider.at_cancel = [RUNNING, RUNNING, DONE], None
    world.provider.cancel_answers = replace(RUNNING, unstoppable=True)
    return await _cancelled_at(world, "provider.poll")


@story
async def media_cancelled_while_a_failure_is_undone(world: World) -> WorkflowHandle[Any, Any]:
    world.script.fail("provider.poll", UpstreamRefused())
    return await _cancelled_at(world, "jobs.end")


@story
async def media_cancelled_in_the_same_task_as_a_submission(world: World) -> WorkflowHandle[Any, Any]:
    gate = world.script.hold("provider.submitted")
    async with doing(world.client, world.fakes):
        async with deciding(world.client):
            handle = await world.begin()
            await gate.reached.wait()
        await handle.cancel()
        gate.open.set()
        await until(lambda: no_activity(handle))
        async with deciding(world.client):
            await closed(handle)
    return handle


@story
async def media_cancelled_by_its_caller(world: World) -> WorkflowHandle[Any, Any]:
    world.provider.stages = [RUNNING]
    async with world.working() as handle:
        await world.script.reached("provider.poll")
        await handle.execute_update(MediaWorkflow.request_cancel)
        await closed(handle)
    return handle


@story
async def media_cancelled_before_the_first_step(world: World) -> WorkflowHandle[Any, Any]:
    handle = await world.begin()
    await handle.cancel()
    async with doing(world.client, world.fakes), deciding(world.client):
        await closed(handle)
    return handle


@story
async def media_already_ended(world: World) -> WorkflowHandle[Any, Any]:
    world.fakes.jobs.update(world.job.id, state=State.CANCELLED)
    return await _run(world)


@story
async def media_cancelled_before_it_began(world: World) -> WorkflowHandle[Any, Any]:
    return await media_already_ended(world)


@story
async def maintenance_of_nothing(world: World) -> WorkflowHandle[Any, Any]:
    return await _maintained(world)


@story
async def maintenance_in_trouble(world: World) -> WorkflowHandle[Any, Any]:
    world.script.always_fail("jobs.waiting", ServiceUnavailable())
    return await _maintained(world)


@story
async def maintenance_of_dead_calls(world: World) -> WorkflowHandle[Any, Any]:
    world.fakes.holds.expired = [3]
    return await _maintained(world)


@story
async def maintenance_side_by_side(world: World) -> WorkflowHandle[Any, Any]:
    """With one part that cannot be done: the others do not wait for it."""
    world.fakes.holds.expired = [3]
    world.script.always_fail("jobs.waiting", ServiceUnavailable())
    return await _maintained(world)


@story
async def audit_clean(world: World) -> WorkflowHandle[Any, Any]:
    return await _audited(world)


@story
async def audit_of_a_drift(world: World) -> WorkflowHandle[Any, Any]:
    world.fakes.auditor.counts = {"available_drift": 7}
    return await _audited(world)


@story
async def purge_completed(world: World) -> WorkflowHandle[Any, Any]:
    return await _purged(world)


@story
async def purge_with_much_to_do(world: World) -> WorkflowHandle[Any, Any]:
    """Calls that end late, pages of jobs, histories that go late, many rows, and something that came in between."""
    once = ("cut", "delete_media", "media_left", "delete_rows", "roll_up", "conclude")
    world.fakes.erasing.unfinished.update(dict.fromkeys(once, 1))
    world.script.fail("erasure.shred", ServiceUnavailable())
    return await _purged(world)


async def _purged(world: World) -> WorkflowHandle[Any, Any]:
    async with purging(world.client, world.fakes):
        purge_id = uuid4()
        await start_purge(world.client, PurgeKey(purge_id, uuid4()))
        handle: WorkflowHandle[Any, Any] = world.client.get_workflow_handle(purge_workflow_id(purge_id))
        await closed(handle)
    return handle


@story
async def grants_of_nothing(world: World) -> WorkflowHandle[Any, Any]:
    return await _granted(world)


@story
async def grants_in_batches(world: World) -> WorkflowHandle[Any, Any]:
    world.fakes.plans.batches = [2, 0, 1]
    return await _granted(world)


@story
async def webhook_delivered(world: World) -> WorkflowHandle[Any, Any]:
    return await _sent(world)


@story
async def webhook_tried_again(world: World) -> WorkflowHandle[Any, Any]:
    """Attempts with pauses, and a database that was away, until the delivery failed for good."""
    pauses = [FakeStep("pending", timedelta(seconds=seconds)) for seconds in (0.01, 0.02)]
    world.fakes.deliveries.steps = [*pauses, FakeStep("failed")]
    world.script.fail("deliveries.attempt", ServiceUnavailable())
    return await _sent(world)


async def _sent(world: World) -> WorkflowHandle[Any, Any]:
    async with delivering(world.client, world.fakes):
        delivery = DeliveryKey(uuid4(), uuid4(), 0)
        await start_delivery(world.client, delivery)
        handle: WorkflowHandle[Any, Any] = world.client.get_workflow_handle(delivery_workflow_id(delivery.id, 0))
        await closed(handle)
    return handle


async def _granted(world: World) -> WorkflowHandle[Any, Any]:
    async with maintaining(world.client, world.fakes):
        handle = await world.client.start_workflow(GrantsWorkflow.run, id=str(uuid4()), task_queue=MAINTENANCE)
        await closed(handle)
    return handle


async def _audited(world: World) -> WorkflowHandle[Any, Any]:
    async with maintaining(world.client, world.fakes):
        handle = await world.client.start_workflow(AuditWorkflow.run, id=str(uuid4()), task_queue=MAINTENANCE)
        await closed(handle)
    return handle


async def _maintained(world: World) -> WorkflowHandle[Any, Any]:
    async with maintaining(world.client, world.fakes):
        handle = await world.client.start_workflow(MaintenanceWorkflow.run, id=str(uuid4()), task_queue=MAINTENANCE)
        await closed(handle)
    return handle


async def closed(handle: WorkflowHandle[Any, Any]) -> None:
    with suppress(WorkflowFailureError):
        await handle.result()


@pytest.fixture
async def plain(dev_server: str) -> Client:
    """Names no machine and no process in what it writes."""
    return await Client.connect(dev_server, data_converter=plain_converter(), identity="tests")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All stories when they are to be stored; a few at other times: the stored ones are replayed anyway."""
    if "name" in metafunc.fixturenames:
        exporting = metafunc.config.getoption("--export-histories", default=False)
        metafunc.parametrize("name", STORIES if exporting else AT_OTHER_TIMES)


def test_what_is_stored_is_what_is_told() -> None:
    assert {path.stem for path in HISTORIES.glob("*.json")} == set(STORIES)


async def test_a_run_replays(plain: Client, name: str, request: pytest.FixtureRequest) -> None:
    handle = await STORIES[name](World(plain))
    history = await handle.fetch_history()
    text = json.dumps(without_places(json.loads(history.to_json())), indent=1, sort_keys=True) + "\n"
    replayer = Replayer(
        workflows=WORKFLOWS, data_converter=plain_converter(), workflow_runner=SANDBOX, build_id=build_id()
    )
    result = await replayer.replay_workflow(WorkflowHistory.from_json(handle.id, text))
    assert result.replay_failure is None
    if request.config.getoption("--export-histories", default=False):
        HISTORIES.mkdir(exist_ok=True)
        (HISTORIES / f"{name}.json").write_text(text)


def without_places(part: Any) -> Any:
    """Without the stack traces of failures: they name the folders of a machine."""
    if isinstance(part, list):
        return [without_places(one) for one in part]
    if not isinstance(part, dict):
        return part
    cleaned = {name: without_places(value) for name, value in part.items()}
    if "encodedAttributes" in cleaned:
        sealed = cleaned["encodedAttributes"]
        attributes = json.loads(base64.b64decode(sealed["data"])) | {"stack_trace": ""}
        sealed["data"] = base64.b64encode(json.dumps(attributes).encode()).decode()
    return cleaned
