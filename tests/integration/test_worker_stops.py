"""Workers that are told to stop in the middle of a step, and workers of two builds side by side."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from signal import SIGCONT, SIGTERM

import pytest
import pytest_asyncio

from tests.support.fork_server import Process
from tests.support.media_stack import Customer, Job, World, embedded, until
from tests.support.stack import ROOT, Stack, end
from workflows.options import LEDGER

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRICE = 1000
IMAGES = {"YOUT_WORKER_QUEUES": f"media-image,{LEDGER}"}
NOT_CODE = shutil.ignore_patterns(".*", "tests", "docs", "bench", "build", "*.egg-info", "__pycache__", "node_modules")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """An API without workers."""
    folder = tmp_path_factory.mktemp("stops")
    async with embedded(folder) as (postgres, temporal), AsyncExitStack() as alive:
        stack = Stack.on(postgres, folder / "state", temporal.address, extra={"YOUT_SHUTDOWN_TIMEOUT": "5"})
        alive.enter_context(stack.running("api"))
        yield await alive.enter_async_context(World.of(stack))


async def ordered(customer: Customer, model: str, prompt: str = "dusk") -> Job:
    return await customer.ordered("image", model=model, prompt=prompt, size="64x64")


async def succeed(world: World, customer: Customer, jobs: list[Job]) -> None:
    """Wait until all have succeeded, each with one submission and one charge."""
    for job in jobs:
        assert (await customer.ended(job))["status"] == "succeeded"
        await world.ended_once(job, "succeeded")
    assert await customer.balance() == (customer.opening - PRICE * len(jobs), 0)


def is_frozen(process: Process) -> bool:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


async def frozen(process: Process) -> None:
    async def it_is() -> bool:
        return is_frozen(process)

    await until(it_is, "the worker to freeze")


async def test_a_job_whose_workers_are_all_told_to_stop_in_the_middle_of_a_step(world: World) -> None:
    """Each ends in good order, and the next goes on. The job was submitted once, and is charged once."""
    customer = await world.customer()
    job = await ordered(customer, "demo-image")
    for moment in ("submit:between", "poll:before", "copy:between", "succeed:after"):
        with world.stack.running("worker", IMAGES | {"YOUT_FAILPOINT": f"freeze:{moment}"}) as process:
            await frozen(process)
            os.kill(process.pid, SIGTERM)
            os.kill(process.pid, SIGCONT)
            assert await asyncio.to_thread(process.wait, 60) == 0
    with world.stack.running("worker", IMAGES):
        await succeed(world, customer, [job])


def builds(log: str) -> list[str]:
    return re.findall(r"build ([0-9a-f]{12})", log)


@contextmanager
def of_another_build(stack: Stack, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker whose code of a workflow is not the same, byte for byte."""
    shutil.copytree(ROOT, folder, ignore=NOT_CODE)
    with (folder / "workflows" / "media.py").open("a") as source:
        source.write("\n# The release before.\n")
    with (folder / "worker.log").open("ab") as log:
        command = [sys.executable, "-m", "worker"]
        env = stack.environment | IMAGES | {"PYTHONDONTWRITEBYTECODE": "1"}
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
    try:
        yield process
    finally:
        end(process)


async def test_a_rolling_deploy_with_jobs_in_flight(world: World, tmp_path: Path) -> None:
    """Jobs begin on the old build, run while both are there, and end on the new one."""
    customer, before = await world.customer(), len(builds(world.stack.log("worker")))
    with of_another_build(world.stack, tmp_path / "before") as old:
        jobs = [await ordered(customer, "demo-image-slow", "dusk [seconds=8]") for _ in range(3)]
        for job in jobs:
            await customer.in_state(job, "running")
        with world.stack.running("worker", IMAGES):
            await until(lambda: served(world, before), "the new worker")
            jobs += [await ordered(customer, "demo-image") for _ in range(3)]
            old.terminate()
            assert await asyncio.to_thread(old.wait, 60) == 0
            jobs += [await ordered(customer, "demo-image") for _ in range(2)]
            await succeed(world, customer, jobs)
    (was,), (now, *_) = builds((tmp_path / "before" / "worker.log").read_text()), builds(world.stack.log("worker"))
    assert was != now
    await world.books_are_clean()


async def served(world: World, before: int) -> bool:
    return len(builds(world.stack.log("worker"))) > before
