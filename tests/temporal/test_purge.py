"""The order of a purge's steps: each until it is done, whatever fails meanwhile."""

from typing import Any
from uuid import uuid4

from temporalio.client import Client, WorkflowHandle

from activities.payloads import Purged
from domain.errors import NotFound, ServiceUnavailable
from domain.ids import purge_workflow_id
from domain.purges import PurgeKey
from tests.support.temporal.fakes import Fakes
from tests.support.temporal.fleet import maintaining, purging
from workflows.maintenance import MaintenanceWorkflow
from workflows.options import MAINTENANCE
from workflows.start import start_purge

STEPS = ["cut", "survey", "shred", "delete_media", "media_left", "delete_rows", "roll_up", "conclude"]


async def purged(client: Client, fakes: Fakes) -> list[str]:
    async with purging(client, fakes):
        purge_id = uuid4()
        purge = PurgeKey(purge_id, uuid4())
        await start_purge(client, purge)
        await start_purge(client, purge)  # as whoever asks again does: it joins
        handle: WorkflowHandle[Any, Purged] = client.get_workflow_handle(
            purge_workflow_id(purge_id), result_type=Purged
        )
        assert await handle.result() == Purged(purge_id=purge_id)
    return fakes.erasing.steps


async def test_keys_go_after_the_calls_and_before_anything_else(client: Client) -> None:
    assert await purged(client, Fakes()) == STEPS


async def test_the_schedules_worker_starts_a_purge_that_nobody_has_started(client: Client) -> None:
    fakes, purge_id = Fakes(), uuid4()
    fakes.erasing.accepted = [PurgeKey(purge_id, uuid4())]
    async with purging(client, fakes), maintaining(client, fakes):
        await client.execute_workflow(MaintenanceWorkflow.run, id="a-round-of-purges", task_queue=MAINTENANCE)
        assert await client.get_workflow_handle(purge_workflow_id(purge_id)).result() is not None
    assert fakes.erasing.steps == STEPS


async def test_each_step_is_repeated_until_it_is_done(client: Client) -> None:
    fakes = Fakes()
    once = ("cut", "delete_media", "media_left", "delete_rows", "roll_up", "conclude")
    fakes.erasing.unfinished.update(dict.fromkeys(once, 1))
    media = ["delete_media", "delete_media after", "media_left", "delete_media", "media_left"]
    rows = ["delete_rows", "delete_rows", "roll_up", "roll_up", "conclude"]
    again = ["delete_media", "media_left", "delete_rows", "roll_up", "conclude"]
    assert await purged(client, fakes) == ["cut", "cut", "survey", "shred", *media, *rows, *again]


async def test_no_failure_ends_a_purge(client: Client) -> None:
    fakes = Fakes()
    for step, error in zip(STEPS, (ServiceUnavailable(), NotFound(), KeyError(), OSError()) * 2, strict=True):
        fakes.script.fail(f"erasure.{step}", error)
    assert await purged(client, fakes) == [step for step in STEPS for _ in range(2)]
