"""Temporal Schedules: made once, brought up to date by whoever starts next."""

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
    """Create the schedule, or bring it up to date. Safe to do twice, and from several processes."""
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
    """An operator's pause stays."""
    schedule.state = before.description.schedule.state
    return ScheduleUpdate(schedule)
