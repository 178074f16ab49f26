"""Workers of the real workflow and the real activities, over fakes; and one job on its way through them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.worker import Worker

from activities.audit import AuditActivities
from activities.bookkeeping import BookkeepingActivities
from activities.grants import GrantActivities
from activities.maintenance import MaintenanceActivities
from activities.media import Files, MediaActivities
from activities.payloads import MediaResult
from activities.purge import PurgeActivities
from activities.webhooks import WebhookActivities
from domain.ids import workflow_id
from domain.media import Job, Kind, State
from fleets import SANDBOX, Parts, build_id
from providers.base import Progress, Stage
from temporal import attributes
from temporal.codec import Keyring
from temporal.faults import RequestFaults
from tests.support.fault_lines import FaultLines
from tests.support.temporal.fakes import QUICK, Fakes, sniff
from workflows import start
from workflows.audit import AuditWorkflow
from workflows.grants import GrantsWorkflow
from workflows.maintenance import MaintenanceWorkflow
from workflows.media import MediaWorkflow
from workflows.options import LEDGER, MAINTENANCE, PURGE, WEBHOOKS, media_queue
from workflows.purge import PurgeWorkflow
from workflows.start import Starter
from workflows.webhooks import WebhookWorkflow

KEYRING = Keyring.derived("only a secret for tests, and long enough")
QUEUE = media_queue(Kind.IMAGE)
COMPLETED, FAILED, CANCELED = (
    WorkflowExecutionStatus.COMPLETED,
    WorkflowExecutionStatus.FAILED,
    WorkflowExecutionStatus.CANCELED,
)
RUNNING, DONE = Progress(Stage.RUNNING, 40), Progress(Stage.DONE, 100)

Handle = WorkflowHandle[MediaWorkflow, MediaResult]


def starter(client: Client) -> Starter:
    return Starter(client, RequestFaults(FaultLines()))


def parts_of(fakes: Fakes) -> Parts:
    """What a worker process is made of, over the fakes."""
    return Parts(
        fakes.jobs,
        lambda *_: fakes.provider,
        fakes.storage,
        sniff,
        fakes.auditor,
        fakes.holds,
        fakes.holds,
        lambda client: fakes.maintenance(starter(client)),
        fakes.outputs,
        fakes.plans,
        lambda _histories: fakes.erasing,
        fakes.deliveries,
        fakes.inputs,
    )


@asynccontextmanager
async def _worker(client: Client, queue: str, **does: Any) -> AsyncIterator[None]:
    async with Worker(
        client,
        task_queue=queue,
        workflow_runner=SANDBOX,
        build_id=build_id(),
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
        **does,
    ):
        yield


def _activities(fakes: Fakes) -> list[Callable[..., Any]]:
    media = MediaActivities(fakes.jobs, lambda *_: fakes.provider, Files(fakes.storage, sniff, fakes.inputs), QUICK)
    return [media.submit, media.poll, media.copy, media.cancel, media.discard]


@asynccontextmanager
async def bookkeeping(client: Client, fakes: Fakes) -> AsyncIterator[None]:
    books = BookkeepingActivities(fakes.jobs)
    async with _worker(client, LEDGER, activities=[books.begin, books.succeed, books.end]):
        yield


@asynccontextmanager
async def doing(client: Client, fakes: Fakes, **limits: int) -> AsyncIterator[None]:
    """The activities alone: nobody decides what comes next."""
    async with _worker(client, QUEUE, activities=_activities(fakes), **limits), bookkeeping(client, fakes):
        yield


@asynccontextmanager
async def deciding(client: Client) -> AsyncIterator[None]:
    """The workflow alone."""
    async with _worker(client, QUEUE, workflows=[MediaWorkflow]):
        yield


@asynccontextmanager
async def maintaining(client: Client, fakes: Fakes) -> AsyncIterator[None]:
    does = MaintenanceActivities(fakes.maintenance(starter(client)), fakes.holds, fakes.holds, fakes.outputs)
    audit = AuditActivities(fakes.auditor)
    of_rows = [does.sweep_holds, does.forget_expired, does.delete_expired_outputs, does.delete_orphaned_outputs]
    grants = GrantActivities(fakes.plans)
    of_plans = [grants.grant_plans, grants.collect_returned]
    activities = [*of_rows, *of_plans, does.start_orphans, does.recover, does.reconcile, audit.audit_ledger]
    workflows = [MaintenanceWorkflow, AuditWorkflow, GrantsWorkflow]
    async with _worker(client, MAINTENANCE, workflows=workflows, activities=activities):
        yield


@asynccontextmanager
async def delivering(client: Client, fakes: Fakes) -> AsyncIterator[None]:
    does = WebhookActivities(fakes.deliveries)
    async with _worker(client, WEBHOOKS, workflows=[WebhookWorkflow], activities=[does.attempt_delivery]):
        yield


@asynccontextmanager
async def purging(client: Client, fakes: Fakes) -> AsyncIterator[None]:
    does = PurgeActivities(fakes.erasing)
    before = [does.cut_calls, does.count_before_purge, does.destroy_keys]
    erasing = [does.delete_media, does.is_media_left, does.delete_rows, does.roll_up_calls, does.conclude_purge]
    async with _worker(client, PURGE, workflows=[PurgeWorkflow], activities=[*before, *erasing]):
        yield


@dataclass
class World:
    """One job, the fakes that it meets, and the server that it runs on."""

    client: Client
    cached: int = 100
    """Workflows kept in memory. With none, every task of a workflow is a replay from its beginning."""
    fakes: Fakes = field(default_factory=Fakes)

    def __post_init__(self) -> None:
        self.job: Job = self.fakes.accepted()
        self.script = self.fakes.script
        self.provider = self.fakes.provider

    @property
    def handle(self) -> Handle:
        return self.client.get_workflow_handle_for(MediaWorkflow.run, workflow_id(self.job.id))

    async def begin(self) -> Handle:
        assert await start.start(self.client, self.job)
        return self.handle

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Handle]:
        """The job is started, and all its workers are there."""
        worker = _worker(
            self.client,
            QUEUE,
            workflows=[MediaWorkflow],
            activities=_activities(self.fakes),
            max_cached_workflows=self.cached,
        )
        async with worker, bookkeeping(self.client, self.fakes):
            yield await self.begin()


async def details_say(handle: Handle, text: str) -> bool:
    """Whether an operator sees this of the workflow's progress."""
    metadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return text in metadata.current_details


async def no_activity(handle: Handle) -> bool:
    """Whether every activity of the workflow has come to its end."""
    return not (await handle.describe()).raw_description.pending_activities


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    while not await condition():  # noqa: ASYNC110  # a server elsewhere sets no event here
        await asyncio.sleep(0.01)


async def ended(world: World, state: State, how: WorkflowExecutionStatus) -> None:
    """The workflow closes like that, and the job has ended in `state`, once."""
    try:
        result = await world.handle.result()
    except WorkflowFailureError:
        assert how is not COMPLETED
    else:
        assert (result.job_id, result.state) == (world.job.id, state)
    described = await world.handle.describe()
    assert described.status is how
    assert described.typed_search_attributes.get(attributes.STATE) == state.value
    world.fakes.assert_ended_once(world.job, state)
