"""A list of the workflows of jobs has jobs alone: the rounds of maintenance are in a namespace of their own."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from domain.ids import workflow_id
from domain.namespaces import of_maintenance
from tests.support.media_stack import World, embedded, maintenance_of, temporal_of, triggered, until
from tests.support.stack import Stack
from workflows import audit, grants, maintenance
from workflows.maintenance import MaintenanceWorkflow
from workflows.options import MAINTENANCE

OURS = (maintenance.SCHEDULE_ID, audit.SCHEDULE_ID, grants.SCHEDULE_ID)


async def _of_the_release_before(jobs: Client) -> None:
    """Have its schedules, and one round that runs, in the namespace of the jobs."""
    await maintenance.ensure_schedules(jobs, every=timedelta(hours=1))
    await audit.ensure_schedule(jobs, every=timedelta(hours=1))
    await grants.ensure_schedule(jobs, every=timedelta(hours=1))
    await jobs.start_workflow(MaintenanceWorkflow.run, id="an-old-round", task_queue=MAINTENANCE)


async def _scheduled(client: Client) -> set[str]:
    return {listed.id async for listed in await client.list_schedules()} & set(OURS)


async def test_after_some_rounds_the_jobs_namespace_has_jobs_alone(tmp_path: Path) -> None:
    async with embedded(tmp_path) as (postgres, server):
        jobs = await temporal_of(server)
        upkeep = await maintenance_of(jobs)
        await _of_the_release_before(jobs)
        stack = Stack.on(postgres, tmp_path / "state", server.address)
        with stack.running("worker"), stack.running("api"):
            async with World.of(stack) as world:
                customer = await world.customer()
                job = await customer.ordered("image", model="demo-image", prompt="dawn", size="64x64")
                await customer.ended(job)

                async def rounds() -> bool:
                    await triggered(jobs)
                    done = [one.workflow_type async for one in upkeep.list_workflows("ExecutionStatus = 'Completed'")]
                    return done.count("MaintenanceWorkflow") >= 3

                await until(rounds, "three rounds of maintenance", every=0.5)
        running = [one.id async for one in jobs.list_workflows("ExecutionStatus = 'Running'")]
        assert running == []
        old = await jobs.get_workflow_handle("an-old-round").describe()
        assert old.status is WorkflowExecutionStatus.TERMINATED
        assert {one.id async for one in jobs.list_workflows()} == {workflow_id(UUID(job["job_uuid"])), "an-old-round"}
        assert [await _scheduled(client) for client in (jobs, upkeep)] == [set(), set(OURS)]


@pytest.mark.parametrize(
    ("jobs", "upkeep"),
    [("default", "yout-maintenance"), ("ai", "ai-maintenance"), ("ai.a1b2c", "ai-maintenance.a1b2c")],
)
def test_the_namespace_follows_that_of_the_jobs(jobs: str, upkeep: str) -> None:
    assert of_maintenance(jobs) == upkeep
