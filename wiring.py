"""What API and worker processes share: the concrete adapters, opened from settings and closed again in order."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import structlog

import settings as configuration
from catalog import files
from catalog.current import CurrentCatalog
from db import clock_check, sweeper, worker_faults
from db.data_keys import Sealing
from db.deliveries import PendingDeliveries
from db.engine import Database
from db.media import MediaJobs
from db.outage import Outage
from db.stored_outputs import StoredOutputs
from domain import rounds
from domain.catalog import Catalog
from domain.errors import GatewayError, RequestInvalid, where
from domain.faults import Fault, FaultLog
from domain.media import ProviderLimits
from domain.rounds import MaintenanceErrors
from domain.secrets import Purpose
from domain.signed_urls import SignedUrls
from environment import SettingsInvalid
from gateway import delivery_starts, maintenance
from gateway.delivery_starts import DeliveryStarts
from gateway.erasure import AcceptedPurges
from gateway.job_starts import JobStarts
from gateway.maintenance import Maintenance
from gateway.provider_faults import WORDS
from gateway.secret_check import check_secret
from gateway.stored_outputs import StoredOutputsMaintenance
from logs import OperatorFaults
from outbound.client import OutboundClient
from outbound.errors import UrlRefused
from providers.base import Timeouts
from providers.http1 import Http1Transport
from providers.media_http import media_client
from providers.registry import KINDS, Registry, Upstream
from settings import Settings
from storage.objects import ObjectStorage
from storage.probe import probe
from temporal.client import Address
from temporal.codec import Keyring
from temporal.faults import RequestFaults

STORAGE_PAUSE = timedelta(minutes=1)

log = structlog.get_logger(__name__)


class AnyStarter(maintenance.Starter, delivery_starts.Starter, Protocol):
    """Starts what was accepted: jobs, purges and deliveries."""


@dataclass(frozen=True, slots=True)
class Wired:
    settings: Settings
    catalog: CurrentCatalog
    database: Database
    outage: Outage
    faults: OperatorFaults
    request_faults: RequestFaults
    """Of requests to Temporal."""
    sealing: Sealing
    jobs: MediaJobs
    storage: ObjectStorage
    urls: SignedUrls
    registry: Registry
    address: Address
    keyring: Keyring
    errors: MaintenanceErrors
    outputs: StoredOutputsMaintenance
    outbound: OutboundClient
    """Requests to URLs of callers."""

    @property
    def presigned(self) -> Callable[[str, timedelta], Awaitable[str | None]] | None:
        """Makes links of the object store, where the operator wants them."""
        longest = self.settings.presigned_lifetime

        async def link(key: str, left: timedelta) -> str | None:
            return await self.storage.link(key, max(timedelta(seconds=1), min(left, longest)))

        return link if longest else None


def load_catalog(path: Path | None) -> Catalog:
    return files.load(path, configuration.provider_keys, KINDS)


def _media_limits(catalog: CurrentCatalog, name: str) -> ProviderLimits:
    provider = catalog().providers.get(name)
    return ProviderLimits(provider.max_concurrent, provider.requests_per_minute) if provider else ProviderLimits()


def open_storage(settings: Settings, faults: FaultLog) -> ObjectStorage:
    """Open the store of outputs. Raises `SettingsInvalid`, or `OSError` for a folder that cannot be used."""
    url = settings.storage_url or (settings.state_dir.resolve() / "media").as_uri()
    options = configuration.storage_options() if url.startswith("s3:") else {}
    try:
        storage = ObjectStorage.from_url(url, options, faults=faults)
    except ValueError as error:
        raise SettingsInvalid([f"YOUT_STORAGE_URL: {error}"]) from None
    folder = Path(unquote(urlsplit(url).path)) if url.startswith("file:") else settings.state_dir
    if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    return storage


def _urls(settings: Settings) -> SignedUrls:
    return SignedUrls(settings.secrets.derive(Purpose.SIGNED_URLS), settings.public_url, settings.output_url_lifetime)


def url_check(outbound: OutboundClient) -> Callable[[str], None]:
    def check(url: str) -> None:
        try:
            outbound.check(url)
        except UrlRefused as refused:
            raise RequestInvalid(str(refused)) from None

    return check


def maintenance_of(wired: Wired, starter: AnyStarter, starts: JobStarts | None = None) -> Maintenance:
    """`starts`: what the same process starts without being asked by maintenance."""
    maintenance = Maintenance(wired.jobs, AcceptedPurges(wired.database), starter, wired.errors)
    if starts is not None:
        maintenance.recent, maintenance.beginnings = starts.recent, starts.beginnings
    maintenance.deliveries = DeliveryStarts(PendingDeliveries(wired.database), starter, wired.errors)
    return maintenance


def _lifetimes(catalog: Catalog) -> dict[str, timedelta]:
    """How long outputs are stored, by the plan of their account."""
    plans = catalog.offers.plans.values()
    return {plan.id: plan.output_lifetime for plan in plans if plan.output_lifetime is not None}


async def _watch(storage: ObjectStorage) -> None:
    """Try the object store again and again: the operator learns what is wrong there before jobs fail of it."""
    while True:
        with suppress(GatewayError):
            await probe(storage)
        await asyncio.sleep(STORAGE_PAUSE.total_seconds())


def _of_providers(faults: OperatorFaults) -> list[Fault]:
    """Return what shows of providers: nobody but the processes that call them can look for that."""
    named = {what for what, _ in WORDS.values()}
    return [fault for fault in faults.showing() if fault.what in named]


def _of_parts(faults: OperatorFaults) -> list[Fault]:
    """Return what shows, without ids of rows: what failed of a task is one fault, and overdue holds have a metric."""
    shown = [rounds.of_task(fault) for fault in faults.showing() if fault.what != sweeper.FAULT]
    return list(dict.fromkeys(shown))


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def open_wired(settings: Settings, *, reports: bool = False) -> AsyncIterator[Wired]:
    """For a worker, `reports`: the database has all that it meets, since it has no metrics of its own."""
    async with AsyncExitStack() as stack:
        catalog = CurrentCatalog(lambda: load_catalog(settings.catalog))
        faults = OperatorFaults(log)
        url = settings.database_url.get_secret_value()
        outage = Outage(url, faults, patient=reports)  # attempts of activities are counted
        database = Database.open(url, pool=settings.database_pool, outage=outage)
        stack.push_async_callback(database.close)
        timeouts = Timeouts(
            connect=settings.upstream_connect_timeout,
            first_byte=settings.upstream_first_byte_timeout,
            idle=settings.upstream_idle_timeout,
            total=settings.upstream_total_timeout,
        )
        transport = Http1Transport(settings.upstream_connections)
        stack.push_async_callback(transport.close)
        demo = settings.state_dir.resolve() / "demo"
        media = media_client()
        stack.push_async_callback(media.aclose)
        upstream = Upstream(transport, timeouts, demo, settings.referer, media)
        storage, errors = open_storage(settings, faults), MaintenanceErrors(faults, where)
        sealing = Sealing(settings.wrapping)
        watches = {
            "secret": check_secret(database, settings.wrapping, faults),
            "database": database.watch_outage(),
            "clock": clock_check.watch(database, faults),
            "storage": _watch(storage),
        }
        reported = _of_parts if reports else _of_providers
        watches["faults"] = worker_faults.watch(database, lambda: reported(faults))
        for name, watch in watches.items():
            stack.push_async_callback(_ended, asyncio.create_task(watch, name=name))
        outbound = OutboundClient(loopback=settings.webhooks_allow_loopback, denied=settings.denied)
        await stack.enter_async_context(outbound)
        yield Wired(
            settings=settings,
            catalog=catalog,
            database=database,
            outage=outage,
            faults=faults,
            request_faults=RequestFaults(faults),
            sealing=sealing,
            jobs=MediaJobs(
                database,
                sealing,
                output_lifetime=settings.output_lifetime,
                plan_of=lambda name: catalog().offers.plans.get(name),
                max_stored_bytes=settings.max_stored_bytes,
            ).limited_by(partial(_media_limits, catalog)),
            storage=storage,
            urls=_urls(settings),
            registry=Registry(catalog, upstream),
            address=Address(*settings.temporal_server),
            keyring=Keyring.of(settings.secrets.derive(Purpose.TEMPORAL_PAYLOADS)),
            errors=errors,
            outputs=StoredOutputsMaintenance(
                StoredOutputs(database),
                storage,
                errors,
                lambda: max(settings.output_lifetime, *_lifetimes(catalog()).values(), timedelta()),
            ),
            outbound=outbound,
        )
