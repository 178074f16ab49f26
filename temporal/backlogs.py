"""Reads what waits in task queues: the figures by which fleets of workers grow and shrink."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, DescribeTaskQueueResponse
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from domain.task_queues import Backlog, Tasks

MAX_WAIT = timedelta(seconds=2)
_TYPES = {
    Tasks.WORKFLOW: TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    Tasks.ACTIVITY: TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}
NOT_HERE = (RPCStatusCode.NOT_FOUND, RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED)


class Backlogs:
    """Of some queues. `elsewhere`: those with a namespace of their own, if that exists."""

    def __init__(self, client: Client, queues: Sequence[str], elsewhere: Mapping[str, str]) -> None:
        self._client, self._queues, self._elsewhere = client, queues, elsewhere

    async def read(self) -> list[Backlog] | None:
        """None while Temporal is unavailable."""
        try:
            async with asyncio.timeout(MAX_WAIT.total_seconds()):
                return await asyncio.gather(*(self._read(queue, tasks) for queue in self._queues for tasks in Tasks))
        except (RPCError, RuntimeError, TimeoutError):  # a lazy client's first call raises RuntimeError
            return None

    async def _read(self, queue: str, tasks: Tasks) -> Backlog:
        described = await self._describe(queue, tasks)
        return Backlog(
            queue,
            tasks,
            waiting=described.stats.approximate_backlog_count,
            age=described.stats.approximate_backlog_age.ToTimedelta(),
            workers=len({poller.identity for poller in described.pollers}),
        )

    async def _describe(self, queue: str, tasks: Tasks) -> DescribeTaskQueueResponse:
        namespace = self._elsewhere.get(queue, self._client.namespace)
        try:
            return await self._describe_in(namespace, queue, tasks)
        except RPCError as error:
            if namespace == self._client.namespace or error.status not in NOT_HERE:
                raise
        return await self._describe_in(self._client.namespace, queue, tasks)

    async def _describe_in(self, namespace: str, queue: str, tasks: Tasks) -> DescribeTaskQueueResponse:
        request = DescribeTaskQueueRequest(
            namespace=namespace, task_queue=TaskQueue(name=queue), task_queue_type=_TYPES[tasks], report_stats=True
        )
        return await self._client.workflow_service.describe_task_queue(request, timeout=MAX_WAIT)
