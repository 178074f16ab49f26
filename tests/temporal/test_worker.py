"""The worker process's composition: which queues it serves, how it stops, and what it survives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import pytest
from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, ScheduleHandle

from activities.payloads import Maintained
from dev import ports
from domain.ids import workflow_id
from domain.media import Job, State
from fleets import Fleet, Role
from temporal.client import Address, converter
from temporal.slots import Slots
from tests.support.fault_lines import FaultLines
from tests.support.temporal.fleet import COMPLETED, DONE, KEYRING, RUNNING, World, ended, parts_of, until
from worker import Temporal, run, serve
from workflows import start
from workflows.maintenance import SCHEDULE_ID, ensure_schedules
from workflows.options import LEDGER, QUEUES

EVERYTHING = Fleet()


@asynccontextmanager
async def serving(world: World, fleet: Fleet = EVERYTHING) -> AsyncIterator[asyncio.Event]:
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
    assert set(EVERYTHING.queues) == set(QUEUES)


async def test_two_fleets_share_the_work(client: Client) -> None:
    world = World(client)
    media = Fleet(queues=[queue for queue in QUEUES if queue != LEDGER])
    async with serving(world, media), serving(world, Fleet(queues=[LEDGER])):
        await world.begin()
        await ended(world, State.SUCCEEDED, COMPLETED)
    assert LEDGER not in media.queues


def test_a_queue_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="no such task queue: media-music"):
        Fleet(queues=["media-image", "media-music"])


def test_a_fleet_that_would_do_nothing() -> None:
    with pytest.raises(ValueError, match="no workflow is decided in ledger: there are media-image"):
        Fleet(queues=[LEDGER], role=Role.WORKFLOWS)
    assert LEDGER not in Fleet(role=Role.WORKFLOWS).served
    assert Fleet(role=Role.ACTIVITIES).served == list(QUEUES)


async def test_workflows_and_activities_are_served_apart(client: Client) -> None:
    world, stop = World(client), asyncio.Event()
    decided = asyncio.create_task(serve(client, None, Fleet(role=Role.WORKFLOWS), stop))
    async with serving(world, Fleet(role=Role.ACTIVITIES)):
        await world.begin()
        await ended(world, State.SUCCEEDED, COMPLETED)
    assert not decided.done()
    stop.set()
    await decided


async def test_a_job_that_always_fails_stops_no_other(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its attempts it has no slot, even where there is one slot alone."""
    world = World(client)
    poison, begin, attempts = world.fakes.accepted(), world.fakes.jobs.begin, asyncio.Semaphore(0)

    async def broken(job_id: UUID) -> Job:
        if job_id != poison.id:
            return await begin(job_id)
        attempts.release()
        raise ValueError

    monkeypatch.setattr(world.fakes.jobs, "begin", broken)
    async with serving(world, Fleet(slots=Slots(ledger=1, media=1))):
        assert await start.start(client, poison)
        await attempts.acquire()
        await world.begin()
        await ended(world, State.SUCCEEDED, COMPLETED)
        await attempts.acquire()
    assert world.fakes.jobs.rows[poison.id].job.state is State.QUEUED
    await client.get_workflow_handle(workflow_id(poison.id)).terminate()


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


async def test_a_worker_that_is_told_to_stop_while_it_starts_ends(client: Client) -> None:
    stop = asyncio.Event()
    stop.set()
    service = asyncio.create_task(serve(client, parts_of(World(client).fakes), EVERYTHING, stop))
    done, _ = await asyncio.wait({service}, timeout=60)
    service.cancel()
    assert done == {service}
    await service


async def has_acted(schedule: ScheduleHandle) -> bool:
    return bool((await schedule.describe()).info.recent_actions)


async def test_maintenance_runs_on_a_schedule(client: Client) -> None:
    world = World(client)
    await ensure_schedules(client)
    await ensure_schedules(client)
    schedule = client.get_schedule_handle(SCHEDULE_ID)
    async with serving(world):
        await schedule.trigger()
        await until(lambda: has_acted(schedule))
        action = (await schedule.describe()).info.recent_actions[-1].action
        assert isinstance(action, ScheduleActionExecutionStartWorkflow)
        handle = client.get_workflow_handle(action.workflow_id, result_type=Maintained)
        assert await handle.result() == Maintained(
            started=0, closed=0, swept=0, forgotten=0, recovered=0, expired=0, orphaned=0
        )
    await schedule.delete()


class Line:
    """A connection to the server that can be cut."""

    def __init__(self, address: str) -> None:
        self._host, self._port = address.split(":")
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self.port = ports.free()

    async def up(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._host, int(self._port))
        self._ends |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(65536):
                writer.write(chunk)
        writer.transport.abort()


async def test_it_waits_for_temporal_and_survives_its_absence(client: Client, dev_server: str) -> None:
    world, line, stop, faults = World(client), Line(dev_server), asyncio.Event(), FaultLines()
    where = f"127.0.0.1:{line.port}"
    temporal = Temporal(Address(where), converter(KEYRING), faults=faults)

    async def reported(what: str) -> bool:
        return f"{where}: {what}" in faults.lines

    fleet = Fleet(queues=["media-image", LEDGER])
    running = asyncio.create_task(run(temporal, parts_of(world.fakes), fleet, stop))
    await until(lambda: reported("Temporal does not answer"))
    await line.up()
    await world.begin()
    gate = world.script.hold("provider.poll")
    await gate.reached.wait()
    await line.cut()
    gate.open.set()
    await line.up()
    await ended(world, State.SUCCEEDED, COMPLETED)
    stop.set()
    await running
    await line.cut()
    assert await reported("mended")
