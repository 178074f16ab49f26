"""Workflows that go by the name of ours and do something else: what no worker may take over a running job with."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.bookkeeping import BookkeepingActivities
    from activities.media import MediaActivities
    from activities.payloads import JobRef
    from workflows.options import BOOKKEEPING, POLLING

call = workflow.execute_activity_method


@workflow.defn(name="MediaWorkflow")
class StepMissing:
    @workflow.run
    async def run(self, ref: JobRef) -> None:
        await call(BookkeepingActivities.begin, ref, **BOOKKEEPING)


@workflow.defn(name="MediaWorkflow")
class StepAdded:
    @workflow.run
    async def run(self, ref: JobRef) -> None:
        await workflow.sleep(timedelta(seconds=1))
        await call(BookkeepingActivities.begin, ref, **BOOKKEEPING)


@workflow.defn(name="MediaWorkflow")
class OrderChanged:
    @workflow.run
    async def run(self, ref: JobRef) -> None:
        await call(MediaActivities.submit, ref, **POLLING)
        await call(BookkeepingActivities.begin, ref, **BOOKKEEPING)


CHANGES = [StepMissing, StepAdded, OrderChanged]
