"""Audits the ledger every ten minutes. The workflow fails, and stays red in the UI, when the audit finds drift."""

from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client, ScheduleActionStartWorkflow

with workflow.unsafe.imports_passed_through():
    from activities.audit import AuditActivities
    from activities.payloads import Audited
    from workflows.options import AUDITING, MAINTENANCE
    from workflows.schedules import ensure

SCHEDULE_ID = "yout-audit"
EVERY = timedelta(minutes=10)


@workflow.defn
class AuditWorkflow:
    @workflow.run
    async def run(self) -> Audited:
        return await workflow.execute_activity_method(AuditActivities.audit_ledger, **AUDITING)


async def ensure_schedule(client: Client, *, every: timedelta = EVERY) -> None:
    action = ScheduleActionStartWorkflow(AuditWorkflow.run, id=SCHEDULE_ID, task_queue=MAINTENANCE)
    await ensure(client, SCHEDULE_ID, action, every=every)
