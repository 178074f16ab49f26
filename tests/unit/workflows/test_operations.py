"""What an operator does to a job's workflow, over a Temporal that records what it is asked."""

from typing import Any, cast

import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse, ResetActivityRequest
from temporalio.client import Client, WorkflowExecutionStatus

from tests.support.queued_job import queued_job
from workflows.operations import Operations, Retried

SCHEDULED = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED


class Temporal:
    """One workflow that runs, with one activity."""

    namespace = "default"
    status = WorkflowExecutionStatus.RUNNING

    def __init__(self, activity: PendingActivityInfo) -> None:
        self.raw_description = DescribeWorkflowExecutionResponse(pending_activities=[activity])
        self.workflow_service = self
        self.resets: list[str] = []

    def get_workflow_handle(self, _: str) -> "Temporal":
        return self

    async def describe(self, **_: Any) -> "Temporal":
        return self

    async def reset_activity(self, request: ResetActivityRequest, **_: Any) -> None:
        self.resets.append(request.id)


@pytest.mark.parametrize(
    ("state", "attempt", "did"),
    [
        (SCHEDULED, 2, Retried.SOONER),
        (SCHEDULED, 1, Retried.AT_WORK),
        (STARTED, 2, Retried.AT_WORK),
        (STARTED, 1, Retried.AT_WORK),
    ],
)
async def test_only_a_pause_between_attempts_is_ended(
    state: PendingActivityState.ValueType, attempt: int, did: Retried
) -> None:
    """An attempt that is under way may have submitted the job: one beside it would put that in doubt."""
    temporal = Temporal(PendingActivityInfo(activity_id="3", attempt=attempt, state=state))
    assert await Operations(cast(Client, temporal)).retry(queued_job()) is did
    assert temporal.resets == (["3"] if did is Retried.SOONER else [])
