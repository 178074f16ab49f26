"""Temporal Schedules. The first process creates them; each later start updates them."""

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
