"""Every ten minutes: give the monthly credits of plans that are due, and collect what is owed of returned payments.

What is due is in the database, with the months that were given. A round after a downtime gives all that was missed.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client, ScheduleActionStartWorkflow

with workflow.unsafe.imports_passed_through():
    from activities.grants import GrantActivities
    from activities.payloads import GrantBegin, Granted
    from workflows.options import GRANTING, MAINTENANCE
    from workflows.schedules import ensure

SCHEDULE_ID = "yout-grants"
EVERY = timedelta(minutes=10)
MAX_ROUND = timedelta(hours=6)

call = workflow.execute_activity_method


@workflow.defn
class GrantsWorkflow:
    """Runs one round, a batch of accounts after the other."""

    @workflow.run
    async def run(self) -> Granted:
        batch = await call(GrantActivities.grant_plans, GrantBegin(), **GRANTING)
        given = batch.given
        while batch.after is not None:
            batch = await call(GrantActivities.grant_plans, GrantBegin(after=batch.after), **GRANTING)
            given += batch.given
        await call(GrantActivities.collect_returned, **GRANTING)
        return Granted(given=given)


async def ensure_schedule(client: Client, *, every: timedelta = EVERY) -> None:
    action = ScheduleActionStartWorkflow(
        GrantsWorkflow.run, id=SCHEDULE_ID, task_queue=MAINTENANCE, execution_timeout=MAX_ROUND
    )
    await ensure(client, SCHEDULE_ID, action, every=every)
