"""A worker process, `python -m worker`: serves task queues until it is told to stop, and then drains.

One process serves them all by default; `YOUT_WORKER_QUEUES` and `YOUT_WORKER_ROLE` make fleets that scale apart.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import structlog
from temporalio.client import Client, Interceptor
from temporalio.converter import DataConverter
from temporalio.service import RPCError

import exits
import logs
import settings as configuration
from domain.faults import FaultLog
from environment import SettingsInvalid
from fleets import Fleet, Parts, Role, build_id, workers
from settings import Settings, WorkflowWorkerSettings
from temporal import attributes, failpoints, faults, namespaces
from temporal.attributes import AttributesMissing
from temporal.client import Address, connect, converter
from temporal.codec import Keyring
from temporal.faults import RequestFaults
from temporal.slots import Slots
from tracing.start import NO_TRACES, Untraced, exporting
from workflows import audit, grants, maintenance, schedules
from workflows.audit import ensure_schedule
from workflows.maintenance import ensure_schedules
from workflows.options import MAINTENANCE, QUEUES

_RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


def with_failpoint(parts: Parts, failpoint: str | None) -> Parts:
    point = failpoints.Failpoint(failpoint or "")
    if point.where == failpoints.SUBMIT_BETWEEN:
        return replace(parts, providers=lambda *given: failpoints.fatal(parts.providers(*given), "submit", point))
    if point.where == failpoints.COPY_BETWEEN:
        return replace(parts, storage=failpoints.fatal(parts.storage, "put", point))
    return parts


async def serve(
    client: Client, parts: Parts | None, fleet: Fleet, stop: asyncio.Event, upkeep: Client | None = None
) -> None:
    """Until `stop` is set; then what runs may end within the drain. Raises what a worker could not survive."""
    over = asyncio.Event()
    serving = workers(client, parts and with_failpoint(parts, fleet.failpoint), fleet, upkeep)
    running = [asyncio.create_task(worker.run()) for worker in serving]
    stopped = asyncio.create_task(stop.wait())
    for task in (*running, stopped):
        task.add_done_callback(lambda _: over.set())
    await over.wait()
    log.info("stopping: what runs has %d s to end", fleet.drain.total_seconds())
    stopped.cancel()
    # All of them: one that is about to start does not run yet, and would never learn of it.
    await asyncio.gather(*(worker.shutdown() for worker in serving))
    await asyncio.gather(*running)


@dataclass(frozen=True, slots=True)
class Temporal:
    address: Address
    conversion: DataConverter
    maintenance: str | None = None
    """The namespace of maintenance. None: that of the jobs."""
    interceptors: Sequence[Interceptor] = ()
    faults: FaultLog = field(default_factory=lambda: logs.OperatorFaults(structlog.get_logger(__name__)))
    request_faults: RequestFaults | None = None
    """Of maintenance. None: this process does none."""

    @property
    def maintenance_address(self) -> Address:
        return replace(self.address, namespace=self.maintenance or self.address.namespace)


async def run(temporal: Temporal, parts: Parts | None, fleet: Fleet, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, whatever becomes of Temporal meanwhile."""
    while not stop.is_set():
        try:
            client = await connect(temporal.address, temporal.conversion, interceptors=temporal.interceptors)
            await attributes.ensure(client)
            upkeep = await _upkeep(temporal, client) if MAINTENANCE in fleet.served else client
            log.info("serving %s of %s, build %s", fleet.role.value, ", ".join(fleet.served), build_id())
            watching = asyncio.create_task(
                faults.watch(client, temporal.address, temporal.faults, temporal.request_faults), name="temporal"
            )
            try:
                await serve(client, parts, fleet, stop, upkeep)
            finally:
                watching.cancel()
        except (RPCError, RuntimeError, AttributesMissing) as error:
            faults.note(error, temporal.address, temporal.faults)
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
        address = temporal.maintenance_address
        upkeep = await connect(address, temporal.conversion, interceptors=temporal.interceptors)
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
async def build(settings: Settings, traces: Untraced = NO_TRACES) -> AsyncIterator[tuple[Temporal, Parts]]:
    """The concrete adapters. They open without their servers, which may come up later."""
    from db.audit import Audits
    from db.job_files import JobFiles
    from db.pruning import Pruning
    from db.sweeper import Sweeper
    from gateway.deliveries import Deliveries
    from gateway.erasure_steps import ErasureSteps
    from gateway.media_keys import MediaKeys
    from gateway.plans import PlanGrants
    from gateway.provider_faults import ProviderFaults
    from gateway.watched_media import WatchedMedia
    from storage import sniff
    from storage.posters import Posters
    from wiring import maintenance_of, open_wired  # here: fleets without a database driver are built too
    from workflows.start import Starter

    async with open_wired(settings, reports=True) as wired:
        with wired.catalog.reloading():
            yield (
                Temporal(
                    wired.address,
                    converter(wired.keyring, wired.faults),
                    settings.maintenance_namespace,
                    traces.interceptors(),
                    wired.faults,
                    wired.request_faults,
                ),
                Parts(
                    wired.jobs,
                    traces.providers(WatchedMedia(MediaKeys(wired.registry.media), ProviderFaults(wired.faults))),
                    wired.storage,
                    sniff.content_type,
                    Audits(wired.database),
                    Sweeper(wired.database, faults=wired.faults),
                    Pruning(wired.database, settings.retention, wired.errors, lifetime=settings.session_lifetimes),
                    lambda client: maintenance_of(wired, Starter(client, wired.request_faults)),
                    wired.outputs,
                    PlanGrants(wired.database, wired.catalog, wired.errors),
                    lambda histories: ErasureSteps(
                        wired.database, settings.wrapping, wired.storage, wired.jobs, histories
                    ),
                    traces.deliveries(Deliveries(wired.database, wired.sealing, wired.outbound)),
                    JobFiles(wired.database, wired.sealing),
                    Posters(),
                ),
            )


@asynccontextmanager
async def _opened(
    settings: Settings | WorkflowWorkerSettings, traces: Untraced
) -> AsyncIterator[tuple[Temporal, Parts | None]]:
    if isinstance(settings, Settings):
        async with build(settings, traces) as (temporal, parts):
            yield temporal, parts
    else:
        conversion = converter(Keyring.of(settings.payload_keys))
        address = Address(*settings.temporal_server)
        yield Temporal(address, conversion, settings.maintenance_namespace, traces.interceptors()), None


def fleet_of(settings: Settings | WorkflowWorkerSettings) -> Fleet:
    slots = Slots(
        media=settings.worker_media_slots,
        memory=settings.worker_memory_target,
        cpu=settings.worker_cpu_target,
        workflows=settings.worker_workflow_slots,
    )
    try:
        fleet = Fleet(settings.queues or QUEUES, Role(settings.worker_role), settings.shutdown_timeout, slots)
    except ValueError as error:
        raise SettingsInvalid([f"YOUT_WORKER_QUEUES: {error}"]) from None
    if isinstance(settings, Settings):
        return replace(fleet, slots=replace(slots, ledger=settings.database_pool), failpoint=settings.failpoint)
    return fleet


async def main(settings: Settings | WorkflowWorkerSettings) -> None:
    with exporting("yout-worker", logs.OperatorFaults(structlog.get_logger(__name__))) as traces:
        logs.configure(settings.log_format, traces.log_ids)
        await _serve(settings, traces)


async def _serve(settings: Settings | WorkflowWorkerSettings, traces: Untraced) -> None:
    logging.getLogger("temporalio.worker").setLevel(logging.WARNING)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    fleet = fleet_of(settings)
    async with _opened(settings, traces) as (temporal, parts):
        await run(temporal, parts, fleet, stop)
    # The SDK's threads need a moment: an interpreter that ends at once after using it may crash on Python 3.11.
    await asyncio.sleep(0.3)


if __name__ == "__main__":
    sys.exit(exits.run(lambda: asyncio.run(main(configuration.load_worker()))))
