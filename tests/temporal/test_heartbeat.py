"""Signs of life, and what becomes of an activity that is stopped."""

import asyncio
import dataclasses
from datetime import timedelta

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.heartbeat import Beat, heartbeating


@pytest.fixture
def environment() -> ActivityEnvironment:
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, heartbeat_timeout=timedelta(milliseconds=30))
    return environment


async def test_it_beats_with_what_was_noted_last(environment: ActivityEnvironment) -> None:
    beats: list[tuple[object, ...]] = []
    third = asyncio.Event()

    def on_beat(*details: object) -> None:
        beats.append(details)
        if len(beats) == 3:
            third.set()

    async def work() -> None:
        async with heartbeating() as beat:
            beat.note("here")
            await third.wait()

    environment.on_heartbeat = on_beat
    await environment.run(work)
    assert beats[:3] == [("here",)] * 3
    await asyncio.sleep(0.05)
    assert len(beats) == 3


async def test_what_the_last_attempt_noted(environment: ActivityEnvironment) -> None:
    async def work() -> Beat:
        async with heartbeating() as beat:
            return beat

    assert (await environment.run(work)).last is None
    environment.info = dataclasses.replace(environment.info, heartbeat_details=["there"])
    assert (await environment.run(work)).last == "there"


async def going_on(environment: ActivityEnvironment) -> asyncio.Task[None]:
    """An activity that would go on for ever."""
    going = asyncio.Event()

    async def work() -> None:
        async with heartbeating():
            going.set()
            await asyncio.Event().wait()

    running = asyncio.create_task(environment.run(work))
    await going.wait()
    return running


async def test_a_cancellation_is_one(environment: ActivityEnvironment) -> None:
    running = await going_on(environment)
    environment.cancel(ActivityCancellationDetails(cancel_requested=True))
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_worker_that_stops_leaves_it_to_another(environment: ActivityEnvironment) -> None:
    running = await going_on(environment)
    environment.worker_shutdown()
    environment.cancel(ActivityCancellationDetails(worker_shutdown=True))
    with pytest.raises(ApplicationError) as failure:
        await running
    assert (failure.value.type, failure.value.non_retryable) == ("worker_stopping", False)
