"""Fleets of real worker processes: what waits for one that is stopped is counted, and what each serves."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from dev.temporal import EmbeddedTemporal
from domain.task_queues import Tasks
from tests.support import fork_server
from tests.support.media_stack import Customer, Job, World, embedded, until
from tests.support.stack import AWAY, ROOT, Stack, end
from workflows.options import LEDGER, QUEUES

pytestmark = pytest.mark.asyncio(loop_scope="module")

JOBS = 3
Figures = dict[tuple[str, str], float]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[World, EmbeddedTemporal]]:
    """An API without workers."""
    folder = tmp_path_factory.mktemp("fleets")
    async with embedded(folder) as (postgres, temporal), AsyncExitStack() as alive:
        stack = Stack.on(postgres, folder / "state", temporal.address)
        alive.enter_context(stack.running("api"))
        yield await alive.enter_async_context(World.of(stack)), temporal


@pytest.fixture
def world(server: tuple[World, EmbeddedTemporal]) -> World:
    return server[0]


async def figures(world: World) -> Figures:
    """Each figure by its name and its labels' values."""
    async with httpx2.AsyncClient(base_url=world.stack.url, timeout=60) as http:
        text = (await http.get("/metrics")).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, "/".join(sample.labels.values())): sample.value for sample in samples}


async def until_shown(world: World, expected: Figures) -> None:
    """Wait until the figures are there: Temporal counts what waits and who polls in its own time."""

    async def there() -> bool:
        return expected.items() <= (await figures(world)).items()

    await until(there, f"{expected}")


def backlog(queue: str, tasks: str, count: int) -> Figures:
    return {("yout_task_queue_backlog", f"{queue}/{tasks}"): count}


def workers(queue: str, tasks: str, count: int) -> Figures:
    return {("yout_task_queue_workers", f"{queue}/{tasks}"): count}


async def ordered(customer: Customer, count: int = JOBS) -> list[Job]:
    body = {"model": "demo-image", "prompt": "dusk", "size": "64x64"}
    return [await customer.ordered("image", **body) for _ in range(count)]


async def held_after_success(world: World, customer: Customer, jobs: list[Job]) -> int:
    """Wait until all have succeeded, each with one submission and one charge. Return the credits held then."""
    for job in jobs:
        assert (await customer.ended(job))["status"] == "succeeded"
        await world.ended_once(job, "succeeded")
    return (await customer.balance())[1]


async def test_what_waits_for_a_stopped_fleet_is_counted(world: World) -> None:
    customer = await world.customer()
    jobs = await ordered(customer)
    await until_shown(world, backlog("media-image", "workflow", JOBS) | workers("media-image", "workflow", 0))
    before = await figures(world)
    assert before["yout_jobs_queued", "image"] == JOBS
    assert before["yout_jobs_queued_age_seconds", "image"] > 0
    assert before["yout_task_queue_backlog_age_seconds", "media-image/workflow"] > 0
    with world.stack.running("worker", {"YOUT_WORKER_QUEUES": "media-image"}):
        first_steps = backlog(LEDGER, "activity", JOBS) | backlog("media-image", "workflow", 0)
        await until_shown(world, first_steps | workers("media-image", "activity", 1))
        with world.stack.running("worker", {"YOUT_WORKER_QUEUES": LEDGER}):
            assert await held_after_success(world, customer, jobs) == 0
    nothing = {name: count for queue in QUEUES for each in Tasks for name, count in backlog(queue, each, 0).items()}
    nothing |= {("yout_jobs_queued", "image"): 0, ("yout_jobs_running", "image"): 0, ("yout_temporal_up", ""): 1}
    await until_shown(world, nothing)


def without_secrets(stack: Stack) -> dict[str, str]:
    """The environment of a process that knows Temporal, and the keys of what is in it."""
    ours = ("YOUT_", "AWS_", "PG")
    rest = {name: value for name, value in os.environ.items() if not name.startswith(ours) and "KEY" not in name}
    printed = fork_server.running().finish(["cli", "secrets", "payload-keys"], stack.environment)
    assert printed.returncode == 0, printed.stderr
    return rest | {
        "YOUT_WORKER_ROLE": "workflows",
        "YOUT_TEMPORAL_ADDRESS": stack.temporal_address,
        "YOUT_TEMPORAL_PAYLOAD_KEYS": printed.stdout,
        "YOUT_STATE_DIR": str(stack.state / "of-nobody"),
    }


@contextmanager
def deciding(stack: Stack) -> Iterator[None]:
    environment = without_secrets(stack)
    with (stack.state / "deciding.log").open("ab") as log:
        command = [sys.executable, "-m", "worker"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield
            assert process.poll() is None
        finally:
            end(process)
        assert process.returncode == 0


async def test_workflows_are_decided_without_the_database_and_its_secrets(world: World) -> None:
    customer = await world.customer()
    jobs = await ordered(customer)
    with deciding(world.stack):
        await until_shown(world, backlog(LEDGER, "activity", JOBS))
        await until_shown(world, workers("webhooks", "workflow", 1) | workers("webhooks", "activity", 0))
        with world.stack.running("worker", {"YOUT_WORKER_ROLE": "activities"}):
            assert await held_after_success(world, customer, jobs) == 0


async def test_without_temporal_the_other_figures_are_there(world: World, tmp_path: Path) -> None:
    stack = Stack(world.stack.database_url, tmp_path, AWAY)
    with stack.running("api"):
        async with World.of(stack) as alone:
            shown = await figures(alone)
    assert shown["yout_temporal_up", ""] == 0
    assert shown["yout_jobs_queued", "video"] == 0
    assert not any(name.startswith("yout_task_queue") for name, _ in shown)
