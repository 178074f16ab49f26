"""Once a minute: start what nobody started, close what lost its workflow. The API's own loop does the same."""

from collections.abc import Awaitable
from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client, ScheduleActionStartWorkflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.maintenance import MaintenanceActivities
    from activities.payloads import Maintained, Tally
    from workflows.options import MAINTENANCE, SWEEPING
    from workflows.schedules import ensure

SCHEDULE_ID = "yout-maintenance"
EVERY = timedelta(minutes=1)
LONGEST_ROUND = timedelta(minutes=10)

call = workflow.execute_activity_method


@workflow.defn
class MaintenanceWorkflow:
    """Each round stands alone: what one leaves, the next one finds."""

    @workflow.run
    async def run(self) -> Maintained:
        return Maintained(
            started=await self._count(call(MaintenanceActivities.start_orphans, **SWEEPING)),
            closed=await self._count(call(MaintenanceActivities.reconcile, **SWEEPING)),
        )

    async def _count(self, part: Awaitable[Tally]) -> int | None:
        """None where this part of the round could not be done."""
        try:
            return (await part).jobs
        except ActivityError:
            return None


async def ensure_schedules(client: Client, *, every: timedelta = EVERY) -> None:
    """Create the schedule, or bring it up to date. Safe to do twice, and from several processes."""
    action = ScheduleActionStartWorkflow(
        MaintenanceWorkflow.run, id=SCHEDULE_ID, task_queue=MAINTENANCE, execution_timeout=LONGEST_ROUND
    )
    await ensure(client, SCHEDULE_ID, action, every=every)
