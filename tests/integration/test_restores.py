"""PostgreSQL restored from a backup behind Temporal's back, and the reverse: nothing happens twice, and every job ends.

The backups are copies of the servers' data while they stand still, put back as an operator would."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from temporalio.client import WorkflowExecutionStatus

from dev.postgres import EmbeddedPostgres
from dev.server import EmbeddedServer
from dev.temporal import EmbeddedTemporal
from domain.ids import workflow_id
from tests.support.media_stack import ENDED, Customer, Job, World, embedded, temporal_of, triggered, until
from tests.support.stack import Stack

PRICE = 1000
LONG_AGO = "UPDATE media_jobs SET started_at = started_at - interval '2 minutes' WHERE state = 'running'"


async def copied(source: Path, target: Path) -> None:
    """With owners and all."""
    await asyncio.to_thread(subprocess.run, ["cp", "-a", str(source), str(target)], check=True)


@dataclass(slots=True)
class Site:
    """The servers, which are backed up and restored while API and worker are stopped."""

    postgres: EmbeddedPostgres
    temporal: EmbeddedTemporal
    world: World
    customer: Customer
    api: ExitStack
    worker: ExitStack

    def serve(self) -> None:
        self.worker.enter_context(self.world.stack.running("worker"))
        self.api.enter_context(self.world.stack.running("api"))

    def work(self) -> None:
        self.worker.enter_context(self.world.stack.running("worker"))

    async def rest(self) -> None:
        """The worker stops; the API goes on."""
        await asyncio.to_thread(self.worker.close)

    async def stop(self) -> None:
        await asyncio.gather(self.rest(), asyncio.to_thread(self.api.close))

    async def backed_up(self, server: EmbeddedServer) -> Path:
        backup = server.folder.with_name(f"{server.folder.name}-backup")
        await server.stop()
        await copied(server.folder, backup)
        await server.start()
        return backup

    async def restored(self, server: EmbeddedServer, backup: Path | None) -> None:
        """None: all is lost."""
        await server.stop()
        shutil.rmtree(server.folder)
        if backup is not None:
            await copied(backup, server.folder)
        await server.start()

    async def ordered(self, seconds: float) -> Job:
        prompt = f"dusk [seconds={seconds:g}]"
        return await self.customer.ordered("image", model="demo-image-slow", prompt=prompt, size="64x64")

    async def at_provider(self, job: Job) -> None:
        query = "SELECT id FROM media_jobs WHERE id = %s AND provider_job_id IS NOT NULL"
        await until(lambda: self.world.rows(query, UUID(job["job_uuid"])), "the job to be at its provider")

    async def maintained(self) -> None:
        """Rounds of the schedule, until every job has ended."""
        await self.world.rows(LONG_AGO)
        client = await temporal_of(self.temporal)

        async def over() -> bool:
            await triggered(client)
            return not await self.world.rows("SELECT id FROM media_jobs WHERE state IN ('queued', 'running')")

        await until(over, "every job to end", every=1)

    async def charged(self) -> int:
        """What the customer has paid, after all was proven: one end each, one submission each, clean books."""
        jobs = await self.world.rows("SELECT id, state FROM media_jobs")
        for job_id, state in jobs:
            assert state in ENDED
            assert await self.world.movements(str(job_id)) == ["hold", "charge" if state == "succeeded" else "release"]
        submitted = [submission.reference for submission in self.world.submissions()]
        assert len(submitted) == len(set(submitted))
        await self.world.books_are_clean()
        available, held = await self.customer.balance()
        assert held == 0
        paid = self.customer.opening - available
        assert paid == PRICE * sum(state == "succeeded" for _, state in jobs)
        return paid

    async def states(self, *jobs: Job) -> list[str]:
        rows = dict(await self.world.rows("SELECT id, state FROM media_jobs"))
        return [rows.get(UUID(job["job_uuid"]), "gone") for job in jobs]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with embedded(tmp_path) as (postgres, temporal):
        stack = Stack.on(postgres, tmp_path / "state", temporal.address, extra={"YOUT_SHUTDOWN_TIMEOUT": "1"})
        async with World.of(stack) as world:
            with ExitStack() as api, ExitStack() as worker:
                yield Site(postgres, temporal, world, await world.customer(), api, worker)


async def test_postgres_is_restored_behind_temporal(site: Site) -> None:
    site.serve()
    before = await site.ordered(0.5)
    await site.customer.ended(before)
    submitted = await site.ordered(6)  # it runs until the worker has stopped
    await site.at_provider(submitted)
    await site.rest()
    queued, going_on = await site.ordered(0.5), await site.ordered(20)  # that one until all are stopped
    assert await site.states(before, submitted, queued, going_on) == ["succeeded", "running", "queued", "queued"]
    backup = await site.backed_up(site.postgres)

    site.work()
    for job in (submitted, queued):
        assert (await site.customer.ended(job))["status"] == "succeeded"
    unfinished = await site.ordered(20)
    for job in (going_on, unfinished):
        await site.at_provider(job)
    await site.stop()

    await site.restored(site.postgres, backup)
    site.serve()
    await site.maintained()
    states = await site.states(before, submitted, queued, going_on, unfinished)
    assert states == ["succeeded", "failed", "failed", "succeeded", "gone"]
    assert await site.charged() == 2 * PRICE
    client = await temporal_of(site.temporal)
    handle = client.get_workflow_handle(workflow_id(UUID(unfinished["job_uuid"])))

    async def given_up() -> bool:
        return (await handle.describe()).status is WorkflowExecutionStatus.FAILED

    await until(given_up, "the workflow of a job that is gone to give up")


@pytest.mark.parametrize("lost", [False, True], ids=["older", "empty"])
async def test_temporal_is_restored_behind_postgres(site: Site, lost: bool) -> None:
    site.serve()
    watched = await site.ordered(3)
    await site.at_provider(watched)
    await site.rest()
    backup = await site.backed_up(site.temporal)

    site.work()
    running = await site.ordered(12)
    assert (await site.customer.ended(watched))["status"] == "succeeded"
    await site.at_provider(running)
    await site.rest()
    queued = await site.ordered(0.5)

    await site.restored(site.temporal, None if lost else backup)
    site.work()
    await site.maintained()
    assert await site.states(watched, running, queued) == ["succeeded"] * 3
    assert await site.charged() == 3 * PRICE
