"""A schedule gives each round the result of the one before. Rounds go on where the secret that encrypted it is lost."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, ScheduleHandle, WorkflowHandle

from activities.payloads import Granted
from temporal.client import Address, connect, converter
from temporal.codec import Keyring
from tests.support.stack import eventually
from tests.support.temporal.fakes import Fakes
from tests.support.temporal.fleet import maintaining
from workflows.grants import SCHEDULE_ID, GrantsWorkflow, ensure_schedule

BEFORE, NOW = "the secret of before, for tests, and long enough", "the secret of now, for tests, and long enough"
SELDOM = timedelta(days=300)
"""No round begins by itself during a test."""


async def connected(address: str, *secrets: str) -> Client:
    return await connect(Address(address), converter(Keyring.derived(secrets[0], secrets[1:])))


async def ended(handle: WorkflowHandle[GrantsWorkflow, Granted]) -> Granted:
    """A round that cannot read what it is given waits, and does not fail."""
    return await asyncio.wait_for(handle.result(), timeout=60)


async def begun(client: Client) -> WorkflowHandle[GrantsWorkflow, Granted]:
    """Trigger a round, and return it."""
    schedule = client.get_schedule_handle(SCHEDULE_ID)
    before = await _rounds(schedule)
    await schedule.trigger()

    async def new() -> list[ScheduleActionExecutionStartWorkflow]:
        return [one for one in await _rounds(schedule) if one not in before]

    (action,) = await eventually(new)
    return client.get_workflow_handle_for(GrantsWorkflow.run, action.workflow_id, run_id=action.first_execution_run_id)


async def _rounds(schedule: ScheduleHandle) -> list[ScheduleActionExecutionStartWorkflow]:
    actions = [recent.action for recent in (await schedule.describe()).info.recent_actions]
    return [action for action in actions if isinstance(action, ScheduleActionExecutionStartWorkflow)]


@pytest.mark.parametrize("waits", [False, True], ids=["between rounds", "a round waits for the secret"])
async def test_rounds_go_on_with_another_secret_once_a_worker_has_started(dev_server: str, waits: bool) -> None:
    before, now = await connected(dev_server, BEFORE), await connected(dev_server, NOW)
    await ensure_schedule(before, every=SELDOM)
    async with maintaining(before, Fakes()):
        assert await ended(await begun(before)) == Granted(given=0)
    stuck = await begun(before) if waits else None
    await before.get_schedule_handle(SCHEDULE_ID).pause(note="by an operator")
    await ensure_schedule(now, every=SELDOM)
    async with maintaining(now, Fakes()):
        assert await ended(await begun(now)) == Granted(given=0)
    schedule = now.get_schedule_handle(SCHEDULE_ID)
    assert (await schedule.describe()).schedule.state.note == "by an operator"
    await schedule.delete()
    assert stuck is None or (await stuck.describe()).close_time is not None


async def test_a_rotation_keeps_the_schedule(dev_server: str) -> None:
    before, now = await connected(dev_server, BEFORE), await connected(dev_server, NOW, BEFORE)
    await ensure_schedule(before, every=SELDOM)
    async with maintaining(before, Fakes()):
        await ended(await begun(before))
    schedule = now.get_schedule_handle(SCHEDULE_ID)
    made = (await schedule.describe()).info.created_at
    await ensure_schedule(now, every=SELDOM)
    assert (await schedule.describe()).info.created_at == made
    await schedule.delete()
