"""What an operator does to the workflow of one job."""

from enum import Enum
from typing import Self
from uuid import UUID

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import ResetActivityRequest
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import ServiceUnavailable
from domain.faults import Fault
from domain.ids import workflow_id
from domain.media import Job
from temporal import faults
from temporal.client import Address, connect, converter
from temporal.codec import Keyring
from workflows import start
from workflows.start import MAX_WAIT, reachable


class Standing(Enum):
    OPEN = "open"
    CLOSED = "closed"
    MISSING = "there is none"
    UNKNOWN = "unknown: Temporal is away"


class Retried(Enum):
    STARTED = "its workflow was started"
    SOONER = "its workflow waited: its next attempt begins now"
    AT_WORK = "its workflow is at work: there is nothing to do"


class Operations:
    def __init__(self, client: Client) -> None:
        self._client = client

    @classmethod
    async def of(cls, address: Address, keyring: Keyring) -> Self:
        return cls(await connect(address, converter(keyring), lazy=True))

    async def away(self, address: Address) -> Fault | None:
        """Tell why Temporal cannot be used; None: it can."""
        try:
            await faults.look(self._client)
        except (RPCError, RuntimeError, TimeoutError) as error:
            return faults.describe(error, address)
        return None

    async def standing(self, job_id: UUID) -> Standing:
        try:
            description = await self._described(job_id)
        except ServiceUnavailable:
            return Standing.UNKNOWN
        if description is None:
            return Standing.MISSING
        return Standing.OPEN if description.status is WorkflowExecutionStatus.RUNNING else Standing.CLOSED

    async def cancel(self, job_id: UUID) -> bool:
        """Ask the job's workflow to cancel it. False when it could not be asked."""
        try:
            return await start.cancel(self._client, job_id)
        except ServiceUnavailable:
            return False

    async def retry(self, job: Job) -> Retried:
        """Start the workflow of an unfinished job, also once more; or end the pauses between its attempts.

        A workflow that begins again goes on where the job is: what was submitted is not submitted again. Raises
        `ServiceUnavailable`.
        """
        description = await self._described(job.id)
        if description is None or description.status is not WorkflowExecutionStatus.RUNNING:
            await start.start(self._client, job, again=True)
            return Retried.STARTED
        waiting = [one.activity_id for one in description.raw_description.pending_activities if _pauses(one)]
        for activity_id in waiting:
            await self._reset(job.id, activity_id)
        return Retried.SOONER if waiting else Retried.AT_WORK

    async def _described(self, job_id: UUID) -> WorkflowExecutionDescription | None:
        with reachable():
            try:
                return await self._client.get_workflow_handle(workflow_id(job_id)).describe(rpc_timeout=MAX_WAIT)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return None
                raise

    async def _reset(self, job_id: UUID, activity_id: str) -> None:
        request = ResetActivityRequest(
            namespace=self._client.namespace,
            execution=WorkflowExecution(workflow_id=workflow_id(job_id)),
            id=activity_id,
            identity="yout jobs retry",
        )
        with reachable():
            try:
                await self._client.workflow_service.reset_activity(request, timeout=MAX_WAIT)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:  # it has ended meanwhile
                    raise


def _pauses(activity: PendingActivityInfo) -> bool:
    """Tell whether it waits between two attempts. One that a worker is at is let be: it may be submitting the job."""
    return activity.attempt > 1 and activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
