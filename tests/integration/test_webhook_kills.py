"""Webhooks while processes are killed with SIGKILL, while Temporal is away, and while their receiver is."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from signal import SIGKILL
from uuid import UUID

import pytest
import pytest_asyncio
from standardwebhooks import Webhook
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from dev import ports
from dev.temporal import EmbeddedTemporal
from domain.ids import workflow_id
from tests.support.doubles.webhook_receiver import Received, Receiver, receiving
from tests.support.fork_server import Process
from tests.support.media_stack import Customer, Job, World, crash, embedded, temporal_of, triggered, until
from tests.support.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")
DELIVERIES = (
    "SELECT state, started_at IS NULL, jsonb_array_length(attempts) FROM webhook_deliveries WHERE account_id = %s"
)
SENDING = {"YOUT_WORKER_QUEUES": "webhooks"}


@dataclass(slots=True)
class Site:
    world: World
    stack: Stack
    temporal: EmbeddedTemporal
    receiver: Receiver

    async def delivery(self, customer: Customer) -> tuple[str, bool, int]:
        """Of the one delivery to its account: the state, whether no workflow was started for it, its attempts."""
        ((state, waiting, attempts),) = await self.world.rows(DELIVERIES, customer.account_id)
        return state, waiting, attempts

    async def delivered(self, customer: Customer) -> None:
        async def ended() -> bool:
            return (await self.delivery(customer))[0] == "delivered"

        await until(ended, "the delivery to end")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("webhook-kills")
    async with embedded(folder) as (postgres, server), receiving() as receiver:
        more = {"YOUT_SHUTDOWN_TIMEOUT": "1", "YOUT_WEBHOOKS_ALLOW_LOOPBACK": "true"}
        stack = Stack.on(postgres, folder / "state", server.address, extra=more)
        async with World.of(stack) as world:
            yield Site(world, stack, server, receiver)


async def registered(customer: Customer, url: str) -> dict[str, str]:
    answer = await customer.http.post("/api/webhooks/", json={"url": url})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def send_test(customer: Customer, endpoint: dict[str, str]) -> None:
    answer = await customer.http.post(f"/api/webhooks/{endpoint['id']}/test/")
    assert answer.status_code == 202, answer.text


async def started(temporal: Client, job: Job) -> bool:
    try:
        await temporal.get_workflow_handle(workflow_id(UUID(job["job_uuid"]))).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


def kill(process: Process) -> None:
    process.send_signal(SIGKILL)
    assert process.wait() == -SIGKILL


def event(received: Received, endpoint: dict[str, str]) -> str:
    return str(Webhook(endpoint["secret"]).verify(received.body, received.headers)["type"])


async def test_a_worker_dies_when_the_end_of_a_job_is_committed_and_no_api_is_there(site: Site) -> None:
    """The schedule of maintenance starts the delivery."""
    customer, temporal = await site.world.customer(), await temporal_of(site.temporal)
    with site.stack.running("api") as api:
        endpoint = await registered(customer, site.receiver.url("/200/worker"))
        job = await customer.ordered("image", model="demo-image", prompt="x", size="64x64")
        await until(lambda: started(temporal, job), "the job's workflow")
        kill(api)
    with site.stack.running("worker", {"YOUT_FAILPOINT": "succeed:after"}) as worker:

        async def dead() -> bool:
            return worker.poll() == -SIGKILL

        await until(dead, "the worker to die")
    assert await site.delivery(customer) == ("pending", True, 0)
    assert site.receiver.at("/200/worker") == []
    with site.stack.running("worker"):
        await until(lambda: triggered(temporal), "the schedule")
        await site.delivered(customer)
        await site.world.ended_once(job, "succeeded")
    (received,) = site.receiver.at("/200/worker")
    assert event(received, endpoint) == "job.succeeded"


async def test_an_api_dies_when_an_event_is_committed(site: Site) -> None:
    """The next API process starts the delivery, beside a worker that has no maintenance."""
    customer = await site.world.customer()
    with site.stack.running("api") as api:
        endpoint = await registered(customer, site.receiver.url("/200/api"))
        await send_test(customer, endpoint)
        kill(api)
    assert site.receiver.at("/200/api") == []
    with site.stack.running("api"), site.stack.running("worker", SENDING):
        await site.delivered(customer)
    (received,) = site.receiver.at("/200/api")
    assert event(received, endpoint) == "webhook.test"


async def test_temporal_is_away_when_a_job_ends(site: Site) -> None:
    customer = await site.world.customer()
    with site.stack.running("api"), site.stack.running("worker"):
        endpoint = await registered(customer, site.receiver.url("/200/temporal"))
        job = await customer.ordered("image", model="demo-image-slow", prompt="x [seconds=8]", size="64x64")
        await customer.in_state(job, "running")
        await crash(site.temporal)
        await send_test(customer, endpoint)
        await site.temporal.start()
        await customer.ended(job)
        await site.world.ended_once(job, "succeeded")

        async def both() -> bool:
            return len(site.receiver.at("/200/temporal")) >= 2

        await until(both, "both messages")
    received = site.receiver.at("/200/temporal")
    assert sorted(event(one, endpoint) for one in received) == ["job.succeeded", "webhook.test"]
    assert len({one.headers["webhook-id"] for one in received}) == 2


async def test_a_receiver_is_away_for_a_while(site: Site) -> None:
    customer, port = await site.world.customer(), ports.free()
    with site.stack.running("api"), site.stack.running("worker", SENDING):
        endpoint = await registered(customer, f"http://127.0.0.1:{port}/200")
        await send_test(customer, endpoint)

        async def refused() -> bool:
            return (await site.delivery(customer))[2] == 1

        await until(refused, "the first attempt")
        async with receiving(port=port) as receiver:
            await site.delivered(customer)
    (received,) = receiver.at("/200")
    assert event(received, endpoint) == "webhook.test"
    assert await site.delivery(customer) == ("delivered", False, 2)
