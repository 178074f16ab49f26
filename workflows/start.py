"""Starts workflows of jobs, purges and deliveries, and cancels those of jobs, for the API and for maintenance."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from temporalio.common import Priority, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.payloads import DeliveryRef, JobRef, PurgeState
from domain.counts import counted
from domain.current_request import working_for
from domain.errors import ServiceUnavailable
from domain.ids import delivery_workflow_id, purge_workflow_id, workflow_id
from domain.media import Job
from domain.purges import PurgeKey
from domain.webhooks import DeliveryKey
from temporal import attributes
from temporal.faults import RequestFaults
from workflows.media import MediaWorkflow
from workflows.options import PURGE, WEBHOOKS, media_queue
from workflows.purge import PurgeWorkflow
from workflows.webhooks import WebhookWorkflow

MAX_WAIT = timedelta(seconds=5)
START_JOB, CANCEL_JOB, START_PURGE = "start a job", "cancel a job", "start a purge"
"""What is asked of Temporal, as the log names it."""
_CANCEL = "cancel"
"""The update's id. A workflow takes few updates at a time: however often it is asked, this is one of them."""
_UNAVAILABLE = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)


async def start(client: Client, job: Job, *, max_wait: timedelta = MAX_WAIT, again: bool = False) -> bool:
    """Start the job's workflow. True also when it already runs, False when it has already ended.

    It works for the request that ordered the job, whoever starts it. With `again`, one that has ended starts once more.
    Raises `ServiceUnavailable` while Temporal is unavailable. The job stays accepted: maintenance starts it later.
    """
    reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE if again else WorkflowIDReusePolicy.REJECT_DUPLICATE
    with working_for(job.request_id, job.traceparent), reachable():
        try:
            await client.start_workflow(
                MediaWorkflow.run,
                JobRef(job_id=job.id, account_id=job.account_id),
                id=workflow_id(job.id),
                task_queue=media_queue(job.kind),
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=reuse,
                priority=Priority(job.priority, str(job.account_id), job.share),
                search_attributes=attributes.for_job(job),
                static_summary=f"{job.kind.value} by {job.model}",
                static_details=_details(job),
                rpc_timeout=max_wait,
            )
        except WorkflowAlreadyStartedError:
            return False
    return True


async def cancel(client: Client, job_id: UUID, *, max_wait: timedelta = MAX_WAIT) -> bool:
    """Ask the job's workflow to cancel it. False when no workflow of this job is open.

    Sends an update and waits until a worker accepts it. If none does within `max_wait`, sends a cancellation, which
    waits in the history for a worker. Raises `ServiceUnavailable` while Temporal is unavailable.
    """
    handle = client.get_workflow_handle(workflow_id(job_id))
    with reachable():
        try:
            try:
                await handle.start_update(
                    MediaWorkflow.request_cancel,
                    id=_CANCEL,
                    wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                    rpc_timeout=max_wait,
                )
            except WorkflowUpdateRPCTimeoutOrCancelledError:
                await handle.cancel(rpc_timeout=MAX_WAIT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
    return True


async def start_purge(client: Client, purge: PurgeKey, *, max_wait: timedelta = MAX_WAIT) -> None:
    """Start the purge's workflow, or join it. One that was lost begins again, and finds what is left."""
    with reachable():
        await client.start_workflow(
            PurgeWorkflow.run,
            PurgeState(purge_id=purge.id),
            id=purge_workflow_id(purge.id),
            task_queue=PURGE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            priority=Priority(fairness_key=str(purge.account_id)),
            static_summary="purge",
            static_details=f"Purge {purge.id}\n\n`yout purges list` shows how far it is, and what is left",
            rpc_timeout=max_wait,
        )


async def start_delivery(client: Client, delivery: DeliveryKey, *, max_wait: timedelta = MAX_WAIT) -> None:
    """Start the delivery's workflow, or join it. One that was lost goes on with the attempts that are left."""
    with working_for(delivery.request_id, delivery.traceparent), reachable():
        await client.start_workflow(
            WebhookWorkflow.run,
            DeliveryRef(delivery_id=delivery.id, round=delivery.round),
            id=delivery_workflow_id(delivery.id, delivery.round),
            task_queue=WEBHOOKS,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            priority=Priority(fairness_key=str(delivery.account_id)),
            search_attributes=attributes.for_account(delivery.account_id),
            static_summary="delivery of a webhook",
            static_details=f"Delivery {delivery.id} for account {delivery.account_id}\n\n"
            f"`yout webhooks list --account {delivery.account_id}` shows how its endpoints fare",
            rpc_timeout=max_wait,
        )


class Starter:
    """Starts workflows and looks them up for maintenance. The errors that it raises are reported."""

    def __init__(self, client: Client, faults: RequestFaults) -> None:
        self._client, self._faults = client, faults

    async def start(self, job: Job) -> bool:
        with self._faults.asking(START_JOB, job.id):
            return await start(self._client, job)

    async def start_purge(self, purge: PurgeKey) -> bool:
        with self._faults.asking(START_PURGE, purge.id):
            await start_purge(self._client, purge)
        return True

    async def start_delivery(self, delivery: DeliveryKey) -> bool:
        with self._faults.asking("start a delivery", delivery.id):
            await start_delivery(self._client, delivery)
        return True

    async def cancel(self, job_id: UUID) -> bool:
        with self._faults.asking(CANCEL_JOB, job_id):
            return await cancel(self._client, job_id, max_wait=timedelta(seconds=2))

    async def alive(self, job_id: UUID) -> bool:
        with self._faults.asking("find a job", job_id), reachable():
            try:
                described = await self._client.get_workflow_handle(workflow_id(job_id)).describe(rpc_timeout=MAX_WAIT)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return False
                raise
        return described.status is WorkflowExecutionStatus.RUNNING


def _details(job: Job) -> str:
    """What an operator reads first. Ids and names of the catalog only."""
    return "\n\n".join(
        (
            f"Job {job.id} of account {job.account_id}",
            f"Held for it: {counted(job.credits_cost, 'credit')}. They go back if it has not ended by "
            f"{job.deadline:%Y-%m-%d %H:%M:%S} UTC",
            f"`yout jobs show {job.id}` has its state and movements, `yout jobs cancel {job.id}` stops it",
        )
    )


@contextmanager
def reachable() -> Iterator[None]:
    unavailable = ServiceUnavailable(
        "The job engine is away for the moment. Try again.", reported=True
    )  # `temporal.faults` watches it
    try:
        yield
    except RPCError as error:
        if error.status in _UNAVAILABLE:
            raise unavailable from None
        raise
    except RuntimeError:  # a lazy client's first call, when no server answers
        raise unavailable from None
