"""Ends workflows, and deletes their histories, for purges."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from domain.ids import workflow_id
from temporal import attributes
from workflows.start import MAX_WAIT, cancel, reachable
from workflows.webhooks import WebhookWorkflow

Answer = TypeVar("Answer")
AT_ONCE = 20
_DELIVERY = WebhookWorkflow.__name__
_PREFIX = workflow_id(UUID(int=0)).removesuffix(str(UUID(int=0)))


class Histories:
    """Workflows, as a purge ends and deletes them. Raises `ServiceUnavailable` while Temporal is away."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def cancel(self, job_id: UUID) -> bool:
        return await cancel(self._client, job_id, max_wait=timedelta(seconds=2))

    async def terminate(self, job_id: UUID) -> None:
        with reachable():
            try:
                await self._client.get_workflow_handle(workflow_id(job_id)).terminate("purge", rpc_timeout=MAX_WAIT)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise

    async def delete(self, workflow_ids: Sequence[str]) -> int:
        return sum(await _at_once(self._delete, workflow_ids))

    async def existing(self, workflow_ids: Sequence[str]) -> list[str]:
        return [name for name, status in await self._statuses(workflow_ids) if status is not None]

    async def running(self, workflow_ids: Sequence[str]) -> list[str]:
        statuses = await self._statuses(workflow_ids)
        return [name for name, status in statuses if status is WorkflowExecutionStatus.RUNNING]

    async def jobs_of(self, account_id: UUID) -> list[UUID]:
        return await self._listed(f"{attributes.ACCOUNT.name} = '{account_id}'")

    async def running_jobs_of(self, account_id: UUID) -> list[UUID]:
        return await self._listed(f"{attributes.ACCOUNT.name} = '{account_id}' AND ExecutionStatus = 'Running'")

    async def deliveries_of(self, account_id: UUID) -> list[str]:
        of_account = f"{attributes.ACCOUNT.name} = '{account_id}' AND WorkflowType = '{_DELIVERY}'"
        return sorted(await self._names(of_account))

    async def _listed(self, query: str) -> list[UUID]:
        listed = await self._names(query)
        return [UUID(name.removeprefix(_PREFIX)) for name in listed if name.startswith(_PREFIX)]

    async def _names(self, query: str) -> set[str]:
        with reachable():
            return {execution.id async for execution in self._client.list_workflows(query, rpc_timeout=MAX_WAIT)}

    async def _delete(self, name: str) -> bool:
        """Delete the newest run of a workflow; the runs before it are found when it is asked for again."""
        request = DeleteWorkflowExecutionRequest(
            namespace=self._client.namespace, workflow_execution=WorkflowExecution(workflow_id=name)
        )
        with reachable():
            try:
                await self._client.workflow_service.delete_workflow_execution(request, timeout=MAX_WAIT)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return False
                raise
        return True

    async def _statuses(self, names: Sequence[str]) -> list[tuple[str, WorkflowExecutionStatus | None]]:
        return list(zip(names, await _at_once(self._status, names), strict=True))

    async def _status(self, name: str) -> WorkflowExecutionStatus | None:
        """None: Temporal has no history of it."""
        with reachable():
            try:
                described = await self._client.get_workflow_handle(name).describe(rpc_timeout=MAX_WAIT)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return None
                raise
        return described.status


async def _at_once(ask: Callable[[str], Awaitable[Answer]], names: Sequence[str]) -> list[Answer]:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> Answer:
        async with turns:
            return await ask(name)

    return await asyncio.gather(*(one(name) for name in names))
