"""Workers that are frozen in the middle of a job, and wake when a purge has erased it: they leave nothing behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from signal import SIGCONT

import pytest
import pytest_asyncio

from providers.demo.spool import Spool
from storage import probe
from tests.support.fork_server import Process
from tests.support.media_stack import Customer, World, embedded, until
from tests.support.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAIT_SECONDS = 5.0
"""Seconds that a provider takes to delete."""
OF_JOBS = """
    SELECT (SELECT count(*) FROM media_jobs), (SELECT count(*) FROM job_inputs), (SELECT count(*) FROM usage),
           (SELECT count(*) FROM transactions WHERE hold_id IS NOT NULL),
           (SELECT count(*) FROM holds WHERE state <> 'erased')
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("purge-frozen")
    async with AsyncExitStack() as opened:
        postgres, server = await opened.enter_async_context(embedded(folder))
        stack = Stack.on(postgres, folder / "state", server.address, extra={"YOUT_SHUTDOWN_TIMEOUT": "3"})
        opened.enter_context(stack.running("api"))
        opened.enter_context(stack.running("worker", serving("ledger", "purge")))
        yield await opened.enter_async_context(World.of(stack))


def serving(*queues: str) -> dict[str, str]:
    return {"YOUT_WORKER_QUEUES": ",".join(queues)}


def freezing(moment: str) -> dict[str, str]:
    return {"YOUT_FAILPOINT": f"freeze:{moment}"}


def is_frozen(process: Process) -> bool:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


async def frozen(*processes: Process) -> None:
    async def are() -> bool:
        return all(map(is_frozen, processes))

    await until(are, "the workers to freeze")


async def purged(customer: Customer, **body: object) -> None:
    answer = await customer.http.post("/api/chat/purge/", json={"confirm": "erase"} | body)
    assert answer.status_code == 202, answer.text

    async def is_completed() -> bool:
        view = (await customer.http.get(f"/api/chat/purge/{answer.json()['purge_id']}/")).json()
        return bool(view["status"] == "completed")

    await until(is_completed, "a purge to complete")


def outputs(world: World) -> list[Path]:
    """What our storage and the provider have made of any job."""
    state = world.stack.state.resolve()
    accounts = [folder for folder in (state / "media").iterdir() if folder.name != probe.PREFIX]  # no job's
    ours = [path for folder in accounts for path in folder.rglob("*") if path.is_file()]
    spool = Spool(state / "demo")
    theirs = [spool.path(job, file) for job in spool.submissions() for file in job.files]
    return ours + [path for path in theirs if path.exists()]


@pytest.mark.timeout(400)
async def test_what_wakes_after_a_purge_leaves_nothing(world: World) -> None:
    """One has handed its job to the provider, the other has copied the first of two images."""
    stack, customers = world.stack, [await world.customer() for _ in range(2)]
    with (
        stack.running("worker", serving("media-speech") | freezing("submit:between")) as submitting,
        stack.running("worker", serving("media-image") | freezing("copy:between")) as copying,
    ):
        await customers[0].ordered("speech", model="demo-speech", input="an owl")
        await customers[1].ordered("image", model="demo-image", prompt="an owl", size="64x64", n=2)
        await frozen(submitting, copying)
        with stack.running("worker", serving("media-speech", "media-image")):
            await asyncio.gather(*map(purged, customers))
        balances = [await customer.balance() for customer in customers]
        assert await world.rows(OF_JOBS) == [(0, 0, 0, 0, 0)]
        for worker in (submitting, copying):
            worker.send_signal(SIGCONT)
            worker.terminate()  # what runs comes to its end
            await asyncio.to_thread(worker.wait, 60)
    assert await world.rows(OF_JOBS) == [(0, 0, 0, 0, 0)]
    assert not outputs(world)
    assert [await customer.balance() for customer in customers] == balances
    await world.books_are_clean()


@pytest.mark.timeout(400)
async def test_a_purge_waits_until_a_providers_copy_is_deleted(world: World) -> None:
    """The jobs have ended well, and the workers that delete at the provider take their time."""
    stack, ann = world.stack, await world.customer()
    with (
        stack.running("worker", serving("media-image") | freezing("discard:before")) as image,
        stack.running("worker", serving("media-speech") | freezing("discard:before")) as speech,
    ):
        await ann.ended(await ann.ordered("image", model="demo-image", prompt="an owl", size="64x64"))
        job = await ann.ended(await ann.ordered("speech", model="demo-speech", input="an owl"))
        await frozen(image, speech)
        assert len(outputs(world)) == 4, "ours and the provider's"
        purging = [asyncio.create_task(purged(ann, only={"job": job["job_uuid"]})), asyncio.create_task(purged(ann))]
        await asyncio.wait(purging, timeout=WAIT_SECONDS)
        for worker in (image, speech):
            worker.send_signal(SIGCONT)
        await asyncio.gather(*purging)
        assert not outputs(world)
    await world.books_are_clean()
