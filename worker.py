"""A worker process, `python -m worker`: serves task queues until it is told to stop, and then drains.

One process serves them all by default; `YOUT_WORKER_QUEUES` makes fleets that scale apart.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.service import RPCError
from temporalio.worker import (
    FixedSizeSlotSupplier,
    PollerBehaviorAutoscaling,
    ResourceBasedSlotConfig,
    ResourceBasedSlotSupplier,
    ResourceBasedTunerConfig,
    Worker,
    WorkerTuner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy

import exits
import logs
import settings as configuration
from activities.audit import AuditActivities, Auditor
from activities.bookkeeping import BookkeepingActivities
from activities.grants import GrantActivities
from activities.maintenance import MaintenanceActivities
from activities.media import Files, MediaActivities, NoInputs
from activities.outputs import Poster, Sniff, no_poster
from activities.ports import (
    DeletingOutputs,
    Delivering,
    Erasing,
    GivingPlans,
    Inputs,
    Jobs,
    Maintaining,
    Pruning,
    Sweeping,
)
from activities.purge import PurgeActivities
from activities.submissions import Providers
from activities.webhooks import WebhookActivities
from settings import Settings
from storage.base import Storage
from temporal import attributes, failpoints, namespaces
from temporal.client import Address, connect, converter
from workflows import audit, grants, maintenance, schedules
from workflows.audit import AuditWorkflow, ensure_schedule
from workflows.grants import GrantsWorkflow
from workflows.histories import Histories
from workflows.maintenance import MaintenanceWorkflow, ensure_schedules
from workflows.media import MediaWorkflow
from workflows.options import LEDGER, MAINTENANCE, MEDIA_QUEUES, PURGE, QUEUES, WEBHOOKS
from workflows.purge import PurgeWorkflow
from workflows.start import Starter
from workflows.webhooks import WebhookWorkflow

WORKFLOWS = [MediaWorkflow, MaintenanceWorkflow, AuditWorkflow, GrantsWorkflow, PurgeWorkflow, WebhookWorkflow]
SANDBOX = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_import_notification_policy(
        SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
        | SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
    )
)
"""Nothing enters a workflow's sandbox but what its file passes through: anything else costs 250 times the memory."""

_RESOURCES = ResourceBasedTunerConfig(target_memory_usage=0.8, target_cpu_usage=0.9)
_MEDIA_SLOTS = ResourceBasedSlotConfig(minimum_slots=16, maximum_slots=500, ramp_throttle=timedelta(milliseconds=50))
_WEBHOOK_SLOTS = 128
"""Attempts at a time: they wait for receivers, of which each gets a few places."""
_RETRY_SECONDS = 1.0
_MAX_HEARTBEAT_THROTTLE = timedelta(seconds=2)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """The adapters that activities work with."""

    jobs: Jobs
    providers: Providers
    storage: Storage
    sniff: Sniff
    auditor: Auditor
    sweeper: Sweeping
    pruning: Pruning
    maintenance: Callable[[Starter], Maintaining]
    outputs: DeletingOutputs
    plans: GivingPlans
    erasure: Callable[[Histories], Erasing]
    deliveries: Delivering
    inputs: Inputs = field(default_factory=NoInputs)
    poster: Poster = no_poster


@dataclass(frozen=True, slots=True)
class Fleet:
    """What this process serves, and how."""

    queues: Sequence[str] = QUEUES
    drain: timedelta = timedelta(seconds=25)
    ledger_slots: int = 8
    """As many as there are database connections: more would only wait for one."""
    failpoint: str | None = None

    def __post_init__(self) -> None:
        unknown = set(self.queues) - set(QUEUES)
        if unknown:
            raise ValueError(f"No such task queue: {', '.join(sorted(unknown))}. There are {', '.join(QUEUES)}.")


@dataclass(frozen=True, slots=True)
class Shape:
    """What the worker of one task queue does."""

    activities: Sequence[Callable[..., Any]]
    tuner: WorkerTuner
    workflows: Sequence[type] = ()


def workers(client: Client, parts: Parts, fleet: Fleet, upkeep: Client | None = None) -> list[Worker]:
    """One per task queue that the fleet serves. `upkeep`: of maintenance's namespace; None: that of the jobs."""
    media = MediaActivities(parts.jobs, parts.providers, Files(parts.storage, parts.sniff, parts.inputs, parts.poster))
    bookkeeping = BookkeepingActivities(parts.jobs)
    maintenance = MaintenanceActivities(parts.maintenance(Starter(client)), parts.sweeper, parts.pruning, parts.outputs)
    audit = AuditActivities(parts.auditor)
    purge = PurgeActivities(parts.erasure(Histories(client)))
    granting = GrantActivities(parts.plans)
    webhooks = WebhookActivities(parts.deliveries)
    shapes = {
        LEDGER: Shape(
            activities=[bookkeeping.begin, bookkeeping.succeed, bookkeeping.end],
            tuner=WorkerTuner.create_fixed(activity_slots=fleet.ledger_slots),
        ),
        MAINTENANCE: Shape(
            workflows=[MaintenanceWorkflow, AuditWorkflow, GrantsWorkflow],
            activities=[
                maintenance.sweep_holds,
                maintenance.forget_expired,
                maintenance.start_orphans,
                maintenance.recover,
                maintenance.reconcile,
                maintenance.delete_expired_outputs,
                maintenance.delete_orphaned_outputs,
                audit.audit_ledger,
                granting.grant_plans,
                granting.collect_returned,
            ],
            tuner=WorkerTuner.create_fixed(workflow_slots=5, activity_slots=8),
        ),
        PURGE: Shape(
            workflows=[PurgeWorkflow],
            activities=[
                purge.cut_calls,
                purge.count_before_purge,
                purge.destroy_keys,
                purge.delete_media,
                purge.is_media_left,
                purge.delete_rows,
                purge.roll_up_calls,
                purge.conclude_purge,
            ],
            tuner=WorkerTuner.create_fixed(workflow_slots=5, activity_slots=2),
        ),
        WEBHOOKS: Shape(
            workflows=[WebhookWorkflow],
            activities=[webhooks.attempt_delivery],
            tuner=WorkerTuner.create_fixed(workflow_slots=50, activity_slots=_WEBHOOK_SLOTS),
        ),
    }
    for queue in MEDIA_QUEUES:
        shapes[queue] = Shape(
            workflows=[MediaWorkflow],
            activities=[media.submit, media.poll, media.copy, media.cancel, media.discard],
            tuner=_media_tuner(),
        )
    clients = {MAINTENANCE: upkeep or client}
    return [_worker(clients.get(queue, client), queue, shapes[queue], fleet) for queue in fleet.queues]


def _worker(client: Client, queue: str, shape: Shape, fleet: Fleet) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        workflows=shape.workflows,
        activities=shape.activities,
        workflow_runner=SANDBOX,
        build_id=build_id(),
        tuner=shape.tuner,
        interceptors=[failpoints.Failpoints(fleet.failpoint)] if fleet.failpoint else [],
        graceful_shutdown_timeout=fleet.drain,
        max_heartbeat_throttle_interval=_MAX_HEARTBEAT_THROTTLE,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(initial=2),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(initial=2),
    )


@cache
def build_id() -> str:
    """Of the code that decides and does. The SDK's own way reads every loaded module: 2.5 s before the first poll."""
    here = Path(__file__).parent
    sources = sorted(source for package in ("workflows", "activities") for source in (here / package).glob("*.py"))
    return sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:12]


def _media_tuner() -> WorkerTuner:
    """Media activities wait for others: as many at once as this machine can bear."""
    return WorkerTuner.create_composite(
        workflow_supplier=FixedSizeSlotSupplier(100),
        activity_supplier=ResourceBasedSlotSupplier(_MEDIA_SLOTS, _RESOURCES),
        local_activity_supplier=FixedSizeSlotSupplier(1),
        nexus_supplier=FixedSizeSlotSupplier(1),
    )


def with_failpoint(parts: Parts, failpoint: str | None) -> Parts:
    point = failpoints.Failpoint(failpoint or "")
    if point.where == failpoints.SUBMIT_BETWEEN:
        return replace(parts, providers=lambda *given: failpoints.fatal(parts.providers(*given), "submit", point))
    if point.where == failpoints.COPY_BETWEEN:
        return replace(parts, storage=failpoints.fatal(parts.storage, "put", point))
    return parts


async def serve(client: Client, parts: Parts, fleet: Fleet, stop: asyncio.Event, upkeep: Client | None = None) -> None:
    """Until `stop` is set; then what runs may end within the drain. Raises what a worker could not survive."""
    over = asyncio.Event()
    serving = workers(client, with_failpoint(parts, fleet.failpoint), fleet, upkeep)
    running = [asyncio.create_task(worker.run()) for worker in serving]
    stopped = asyncio.create_task(stop.wait())
    for task in (*running, stopped):
        task.add_done_callback(lambda _: over.set())
    await over.wait()
    log.info("stopping: what runs has %d s to end", fleet.drain.total_seconds())
    stopped.cancel()
    await asyncio.gather(*(worker.shutdown() for worker in serving if worker.is_running))
    await asyncio.gather(*running)


@dataclass(frozen=True, slots=True)
class Temporal:
    address: Address
    conversion: DataConverter
    maintenance: str | None = None
    """The namespace of maintenance. None: that of the jobs."""

    @property
    def maintenance_address(self) -> Address:
        return replace(self.address, namespace=self.maintenance or self.address.namespace)


async def run(temporal: Temporal, parts: Parts, fleet: Fleet, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, whatever becomes of Temporal meanwhile."""
    unavailable = False
    while not stop.is_set():
        try:
            client = await connect(temporal.address, temporal.conversion)
            await attributes.ensure(client)
            upkeep = await _upkeep(temporal, client) if MAINTENANCE in fleet.queues else client
            log.info("serving %s", ", ".join(fleet.queues))
            unavailable = False
            await serve(client, parts, fleet, stop, upkeep)
        except (RPCError, RuntimeError) as error:
            if not unavailable:
                log.warning("Temporal is away (%s); trying again until it is back", type(error).__name__)
            unavailable = True
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _RETRY_SECONDS)


async def _upkeep(temporal: Temporal, client: Client) -> Client:
    """Connect to maintenance's namespace, with its schedules. They were in the jobs' namespace before."""
    upkeep = await _maintenance_client(temporal, client)
    await ensure_schedules(upkeep)
    await ensure_schedule(upkeep)
    await grants.ensure_schedule(upkeep)
    if upkeep is not client:
        names = (maintenance.SCHEDULE_ID, audit.SCHEDULE_ID, grants.SCHEDULE_ID)
        await schedules.remove(client, names, MAINTENANCE)
    return upkeep


async def _maintenance_client(temporal: Temporal, client: Client) -> Client:
    if temporal.maintenance_address.namespace == client.namespace:
        return client
    try:
        upkeep = await connect(temporal.maintenance_address, temporal.conversion)
        if await namespaces.ensure(upkeep):
            return upkeep
    except RuntimeError as error:  # a connection that is refused for its key
        log.debug("no connection to the namespace of maintenance (%s)", type(error).__name__)
    log.warning(
        "maintenance stays in the jobs' namespace: make the namespace %s, or set YOUT_TEMPORAL_MAINTENANCE_NAMESPACE",
        temporal.maintenance_address.namespace,
    )
    return client


@asynccontextmanager
async def build(settings: Settings) -> AsyncIterator[tuple[Temporal, Parts]]:
    """The concrete adapters. They open without their servers, which may come up later."""
    from db.audit import Audits
    from db.job_files import JobFiles
    from db.pruning import Pruning
    from db.sweeper import Sweeper
    from gateway.deliveries import Deliveries
    from gateway.erasure_steps import ErasureSteps
    from gateway.plans import PlanGrants
    from storage import sniff
    from storage.posters import Posters
    from wiring import maintenance_of, open_wired, wrapping  # here: fleets without a database driver are built too

    async with open_wired(settings) as wired:
        with wired.catalog.reloading():
            yield (
                Temporal(wired.address, converter(wired.keyring), settings.maintenance_namespace),
                Parts(
                    wired.jobs,
                    wired.registry.media,
                    wired.storage,
                    sniff.content_type,
                    Audits(wired.database),
                    Sweeper(wired.database),
                    Pruning(wired.database, settings.retention, wired.errors, lifetime=settings.session_lifetimes),
                    lambda starter: maintenance_of(wired, starter),
                    wired.outputs,
                    PlanGrants(wired.database, wired.catalog, wired.errors),
                    lambda histories: ErasureSteps(
                        wired.database, wrapping(settings), wired.storage, wired.jobs, histories
                    ),
                    Deliveries(wired.database, wired.sealing, wired.outbound),
                    JobFiles(wired.database, wired.sealing),
                    Posters(),
                ),
            )


def _fleet(settings: Settings) -> Fleet:
    named = [name.strip() for name in settings.worker_queues.split(",") if name.strip()]
    return Fleet(
        queues=named or QUEUES,
        drain=settings.shutdown_timeout,
        ledger_slots=settings.database_pool,
        failpoint=settings.failpoint,
    )


async def main(settings: Settings) -> None:
    logs.configure(settings.log_format)
    logging.getLogger("temporalio.worker").setLevel(logging.WARNING)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    fleet = _fleet(settings)
    async with build(settings) as (temporal, parts):
        await run(temporal, parts, fleet, stop)
    # The SDK's threads need a moment: an interpreter that ends at once after using it may crash on Python 3.11.
    await asyncio.sleep(0.3)


if __name__ == "__main__":
    sys.exit(exits.run(lambda: asyncio.run(main(configuration.load()))))
