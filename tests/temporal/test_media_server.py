"""Against the development server: starting, cancelling, losing and resetting workflows, and what it gets to see."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client

from domain.errors import ServiceUnavailable
from domain.media import State
from temporal import attributes
from temporal.client import Address, connect, converter
from temporal.codec import ENCODING, Keyring
from tests.support.temporal.fakes import SENTINEL
from tests.support.temporal.fleet import (
    CANCELED,
    COMPLETED,
    DONE,
    FAILED,
    KEYRING,
    RUNNING,
    World,
    deciding,
    details_say,
    doing,
    ended,
    starter,
)
from workflows import start
from workflows.media import MediaWorkflow

TASK_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
UPDATE_ACCEPTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
QUICKLY = timedelta(milliseconds=300)


@pytest.fixture
def world(client: Client) -> World:
    return World(client)


async def test_starting_twice_is_starting_once(world: World) -> None:
    assert await start.start(world.client, world.job)
    assert await start.start(world.client, world.job)
    async with world.working():
        await ended(world, State.SUCCEEDED, COMPLETED)
    assert not await start.start(world.client, world.job)


async def test_what_an_operator_sees(world: World) -> None:
    async with world.working():
        await world.handle.result()
    described = await world.handle.describe()
    expected = attributes.for_job(world.fakes.job(world.job.id))
    assert all(described.typed_search_attributes[key] == expected[key] for key in attributes.KEYS)
    assert await described.static_summary() == "image by demo-image"
    assert str(world.job.id) in (await described.static_details() or "")
    assert not await described.memo()
    first = (await world.handle.fetch_history()).events[0].workflow_execution_started_event_attributes
    assert first.priority.fairness_key == str(world.job.account_id)


async def test_jobs_end_before_others_begin(world: World) -> None:
    """In one queue. Who waits for the same is served in turns by account."""
    async with world.working():
        await world.handle.result()
    events = [event.activity_task_scheduled_event_attributes for event in (await world.handle.fetch_history()).events]
    priorities = {event.activity_type.name: event.priority.priority_key for event in events if event.activity_id}
    assert (priorities["begin"], priorities["submit"], priorities["succeed"]) == (0, 0, 1)
    assert {event.priority.fairness_key for event in events if event.activity_id} <= {"", str(world.job.account_id)}


async def test_nothing_readable_lies_at_the_server(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Not the prompt, not the text of an error, not even an id in a payload."""
    caplog.set_level(logging.DEBUG)
    world.script.fail("provider.poll", RuntimeError(f"cannot draw {SENTINEL}"))
    async with world.working():
        await ended(world, State.SUCCEEDED, COMPLETED)
    raw = [event.SerializeToString() for event in (await world.handle.fetch_history()).events]
    raw.append((await world.handle.describe()).raw_description.SerializeToString())
    assert not any(SENTINEL.encode() in one for one in raw)
    assert not any(b"Something went wrong" in one for one in raw)
    assert SENTINEL not in caplog.text
    payloads = await _payloads(world)
    assert payloads
    assert {payload.metadata["encoding"] for payload in payloads} == {ENCODING}


async def test_failures_are_sealed(world: World) -> None:
    world.script.fail("provider.poll", RuntimeError(SENTINEL))
    world.provider.files = [b"<html>"]
    async with world.working():
        await ended(world, State.FAILED, FAILED)
        assert await details_say(world.handle, "The job failed with upstream_error: ")
        assert await details_say(world.handle, " Its credits went back")
    history = await world.handle.fetch_history()
    closing = history.events[-1].workflow_execution_failed_event_attributes.failure
    while True:
        assert closing.message == "Encoded failure"
        assert closing.encoded_attributes.metadata["encoding"] == ENCODING
        if not closing.HasField("cause"):
            break
        closing = closing.cause


async def test_a_client_without_the_key_reads_nothing(world: World, dev_server: str) -> None:
    async with world.working():
        await world.handle.result()
    stranger = await connect(Address(dev_server), converter(Keyring.derived("some other deployment's secret")))
    handle = stranger.get_workflow_handle(world.handle.id)
    with pytest.raises(Exception, match="No key"):
        await handle.result()


async def test_the_caller_hears_how_a_cancelled_job_ended(world: World) -> None:
    world.provider.stages = [RUNNING]
    async with world.working() as handle:
        await world.script.reached("provider.poll")
        answer = await handle.execute_update(MediaWorkflow.request_cancel)
        assert answer.state is State.CANCELLED
        await ended(world, State.CANCELLED, COMPLETED)
    assert not await start.cancel(world.client, world.job.id)


async def test_many_wishes_to_cancel_are_one(world: World) -> None:
    """A workflow takes ten updates at a time, and two thousand in all."""
    world.provider.stages = [RUNNING]
    gate = world.script.hold("provider.cancel")
    async with world.working() as handle:
        await world.script.reached("provider.poll")
        assert all([await start.cancel(world.client, world.job.id) for _ in range(15)])
        gate.open.set()
        await ended(world, State.CANCELLED, COMPLETED)
    events = (await handle.fetch_history()).events
    assert len([event for event in events if event.event_type == UPDATE_ACCEPTED]) == 1


async def test_an_operator_sees_how_a_job_ended_before_its_workflow_began(world: World) -> None:
    await world.begin()
    world.fakes.jobs.update(world.job.id, state=State.CANCELLED)
    async with world.working() as handle:
        assert (await handle.result()).state is State.CANCELLED
    described = await handle.describe()
    assert described.typed_search_attributes.get(attributes.STATE) == "cancelled"


async def test_a_cancel_waits_for_a_worker_to_come_back(world: World) -> None:
    await world.begin()
    assert await start.cancel(world.client, world.job.id, max_wait=QUICKLY)
    async with world.working():
        await ended(world, State.CANCELLED, CANCELED)


async def test_there_is_nothing_to_cancel(world: World) -> None:
    assert not await start.cancel(world.client, world.job.id)


async def test_a_reset_submits_nothing_again(world: World) -> None:
    """The provider's id lies in Postgres, not only in the history that a reset forgets."""
    world.provider.stages = [RUNNING]
    async with world.working() as handle:
        await world.script.reached("provider.poll")
        described = await handle.describe()
        history = await handle.fetch_history()
        decided = next(event.event_id for event in history.events if event.event_type == TASK_COMPLETED)
        gate = world.script.hold("jobs.begin")
        await world.client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=world.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=described.run_id),
                reason="test",
                workflow_task_finish_event_id=decided,
                request_id=str(world.job.id),
            )
        )
        await gate.reached.wait()
        gate.open.set()
        world.provider.stages = [DONE]
        await ended(world, State.SUCCEEDED, COMPLETED)
        assert (await world.handle.describe()).run_id != described.run_id
    assert len(world.provider.submitted) == 1


async def test_a_terminated_workflow_leaves_its_job_to_the_reconciler(world: World) -> None:
    maintenance = world.fakes.maintenance(starter(world.client))
    world.provider.stages = [RUNNING]
    async with world.working() as handle:
        await world.script.reached("provider.poll")
        _pass_deadline(world)
        assert await maintenance.reconcile() == 0
        await handle.terminate()
    assert await maintenance.reconcile() == 1
    assert await maintenance.reconcile() == 0
    world.fakes.assert_ended_once(world.job, State.FAILED)
    error = world.fakes.job(world.job.id).error
    assert error is not None
    assert error.code == "upstream_timeout"


async def test_a_job_that_was_never_started_is_closed_at_its_deadline(world: World) -> None:
    maintenance = world.fakes.maintenance(starter(world.client))
    _pass_deadline(world)
    assert await maintenance.start_orphans() == 0
    assert await maintenance.reconcile() == 1
    world.fakes.assert_ended_once(world.job, State.FAILED)


async def test_an_orphan_is_started_once(world: World) -> None:
    maintenance = world.fakes.maintenance(starter(world.client))
    world.fakes.jobs.update(world.job.id, created_at=datetime.now(UTC) - timedelta(minutes=1))
    assert await maintenance.start_orphans() == 1
    assert await maintenance.start_orphans() == 0
    assert await world.fakes.maintenance(starter(world.client)).start_orphans() == 1  # joined by another process
    async with doing(world.client, world.fakes), deciding(world.client):
        await ended(world, State.SUCCEEDED, COMPLETED)
    assert await maintenance.start_orphans() == 0


async def test_while_temporal_is_away_all_say_so(world: World) -> None:
    nobody = await connect(Address("127.0.0.1:1"), converter(KEYRING), lazy=True)
    for ask in (
        start.start(nobody, world.job),
        start.cancel(nobody, world.job.id),
        starter(nobody).start(world.job),
        starter(nobody).alive(world.job.id),
    ):
        with pytest.raises(ServiceUnavailable):
            await ask


def _pass_deadline(world: World) -> None:
    now = datetime.now(UTC)
    world.fakes.jobs.update(world.job.id, created_at=now - timedelta(minutes=20), deadline=now - timedelta(minutes=1))


async def _payloads(world: World) -> list[Payload]:
    """Every payload of the history but the search attributes, which the server must be able to read."""
    payloads_: list[Payload] = []

    def collect(message: object) -> None:
        if isinstance(message, Payload):
            payloads_.append(message)
            return
        for field, value in getattr(message, "ListFields", list)():
            if field.name == "search_attributes":
                continue
            if field.message_type and field.message_type.GetOptions().map_entry:
                children = value.values()
            else:
                children = value if field.is_repeated else [value]
            for child in children:
                collect(child)

    for event in (await world.handle.fetch_history()).events:
        collect(event)
    return payloads_
