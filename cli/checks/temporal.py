"""Checks of Temporal: does it answer, does it have what workflows need, and does somebody serve its queues."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from cli import temporal_clients
from cli.checks.finding import TIMEOUT_SECONDS, Finding, fault, ok, warn
from cli.task_queues import late, unserved
from cli.terminal import duration
from domain.task_queues import Backlog
from temporal import attributes, faults, namespaces, rounds
from temporal.attributes import DEFINITIONS, AttributesMissing
from temporal.backlogs import Backlogs
from temporal.client import Address
from workflows import audit, grants, maintenance
from workflows.options import MAINTENANCE, QUEUES

if TYPE_CHECKING:
    from settings import Settings

MAX_SECONDS = TIMEOUT_SECONDS * 2 / 3
"""Before the doctor gives up on the whole group: then it could not say where Temporal was looked for."""
_DENIED = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED)


async def check(settings: "Settings") -> list[Finding]:
    address = Address(*settings.temporal_server)
    try:
        async with asyncio.timeout(MAX_SECONDS), temporal_clients.opened(settings) as (client, upkeep):
            await faults.look(client)
            return [
                ok("temporal", f"{address.target} answers, and has the namespace {address.namespace}"),
                await _maintenance(upkeep),
                *await _schedules(upkeep, client),
                await _attributes(client),
                *await _workers(client, settings.maintenance_namespace),
            ]
    except (RPCError, RuntimeError, TimeoutError) as error:
        broken = faults.describe(error, address)
        return [fault("temporal", f"{broken.what} ({broken.where})", broken.remedy)]


async def _maintenance(client: Client) -> Finding:
    try:
        exists = await namespaces.exists(client)
    except RPCError as error:
        if error.status not in _DENIED:
            raise
        exists = False
    if exists:
        return ok("maintenance namespace", f"{client.namespace} is there")
    remedy = "start a worker, which makes it; where it may not, make it, or set YOUT_TEMPORAL_MAINTENANCE_NAMESPACE"
    return warn("maintenance namespace", f"there is no namespace {client.namespace} that we may use", remedy)


async def _schedules(upkeep: Client, jobs: Client) -> list[Finding]:
    read = await rounds.read(upkeep, jobs, (maintenance.SCHEDULE_ID, audit.SCHEDULE_ID, grants.SCHEDULE_ID))
    if read is None:
        return [warn("schedules", "they could not be read in time", "try again; see Temporal's load")]
    findings = []
    if missing := [one.schedule for one in read if not one.exists]:
        remedy = f"restart a worker of the queue {MAINTENANCE}: it makes them"
        findings.append(warn("schedules", f"{', '.join(missing)}: not there, so that no round begins", remedy))
    if paused := [one for one in read if one.paused]:
        place = f"--schedule-id {paused[0].schedule} --namespace {paused[0].namespace}"
        remedy = f"`temporal schedule toggle --unpause {place}`, or Temporal's UI"
        names = ", ".join(one.schedule for one in paused)
        findings.append(warn("schedules", f"{names}: paused by somebody, so that no round begins", remedy))
    return findings or [ok("schedules", f"all {len(read)} are there, and none is paused")]


async def _attributes(client: Client) -> Finding:
    lacking = await attributes.missing(client)
    if not lacking:
        return ok("search attributes", f"all {len(DEFINITIONS)} are registered")
    what = f"{', '.join(lacking)}: not registered, or this key may not list them"
    return fault(
        "search attributes",
        what,
        f"restart a worker, which registers them. Where it may not: {AttributesMissing(lacking)}",
    )


async def _workers(client: Client, upkeep: str) -> list[Finding]:
    backlogs = await Backlogs(client, QUEUES, {MAINTENANCE: upkeep}).read()
    if backlogs is None:
        return [warn("workers", "the task queues could not be read in time", "try again; see Temporal's load")]
    return of_queues(backlogs)


def of_queues(backlogs: Sequence[Backlog]) -> list[Finding]:
    findings: list[Finding] = []
    if idle := unserved(backlogs):
        remedy = "start a worker that serves them (YOUT_WORKER_QUEUES): what they are given waits until then"
        findings.append(warn("workers", f"no worker has asked for tasks of {', '.join(idle)} within minutes", remedy))
    for one in late(backlogs)[:1]:
        what = f"tasks wait in {one.queue}: {one.waiting:,}, the oldest for {duration(one.age)}"
        remedy = "see whether its workers still run, and are busy: docs/runbooks.md, queue unserved and queue slow"
        findings.append(warn("workers", what, remedy))
    return findings or [ok("workers", f"all {len(QUEUES)} task queues are served")]
