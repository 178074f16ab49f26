"""Temporal Schedules. The first process creates them; each later start updates them."""

from collections.abc import Sequence
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode


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
        await client.get_schedule_handle(name).update(lambda before: _updated(before, schedule))


def _updated(before: ScheduleUpdateInput, schedule: Schedule) -> ScheduleUpdate:
    """Keep the schedule's state, so that a schedule which an operator has paused stays paused."""
    schedule.state = before.description.schedule.state
    return ScheduleUpdate(schedule)


async def remove(client: Client, names: Sequence[str], task_queue: str) -> None:
    """Remove schedules that are elsewhere now, and end the rounds on their queue, which nobody serves here any more."""
    for name in names:
        try:
            await client.get_schedule_handle(name).delete()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
    running = f"TaskQueue = '{task_queue}' AND ExecutionStatus = 'Running'"
    async for execution in client.list_workflows(running):
        try:
            await client.get_workflow_handle(execution.id, run_id=execution.run_id).terminate("maintenance has moved")
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # it has ended meanwhile
                raise
