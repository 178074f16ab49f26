"""A workflow that forgot to pass an import through. Only to see that the sandbox takes no such thing."""

from temporalio import workflow

from tests.support.temporal.leaked import ANSWER


@workflow.defn
class LeakyWorkflow:
    @workflow.run
    async def run(self) -> int:
        return ANSWER
