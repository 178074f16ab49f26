"""The delivery of a webhook over days, with skipped time; and workers and servers that go away meanwhile."""

from datetime import timedelta
from uuid import uuid4

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from activities.payloads import DeliveryResult
from domain.errors import ServiceUnavailable
from domain.ids import delivery_workflow_id
from domain.webhooks import PAUSES, DeliveryKey
from tests.support.temporal.fake_deliveries import FakeStep
from tests.support.temporal.fakes import Fakes
from tests.support.temporal.fleet import delivering
from workflows.start import start_delivery


async def test_it_waits_as_each_attempt_says_for_three_days(skipping: WorkflowEnvironment) -> None:
    fakes, delivery = Fakes(), DeliveryKey(uuid4(), uuid4(), 3)
    fakes.deliveries.steps = [*(FakeStep("pending", pause) for pause in PAUSES[1:]), FakeStep("failed")]
    async with delivering(skipping.client, fakes):
        await start_delivery(skipping.client, delivery)
        await skipping.sleep(timedelta(hours=53))
        assert len(fakes.deliveries.attempts) == len(PAUSES) - 1
        await skipping.sleep(timedelta(hours=25))
        name = delivery_workflow_id(delivery.id, 3)
        result = await skipping.client.get_workflow_handle(name, result_type=DeliveryResult).result()
    assert result.state == "failed"
    assert fakes.deliveries.attempts == [(delivery.id, 3)] * len(PAUSES)


async def test_a_start_that_is_repeated_joins_the_run_and_a_lost_run_begins_anew(client: Client) -> None:
    fakes, delivery = Fakes(), DeliveryKey(uuid4(), uuid4(), 0)
    fakes.deliveries.steps = [FakeStep("pending", timedelta(hours=1))]
    handle = client.get_workflow_handle(delivery_workflow_id(delivery.id, 0), result_type=DeliveryResult)
    async with delivering(client, fakes):
        for _ in range(3):
            await start_delivery(client, delivery)
        await fakes.deliveries.attempted.wait()  # or the second run would be the first to attempt, and wait an hour
        first = (await handle.describe()).run_id
        await handle.terminate("an operator's fault")
        await start_delivery(client, delivery)
        assert (await handle.result()).state == "delivered"
    assert (await handle.describe()).run_id != first


async def test_a_database_that_is_away_is_waited_for(client: Client) -> None:
    fakes, delivery = Fakes(), DeliveryKey(uuid4(), uuid4(), 0)
    fakes.script.fail("deliveries.attempt", ServiceUnavailable())
    async with delivering(client, fakes):
        await start_delivery(client, delivery)
        handle = client.get_workflow_handle(delivery_workflow_id(delivery.id, 0), result_type=DeliveryResult)
        assert (await handle.result()).state == "delivered"
