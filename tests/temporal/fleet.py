"""Workers of the real workflow and the real activities, over fakes; and one job on its way through them."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.worker import Worker

from activities.bookkeeping import BookkeepingActivities
from activities.media import MediaActivities
from activities.payloads import MediaResult
from domain.ids import workflow_id
from domain.media import Job, Kind, State
from providers.base import Progress, Stage
from temporal import attributes
from tests.temporal.fakes import QUICK, Fakes, sniff
from worker import SANDBOX, build_id
from workflows import start
from workflows.media import MediaWorkflow
from workflows.options import LEDGER, media_queue

QUEUE = media_queue(Kind.IMAGE)
COMPLETED, FAILED, CANCELED = (
    WorkflowExecutionStatus.COMPLETED,
    WorkflowExecutionStatus.FAILED,
    WorkflowExecutionStatus.CANCELED,
)
RUNNING, DONE = Progress(Stage.RUNNING, 40), Progress(Stage.DONE, 100)

Handle = WorkflowHandle[MediaWorkflow, MediaResult]


@asynccontextmanager
async def _doing(client: Client, queue: str, activities: Sequence[Callable[..., Any]]) -> AsyncIterator[None]:
    throttle = timedelta(milliseconds=100)
    async with Worker(
        client,
        task_queue=queue,
        activities=activities,
        max_heartbeat_throttle_interval=throttle,
        build_id=build_id(),
    ):
        yield


@asynccontextmanager
async def doing(client: Client, fakes: Fakes) -> AsyncIterator[None]:
    """The activities alone: nobody decides what comes next."""
    media = MediaActivities(fakes.jobs, lambda _name: fakes.provider, fakes.storage, sniff, QUICK)
    books = BookkeepingActivities(fakes.jobs)
    made = [media.submit, media.poll, media.copy, media.cancel, media.discard]
    booked = [books.begin, books.succeed, books.end]
    async with _doing(client, QUEUE, made), _doing(client, LEDGER, booked):
        yield


@asynccontextmanager
async def deciding(client: Client, *, cached: int = 100) -> AsyncIterator[None]:
    """The workflow alone. With nothing cached, every one of its tasks is a replay from the beginning."""
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[MediaWorkflow],
        workflow_runner=SANDBOX,
        max_cached_workflows=cached,
        build_id=build_id(),
    ):
        yield


@dataclass
class World:
    """One job, the fakes that it meets, and the server that it runs on."""

    client: Client
    cached: int = 100
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
        async with doing(self.client, self.fakes), deciding(self.client, cached=self.cached):
            yield await self.begin()


async def current_details(handle: Handle) -> str:
    """What an operator sees of the workflow's progress."""
    metadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return metadata.current_details


async def pending(handle: Handle) -> bool:
    """Whether an activity of the workflow has yet to end."""
    return bool((await handle.describe()).raw_description.pending_activities)


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
