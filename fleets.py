"""Fleets of workers: which of Temporal's task queues a process serves, what it does there, and how much at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, Worker, WorkerTuner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy

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
from storage.base import Storage
from temporal import failpoints
from temporal.slots import Slots, fixed
from workflows.audit import AuditWorkflow
from workflows.grants import GrantsWorkflow
from workflows.histories import Histories
from workflows.maintenance import MaintenanceWorkflow
from workflows.media import MediaWorkflow
from workflows.options import LEDGER, MAINTENANCE, MEDIA_QUEUES, PURGE, QUEUES, WEBHOOKS
from workflows.purge import PurgeWorkflow
from workflows.webhooks import WebhookWorkflow

Activity = Callable[..., Any]

DECISIONS: Mapping[str, Sequence[type]] = MappingProxyType(
    {
        **dict.fromkeys(MEDIA_QUEUES, (MediaWorkflow,)),
        MAINTENANCE: (MaintenanceWorkflow, AuditWorkflow, GrantsWorkflow),
        PURGE: (PurgeWorkflow,),
        WEBHOOKS: (WebhookWorkflow,),
    }
)
"""The workflows of each queue that has some. They need nothing but Temporal."""
WORKFLOWS = list(dict.fromkeys(workflow for workflows in DECISIONS.values() for workflow in workflows))
SANDBOX = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_import_notification_policy(
        SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
        | SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
    )
)
"""Nothing enters a workflow's sandbox but what its file passes through: anything else costs 250 times the memory."""

_MAX_HEARTBEAT_THROTTLE = timedelta(seconds=2)


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
    maintenance: Callable[[Client], Maintaining]
    outputs: DeletingOutputs
    plans: GivingPlans
    erasure: Callable[[Histories], Erasing]
    deliveries: Delivering
    inputs: Inputs = field(default_factory=NoInputs)
    poster: Poster = no_poster


class Role(StrEnum):
    """What of its queues a worker serves."""

    ALL = "all"
    WORKFLOWS = "workflows"
    """It decides what happens next, and does nothing of it: it needs no database, and none of its secrets."""
    ACTIVITIES = "activities"


@dataclass(frozen=True, slots=True)
class Fleet:
    """What this process serves, and how. Raises `ValueError` for what nobody could serve."""

    queues: Sequence[str] = QUEUES
    role: Role = Role.ALL
    drain: timedelta = timedelta(seconds=25)
    slots: Slots = field(default_factory=Slots)
    failpoint: str | None = None

    def __post_init__(self) -> None:
        unknown = set(self.queues) - set(QUEUES)
        if unknown:
            raise ValueError(f"no such task queue: {', '.join(sorted(unknown))}. There are {', '.join(QUEUES)}")
        if not self.served:
            raise ValueError(f"no workflow is decided in {', '.join(self.queues)}: there are {', '.join(DECISIONS)}")

    @property
    def served(self) -> Sequence[str]:
        return [queue for queue in self.queues if self.role is not Role.WORKFLOWS or queue in DECISIONS]

    def decides(self, queue: str) -> Sequence[type]:
        return () if self.role is Role.ACTIVITIES else DECISIONS.get(queue, ())


def workers(client: Client, parts: Parts | None, fleet: Fleet, upkeep: Client | None = None) -> list[Worker]:
    """One per task queue that the fleet serves. `upkeep`: of maintenance's namespace; None: that of the jobs.

    Without parts, for a fleet that decides alone.
    """
    does = {} if parts is None or fleet.role is Role.WORKFLOWS else _activities(client, parts)
    tuners = _tuners(fleet.slots)
    clients = {MAINTENANCE: upkeep or client}
    return [
        _worker(
            clients.get(queue, client), queue, Shape(does.get(queue, ()), tuners[queue], fleet.decides(queue)), fleet
        )
        for queue in fleet.served
    ]


def _tuners(slots: Slots) -> Mapping[str, WorkerTuner]:
    """What waits for others grows with the machine; what needs a connection to the database has a fixed number."""
    return {
        **{queue: slots.of_media() for queue in MEDIA_QUEUES},
        LEDGER: fixed(slots.ledger),
        MAINTENANCE: fixed(8, workflows=5),
        PURGE: fixed(2, workflows=5),
        WEBHOOKS: fixed(slots.webhooks, workflows=50),
    }


@dataclass(frozen=True, slots=True)
class Shape:
    """What the worker of one task queue does."""

    activities: Sequence[Activity]
    tuner: WorkerTuner
    workflows: Sequence[type]


def _activities(client: Client, parts: Parts) -> Mapping[str, Sequence[Activity]]:
    media = MediaActivities(parts.jobs, parts.providers, Files(parts.storage, parts.sniff, parts.inputs, parts.poster))
    books = BookkeepingActivities(parts.jobs)
    maintenance = MaintenanceActivities(parts.maintenance(client), parts.sweeper, parts.pruning, parts.outputs)
    audit = AuditActivities(parts.auditor)
    purge = PurgeActivities(parts.erasure(Histories(client)))
    granting = GrantActivities(parts.plans)
    webhooks = WebhookActivities(parts.deliveries)
    of_media: Sequence[Activity] = [media.submit, media.poll, media.copy, media.cancel, media.discard]
    return {
        **dict.fromkeys(MEDIA_QUEUES, of_media),
        LEDGER: [books.begin, books.succeed, books.end],
        MAINTENANCE: [
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
        PURGE: [
            purge.cut_calls,
            purge.count_before_purge,
            purge.destroy_keys,
            purge.delete_media,
            purge.is_media_left,
            purge.delete_rows,
            purge.roll_up_calls,
            purge.conclude_purge,
        ],
        WEBHOOKS: [webhooks.attempt_delivery],
    }


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
