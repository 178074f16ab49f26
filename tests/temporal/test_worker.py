"""The worker process's composition: which queues it serves, how it stops, and what it survives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from temporalio.client import Client

from activities.payloads import Maintained
from domain.media import State
from tests.temporal.fakes import Fakes, sniff
from tests.temporal.fleet import COMPLETED, DONE, RUNNING, World, ended
from worker import Fleet, Parts, serve
from workflows.maintenance import SCHEDULE_ID, ensure_schedules
from workflows.options import LEDGER, QUEUES

GUARD = timedelta(seconds=15)


def parts_of(fakes: Fakes) -> Parts:
    return Parts(fakes.jobs, lambda _name: fakes.provider, fakes.storage, sniff)


@asynccontextmanager
async def serving(world: World, fleet: Fleet = Fleet()) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    task = asyncio.create_task(serve(world.client, parts_of(world.fakes), fleet, stop))
    yield stop
    stop.set()
    await task


async def test_one_process_serves_all_queues(client: Client) -> None:
    world = World(client)
    async with serving(world):
        await world.begin()
        await ended(world, State.SUCCEEDED, COMPLETED)


async def test_two_fleets_share_the_work(client: Client) -> None:
    world = World(client)
    media = Fleet(queues=[queue for queue in QUEUES if queue != LEDGER])
    async with serving(world, media), serving(world, Fleet(queues=[LEDGER])):
        await world.begin()
        await ended(world, State.SUCCEEDED, COMPLETED)


def test_a_queue_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="No such task queue: media-music"):
        Fleet(queues=["media-image", "media-music"])


async def test_a_worker_that_is_told_to_stop_hands_its_work_on(client: Client) -> None:
    """No attempt fails for it: the watch that was going on ends early, and the next worker goes on."""
    world = World(client)
    world.provider.stages = [RUNNING]
    async with serving(world) as stop:
        await world.begin()
        await world.script.reached("provider.poll")
        stop.set()
    world.provider.stages = [DONE]
    async with serving(world):
        await ended(world, State.SUCCEEDED, COMPLETED)
    history = await world.handle.fetch_history()
    assert not any(event.HasField("activity_task_failed_event_attributes") for event in history.events)
    assert not any(event.HasField("activity_task_timed_out_event_attributes") for event in history.events)


async def test_maintenance_runs_on_a_schedule(client: Client) -> None:
    world = World(client)
    await ensure_schedules(client)
    await ensure_schedules(client)
    schedule = client.get_schedule_handle(SCHEDULE_ID)
    async with serving(world):
        await schedule.trigger()
        while not (rounds := (await schedule.describe()).info.recent_actions):
            await asyncio.sleep(0.02)
        action = rounds[-1].action
        done = client.get_workflow_handle(action.workflow_id, result_type=Maintained)
        assert (await done.result()) == Maintained(started=0, closed=0)
    await schedule.delete()
