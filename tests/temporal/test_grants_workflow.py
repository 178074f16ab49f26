"""The round of plans: batch after batch, on a schedule, and after months in which nobody gave anything."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, ScheduleHandle
from temporalio.testing import WorkflowEnvironment

from activities.payloads import Granted
from db.engine import Database
from db.writer import LedgerWriter
from domain.errors import ServiceUnavailable
from gateway import plans
from gateway.plans import Batch
from tests.support.shop import OFFERS, Shop
from tests.support.stack import eventually
from tests.support.temporal.fakes import Fakes
from tests.support.temporal.fleet import maintaining
from workflows.grants import SCHEDULE_ID, GrantsWorkflow, ensure_schedule
from workflows.options import MAINTENANCE


async def round_of(client: Client, fakes: Fakes) -> Granted:
    async with maintaining(client, fakes):
        return await client.execute_workflow(GrantsWorkflow.run, id=str(uuid4()), task_queue=MAINTENANCE)


async def test_every_batch_begins_where_the_one_before_ended(client: Client) -> None:
    fakes = Fakes()
    fakes.plans.batches = [500, 499, 1]
    assert await round_of(client, fakes) == Granted(given=1000)
    second, third = (datetime(2026, 1, number, tzinfo=UTC) for number in (1, 2))
    assert fakes.plans.pages == [None, (second, UUID(int=1)), (third, UUID(int=2))]
    assert fakes.script.calls.count("plans.collect") == 1


async def test_a_database_that_is_away_is_waited_for(client: Client) -> None:
    fakes = Fakes()
    fakes.plans.batches = [7]
    fakes.script.fail("plans.give", ServiceUnavailable())
    assert await round_of(client, fakes) == Granted(given=7)


async def test_it_runs_on_a_schedule_that_is_made_once(client: Client) -> None:
    await ensure_schedule(client)
    await ensure_schedule(client)
    schedule = client.get_schedule_handle(SCHEDULE_ID)
    async with maintaining(client, Fakes()):
        await schedule.trigger()
        await eventually(lambda: _has_acted(schedule))
        action = (await schedule.describe()).info.recent_actions[-1].action
        assert isinstance(action, ScheduleActionExecutionStartWorkflow)
        handle = client.get_workflow_handle(action.workflow_id, result_type=Granted)
        assert await handle.result() == Granted(given=0)
    await schedule.delete()


async def _has_acted(schedule: ScheduleHandle) -> bool:
    return bool((await schedule.describe()).info.recent_actions)


class AtTheServersTime:
    """The plans of a shop, at the time of a server that skips it."""

    def __init__(self, shop: Shop, environment: WorkflowEnvironment) -> None:
        self._shop, self._environment = shop, environment

    async def give(self, after: tuple[datetime, UUID] | None) -> Batch:
        return await self._shop.grants.give(after, await self._environment.get_current_time())

    async def collect(self) -> int:
        return await self._shop.grants.collect()


async def test_months_that_were_missed_are_given_once(
    skipping: WorkflowEnvironment, database: Database, app_url: str
) -> None:
    fakes = Fakes()
    async with LedgerWriter(app_url) as ledger:
        shop = Shop(database, ledger)
        fakes.plans = AtTheServersTime(shop, skipping)  # type: ignore[assignment]
        owners = [await shop.account() for _ in range(3)]
        for owner in owners:
            async with database.transaction() as session:
                await plans.start(session, OFFERS, owner.account_id, "pro")
        with skipping.auto_time_skipping_disabled():
            assert await round_of(skipping.client, fakes) == Granted(given=0)
        await skipping.sleep(timedelta(days=95))
        with skipping.auto_time_skipping_disabled():
            assert await round_of(skipping.client, fakes) == Granted(given=3)
            assert await round_of(skipping.client, fakes) == Granted(given=0)
        assert [await shop.available(owner) for owner in owners] == [4_000_000] * 3
        assert await shop.audited() == {}
