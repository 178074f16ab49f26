"""Whose job goes first where more wait than are made: real workflows on a real server, with one place for steps."""

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from temporalio.client import Client, WorkflowHandle

from domain.ids import workflow_id
from domain.media import Job
from domain.plans import DEFAULT_PRIORITY, PLAN_SHARE
from domain.task_queues import Tasks
from temporal.backlogs import Backlogs
from tests.support.temporal.fakes import Fakes
from tests.support.temporal.fleet import QUEUE, bookkeeping, deciding, doing, until
from workflows import start

FREE, PRO, FIRST = (DEFAULT_PRIORITY, 1), (DEFAULT_PRIORITY, PLAN_SHARE), (DEFAULT_PRIORITY - 1, 1)
"""Priority and share: of no plan, of a plan, of a plan that always goes first."""


class Queue:
    def __init__(self, client: Client) -> None:
        self.client, self.fakes = client, Fakes()
        self.jobs: list[Job] = []

    def accept(self, count: int, turn: tuple[int, int], account: UUID | None = None) -> set[UUID]:
        """Accept jobs: of one account, or each of another."""
        job_ids = set[UUID]()
        for _ in range(count):
            job = self.fakes.accepted()
            self.fakes.jobs.update(job.id, account_id=account or uuid4(), priority=turn[0], share=turn[1])
            self.jobs.append(self.fakes.job(job.id))
            job_ids.add(job.id)
        return job_ids

    async def submitted(self) -> Sequence[UUID]:
        """Let all jobs wait for one place, as they were accepted. Return them in the order in which they got it."""
        handles = [self.client.get_workflow_handle(workflow_id(job.id)) for job in self.jobs]
        async with deciding(self.client), bookkeeping(self.client, self.fakes):
            for job, handle in zip(self.jobs, handles, strict=True):
                assert await start.start(self.client, job)
                await until(partial(_waits, handle))
        await until(self._all_wait_in_the_queue)
        async with deciding(self.client), doing(self.client, self.fakes, max_concurrent_activities=1):
            for handle in handles:
                await handle.result()
        return [UUID(reference) for reference in self.fakes.provider.submitted]

    async def _all_wait_in_the_queue(self) -> bool:
        """A step is in its task queue a moment after it is in its workflow: that of the last job may miss its turn."""
        backlogs = await Backlogs(self.client, (QUEUE,), {}).read() or []
        return [one.waiting for one in backlogs if one.tasks is Tasks.ACTIVITY] == [len(self.jobs)]


async def _waits(handle: WorkflowHandle[Any, Any]) -> bool:
    pending = (await handle.describe()).raw_description.pending_activities
    return [one.activity_type.name for one in pending] == ["submit"]


async def test_a_job_of_a_plan_that_goes_first_overtakes_those_that_wait(client: Client) -> None:
    queue = Queue(client)
    queue.accept(6, FREE)
    first = queue.accept(1, FIRST)
    order = await queue.submitted()
    assert first <= set(order[:2]), [order.index(one) for one in first]


async def test_an_account_of_a_plan_has_more_turns_than_one_of_none(client: Client) -> None:
    """The first job of each account has its turn as it came; shares count from its second on."""
    queue = Queue(client)
    queue.accept(2 * PLAN_SHARE, FREE, uuid4())
    pro = queue.accept(PLAN_SHARE, PRO, uuid4())
    order = await queue.submitted()
    assert pro <= set(order[: PLAN_SHARE + 2]), [order.index(one) for one in pro]


async def test_shares_let_nobody_wait_for_ever(client: Client) -> None:
    queue = Queue(client)
    queue.accept(12, PRO, uuid4())
    free = queue.accept(1, FREE, uuid4())
    order = await queue.submitted()
    assert free <= set(order[: 2 * PLAN_SHARE])
