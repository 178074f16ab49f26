"""Workers killed with SIGKILL at every boundary of a media job, and servers killed under running jobs.

Each death has a job, a Temporal namespace and a worker process of its own, so that all of them happen side by side:
after a death Temporal waits out its timeouts before another worker may go on.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from signal import SIGKILL
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from pydantic import SecretStr
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

import worker
from db.media_orders import Order
from dev.postgres import EmbeddedPostgres
from dev.temporal import EmbeddedTemporal
from domain import keys
from domain.caller import Payer
from domain.ids import workflow_id
from domain.media import Job as StoredJob
from domain.media import Kind, MediaRequest
from domain.pricing import FlatTerms
from fleets import Fleet, Parts
from settings import Settings
from temporal import attributes
from tests.support import fork_server, migrated
from tests.support.fork_server import Process
from tests.support.media_stack import (
    ENDED,
    Customer,
    Job,
    World,
    crash,
    embedded,
    temporal_of,
    until,
)
from tests.support.stack import SECRET, Stack, end
from wiring import Wired, open_wired
from workflows import start
from workflows.options import LEDGER, media_queue

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRICE = 1000
QUEUES = (media_queue(Kind.IMAGE), LEDGER)
STARTING = asyncio.Semaphore(4)
"""Processes that start at a time: more would only make each other slow."""
OFTEN = 0.5


@dataclass(frozen=True, slots=True)
class Death:
    """Where a worker dies, in a job of which demo model, and what becomes of the job."""

    failpoint: str
    model: str = "image"
    becomes: str = "succeeded"

    def __str__(self) -> str:
        return f"{self.becomes}-{self.failpoint.replace(':', '-')}"


def _around(*activities: str, model: str = "image", becomes: str = "succeeded") -> list[Death]:
    moments = ("before", "after")
    return [Death(f"{activity}:{moment}", model, becomes) for activity in activities for moment in moments]


# Those with the longest way back first.
DEATHS = [
    *_around("begin", "succeed", "submit", "poll", "copy"),
    *_around("end", "cancel", model="image-slow", becomes="cancelled"),
    *_around("begin", "end", "submit", model="image-fail", becomes="failed"),
    *(Death("submit:between", "image-fail", "failed"), Death("poll:before", "image-fail", "failed")),
    *(Death("submit:between"), Death("copy:between")),
    *_around("cancel", "discard", model="image-fail", becomes="failed"),
    *_around("discard", model="image-slow", becomes="cancelled"),
    *_around("discard"),
]


@dataclass(slots=True)
class Wake:
    """The deaths, and the one customer whose jobs they befall."""

    world: World
    customer: Customer
    jobs: dict[Death, asyncio.Task[UUID]]


@dataclass(slots=True)
class Hospital:
    """Everything that a death and the recovery from it need."""

    world: World
    wired: Wired
    server: EmbeddedTemporal
    customer: Customer
    over: asyncio.Event
    temporal: worker.Temporal
    parts: Parts
    recovering: list[asyncio.Task[None]]
    states: dict[UUID, tuple[str, str | None]]
    """Each job's state, and its id at the provider."""

    async def namespace(self) -> Client:
        """A new one. The server makes only so many a second."""
        name, retention = f"death-{uuid4().hex}", Duration(seconds=86400)
        request = RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=retention)
        service = (await temporal_of(self.server)).workflow_service
        await until(lambda: _permitted(service.register_namespace(request)), "a namespace")
        client = await temporal_of(self.server, name)
        await until(lambda: _permitted(attributes.ensure(client)), "its search attributes")
        return client

    async def accept(self, model: str) -> StoredJob:
        """What the API does with a POST, except that it would start the workflow in its own namespace."""
        prompt = "dusk [seconds=300]" if model == "image-slow" else "dusk"
        order = Order(
            job_id=uuid4(),
            payer=Payer(keys.digest(self.customer.token)),
            kind=Kind.IMAGE,
            model=f"demo-{model}",
            provider="demo",
            price=FlatTerms(PRICE, "v1"),
            request=MediaRequest(kind=Kind.IMAGE, model=model, prompt=prompt, parameters={"size": "64x64"}),
        )
        return (await self.wired.jobs.accept(order)).job

    async def dies(self, death: Death) -> UUID:
        """A worker has died there; then another one has brought the job to its end."""
        async with STARTING:
            client = await self.namespace()
            job = await self.accept(death.model)
            assert await start.start(client, job)
            extra = {
                "YOUT_FAILPOINT": death.failpoint,
                "YOUT_TEMPORAL_NAMESPACE": client.namespace,
                "YOUT_TEMPORAL_MAINTENANCE_NAMESPACE": client.namespace,
                "YOUT_WORKER_QUEUES": ",".join(QUEUES),
            }
            process = self.world.stack.spawn("worker", extra)
            try:
                if death.becomes == "cancelled":
                    await self._cancelled(client, job)
                await until(lambda: _ended(process), f"the worker to die at {death}")
            finally:
                end(process)
        assert process.returncode == -SIGKILL
        self.recovering.append(asyncio.create_task(self._recover(client)))
        await until(lambda: self._has_ended(job.id), f"the end of the job of {death}")
        return job.id

    async def look(self) -> None:
        """One look for all who wait, from time to time."""
        while True:
            rows = await self.world.rows("SELECT id, state, provider_job_id FROM media_jobs")
            self.states = {job_id: (state, provider_job_id) for job_id, state, provider_job_id in rows}
            await asyncio.sleep(OFTEN)

    async def _cancelled(self, client: Client, job: StoredJob) -> None:
        await until(lambda: self._is_submitted(job.id), "the job to be at its provider")
        await client.get_workflow_handle(workflow_id(job.id)).cancel()

    async def _recover(self, client: Client) -> None:
        there = replace(self.temporal, address=replace(self.temporal.address, namespace=client.namespace))
        await worker.run(there, self.parts, Fleet(queues=QUEUES), self.over)

    async def _is_submitted(self, job_id: UUID) -> bool:
        return job_id in self.states and self.states[job_id][1] is not None

    async def _has_ended(self, job_id: UUID) -> bool:
        return job_id in self.states and self.states[job_id][0] in ENDED


async def _permitted(call: Awaitable[object]) -> bool:
    try:
        await call
    except RPCError as error:
        if error.status is not RPCStatusCode.RESOURCE_EXHAUSTED:
            raise
        return False
    return True


async def _ended(process: Process) -> bool:
    return process.poll() is not None


def _settings(stack: Stack) -> Settings:
    return Settings(
        state_dir=stack.state,
        database_url=SecretStr(stack.database_url),
        temporal_address=stack.temporal_address,
        secret_key=SecretStr(SECRET),
        database_pool=8,
    )


Servers = tuple[EmbeddedPostgres, EmbeddedTemporal]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    async with embedded(tmp_path_factory.mktemp("media-kills")) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wake(servers: Servers) -> AsyncIterator[Wake]:
    """All the deaths, under way."""
    postgres, temporal = servers
    stack = Stack.on(postgres, postgres.folder.parent / "deaths", temporal.address)
    async with AsyncExitStack() as alive:
        world = await alive.enter_async_context(World.of(stack))
        wired = await alive.enter_async_context(open_wired(_settings(stack)))
        customer = await world.customer(PRICE * len(DEATHS))
        recovery = await alive.enter_async_context(worker.build(_settings(stack)))
        await asyncio.to_thread(fork_server.running)  # while nobody waits for an answer of a server yet
        hospital = Hospital(world, wired, temporal, customer, asyncio.Event(), *recovery, [], {})
        jobs = {death: asyncio.create_task(hospital.dies(death)) for death in DEATHS}
        looking = asyncio.create_task(hospital.look())
        yield Wake(world, customer, jobs)
        hospital.over.set()
        for task in (looking, *jobs.values()):
            task.cancel()
        await asyncio.gather(looking, *jobs.values(), *hospital.recovering, return_exceptions=True)


@pytest.mark.parametrize("death", DEATHS, ids=str)
async def test_a_worker_that_is_killed_costs_nobody_anything(wake: Wake, death: Death) -> None:
    """The job ends once, charged or given back, and was submitted once."""
    job_id = await wake.jobs[death]
    await wake.world.ended_once({"job_uuid": str(job_id)}, death.becomes)
    assert await wake.world.rows("SELECT state FROM media_jobs WHERE id = %s", job_id) == [(death.becomes,)]


async def test_the_books_are_clean_after_all_deaths(wake: Wake) -> None:
    await asyncio.gather(*wake.jobs.values())
    await wake.world.books_are_clean()
    query = "SELECT available, held FROM accounts WHERE id = %s"
    ((available, held),) = await wake.world.rows(query, wake.customer.account_id)
    charged = PRICE * sum(death.becomes == "succeeded" for death in DEATHS)
    assert (available, held) == (wake.customer.opening - charged, 0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(servers: Servers) -> AsyncIterator[World]:
    """An API and a worker on a database of their own, for the servers' deaths."""
    postgres, temporal = servers
    await asyncio.to_thread(migrated.clone, postgres, "site")
    more = {"YOUT_SHUTDOWN_TIMEOUT": "3"}
    stack = Stack.on(postgres, postgres.folder.parent / "site", temporal.address, database="site", extra=more)
    with stack.running("worker"):
        async with World.of(stack) as world:
            yield world


@pytest.fixture(scope="module")
def api(site: World) -> Iterator[Process]:
    with site.stack.running("api") as process:
        yield process


async def _in_all_stages(site: World, customer: Customer) -> list[Job]:
    """Jobs that their provider works on, one that it has just got, and one that nobody has touched yet."""
    slow = {"model": "demo-image-slow", "prompt": "dusk [seconds=2]", "size": "64x64"}
    quick = {"model": "demo-image", "prompt": "dusk", "size": "64x64"}
    jobs = [await customer.ordered("image", **slow) for _ in range(3)]

    async def polled() -> bool:
        return all([(await customer.job(job["job_uuid"]) or job)["progress"] for job in jobs])

    await until(polled, "progress of all")
    return [*jobs, *[await customer.ordered("image", **quick) for _ in range(3)]]


async def _succeed(site: World, customer: Customer, jobs: list[Job]) -> int:
    """Wait until all have succeeded, each with one charge. Return what they cost together."""
    for job in jobs:
        assert (await customer.ended(job))["status"] == "succeeded"
        await site.ended_once(job, "succeeded")
    available, held = await customer.balance()
    assert held == 0
    return customer.opening - available


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("victim", [0, 1], ids=["Postgres", "Temporal"])
async def test_a_server_that_is_killed_under_running_jobs(servers: Servers, site: World, victim: int) -> None:
    customer = await site.customer()
    jobs = await _in_all_stages(site, customer)
    await crash(servers[victim])
    await servers[victim].start()
    assert await _succeed(site, customer, jobs) == PRICE * len(jobs)


async def test_an_api_that_is_killed_under_polling_clients(site: World, api: Process) -> None:
    """Jobs go on without it. One that it had accepted and not started is started by the next."""
    customer = await site.customer()
    jobs = await _in_all_stages(site, customer)
    polling = asyncio.create_task(_succeed(site, customer, jobs))
    api.kill()
    api.wait()
    with site.stack.running("api"):
        assert await polling == PRICE * len(jobs)


async def test_the_books_are_clean_after_all_crashes(site: World) -> None:
    report = await asyncio.to_thread(site.stack.yout, "audit")
    assert (report["clean"], report["holds_open"], report["drift_credits"]) == (True, 0, 0)
