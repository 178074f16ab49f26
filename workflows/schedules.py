"""Temporal Schedules. The first process creates them; each later start updates them."""

from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleDescription,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from temporal import rounds


async def ensure(client: Client, name: str, action: ScheduleActionStartWorkflow, *, every: timedelta) -> None:
    """Create or update the schedule. Idempotent, also from several processes at once."""
    schedule = Schedule(
        action=action,
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=every),
    )
    try:
        await client.create_schedule(name, schedule)
    except ScheduleAlreadyRunningError:
        described = await client.get_schedule_handle(name).describe()
        if not await rounds.opens(client, described):
            await _replace(client, described, schedule)
        await client.get_schedule_handle(name).update(lambda before: _updated(before, schedule))


async def _replace(client: Client, described: ScheduleDescription, schedule: Schedule) -> None:
    """Make the schedule anew, in its state, without what its last round left: no round could begin with that.

    Rounds that wait for it end; the next one finds all that they had to do.
    """
    await _gone(client.get_schedule_handle(described.id).delete())
    for running in described.info.running_actions:
        assert isinstance(running, ScheduleActionExecutionStartWorkflow)  # noqa: S101  # there is no other kind
        handle = client.get_workflow_handle(running.workflow_id, first_execution_run_id=running.first_execution_run_id)
        await _gone(handle.terminate("its master secret is not here any more"))
    with suppress(ScheduleAlreadyRunningError):  # by another worker that starts
        await client.create_schedule(described.id, replace(schedule, state=described.schedule.state))


def _updated(before: ScheduleUpdateInput, schedule: Schedule) -> ScheduleUpdate:
    """Keep the schedule's state, so that a schedule which an operator has paused stays paused."""
    schedule.state = before.description.schedule.state
    return ScheduleUpdate(schedule)


async def remove(client: Client, names: Sequence[str], task_queue: str) -> None:
    """Remove schedules that are elsewhere now, and end the rounds on their queue, which nobody serves here any more."""
    for name in names:
        await _gone(client.get_schedule_handle(name).delete())
    running = f"TaskQueue = '{task_queue}' AND ExecutionStatus = 'Running'"
    async for execution in client.list_workflows(running):
        await _gone(
            client.get_workflow_handle(execution.id, run_id=execution.run_id).terminate("maintenance has moved")
        )


async def _gone(removal: Awaitable[None]) -> None:
    """Remove what may have ended meanwhile."""
    try:
        await removal
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
