"""Composition root of an API process: `python -m api`, or `yout api`, runs `main`."""

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import NoReturn
from urllib.parse import urlsplit

import structlog
from fastapi import FastAPI
from temporalio.client import Client

import api.app
import settings as configuration
from api import background
from api.app import Gateway
from api.background import MaintenanceTask
from api.client_address import ClientAddresses
from api.codec import CodecServer
from api.cors import Cors
from api.outputs import Outputs
from api.resources import Resources
from api.serving import serve
from api.session_cookie import SessionCookie
from api.statement_cursor import StatementCursor
from api.visitor_cookie import VisitorCookie
from db import shares as stored_shares
from db import uploads as stored_uploads
from db.deliveries import WebhookPruning
from db.engine import Database
from db.job_changes import ChangedJobs, JobSignals
from db.leadership import Leadership
from db.pruning import Pruning
from db.sweeper import Sweeper
from db.videos import Videos
from db.writer import LedgerWriter
from domain.media_files import MIB
from domain.secrets import Purpose
from domain.visitors import VisitorCookies
from gateway.abandoned_streams import AbandonedStreams
from gateway.account_files import AccountFiles
from gateway.beginnings import Beginnings
from gateway.body_budget import BodyBudget
from gateway.calls import Calls
from gateway.conversations import Conversations
from gateway.delivery_log import DeliveryLog
from gateway.erasure import Erasure
from gateway.free_tier import FreeTier
from gateway.idempotency import IdempotentRequests
from gateway.job_cancellations import JobCancellations
from gateway.job_changes import JobChanges
from gateway.job_starts import JobStarts
from gateway.jobs import Jobs
from gateway.known_browsers import KnownBrowsers
from gateway.letters import Letters
from gateway.listeners import Listeners
from gateway.maintenance import RECOVERY_AGE
from gateway.media_inputs import FileReaders, MediaInputs, UrlFiles
from gateway.operators import Operators
from gateway.outbox import Outbox
from gateway.passwords import Passwords
from gateway.payments import EventReader, Payments
from gateway.people import People
from gateway.provider_faults import ProviderFaults
from gateway.purge_receipts import ReceiptKeys
from gateway.renewals import renew_for_ever
from gateway.saved_turns import ConversationTurns
from gateway.sessions import Sessions
from gateway.shares import Shares
from gateway.stored_content import StoredContent
from gateway.throttles import Throttles
from gateway.uploads import UploadRules, Uploads
from gateway.visitor_days import VisitorDays
from gateway.visitors import VisitorMaintenance, Visitors
from gateway.webhooks import Webhooks
from logs import OperatorFaults, configure
from outbound.errors import FileUnusable, UrlRefused
from outbound.smtp import SmtpMailer
from providers import tokenizer
from settings import Settings
from storage import facts
from storage.lengths import Lengths
from temporal import faults as temporal_faults
from temporal.backlogs import Backlogs
from temporal.client import connect, converter
from temporal.codec import EncryptionCodec
from temporal.codec_server import PayloadDecoder
from tracing.start import NO_TRACES, Untraced, exporting
from web.api import Server
from web.shares import SharedPages
from wiring import Wired, maintenance_of, open_wired, url_check
from workflows.engine import Engine
from workflows.options import MAINTENANCE, QUEUES
from workflows.start import Starter

log = structlog.get_logger(__name__)

MAIL_TIMEOUT = timedelta(seconds=5)
"""How long a process that ends waits for mails on their way."""
STRANGERS_POOL = 4
"""Connections for what needs no key: sign-in, shared pages, visitors. Strangers wait for these, and for no others."""


def create_app(settings: Settings, traces: Untraced = NO_TRACES) -> Gateway:
    app = api.app.create_app(
        _lifespan(settings, traces),
        max_body_bytes=settings.max_body_bytes,
        max_file_bytes=settings.file_limits.largest_body,
        cors=Cors(settings.allowed_origins, settings.allowed_codec_origins),
    )
    app.traces = traces.requests(joins=settings.traces_from_callers)
    return app


def _lifespan(
    settings: Settings, traces: Untraced
) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if settings.sends_in_the_open:
            log.warning("YOUT_PUBLIC_URL is http: keys, passwords and prompts cross the network for all to read")
        async with _recording(app), AsyncExitStack() as stack:
            wired = await stack.enter_async_context(open_wired(settings))
            wired = replace(wired, jobs=traces.jobs(wired.jobs))
            ledger = await stack.enter_async_context(
                LedgerWriter(settings.database_url.get_secret_value(), outage=wired.outage)
            )
            ledger.check()
            await asyncio.to_thread(tokenizer.load)
            calls = Calls(
                traces.ledger(ledger), wired.catalog, wired.registry.upstream, tokenizer.count, settings.ceiling
            )
            calls.traces = traces.calls()
            calls.router.faults = ProviderFaults(wired.faults)
            calls.abandoned = AbandonedStreams(settings.abandoned_stream_timeout, settings.max_abandoned_streams)
            temporal = await connect(
                wired.address, converter(wired.keyring), lazy=True, interceptors=traces.interceptors()
            )
            strangers = Database.open(
                settings.database_url.get_secret_value(), pool=STRANGERS_POOL, outage=wired.outage
            )
            stack.push_async_callback(strangers.close)
            await asyncio.gather(wired.database.warm(), strangers.warm())
            people = await stack.enter_async_context(_people(wired, strangers))
            watching = temporal_faults.watch(temporal, wired.address, wired.faults, wired.request_faults)
            await stack.enter_async_context(_running([asyncio.create_task(watching, name="temporal")]))
            engine = Engine(temporal, wired.request_faults)
            starts = JobStarts(engine.start_job, wired.jobs.owned, Beginnings(wired.jobs.beginning))
            stack.push_async_callback(starts.close)
            app.state.resources = resources = _resources(wired, calls, engine, people, starts)
            calls.conversation_turns = ConversationTurns(wired.database, wired.sealing, resources.conversations.whole)
            app.state.shared_pages = SharedPages(resources.shares, settings.operator_contact)
            app.state.page_server = await _page_server(wired)
            app.state.ledger = ledger
            app.state.maintenance_errors, app.state.faults = wired.errors, wired.faults
            app.state.metrics_token = settings.metrics_secret
            app.state.codec = CodecServer(
                Operators(settings.codec_operators), PayloadDecoder(EncryptionCodec(wired.keyring))
            )
            app.state.outputs = Outputs(wired.storage, wired.urls, wired.jobs.serves, wired.presigned)
            stack.enter_context(wired.catalog.reloading())
            changes = asyncio.create_task(resources.job_changes.run(), name="job changes")
            await stack.enter_async_context(_running([changes, *_background(wired, calls, temporal, starts)]))
            _settle_garbage()
            yield
            resources.stopping = True
            await calls.drain()

    return lifespan


async def _page_server(wired: Wired) -> Server:
    settings, origin = wired.settings, ""
    if wired.presigned is not None and (link := await wired.presigned("probe", timedelta(seconds=1))) is not None:
        parts = urlsplit(link)
        origin = f"{parts.scheme}://{parts.netloc}"
    return Server(
        public_url=settings.public_url.rstrip("/"),
        contact=settings.operator_contact,
        free_credits=settings.free_tier_credits,
        verifies=settings.email_verification,
        media_origin=origin,
        max_body_bytes=settings.max_body_bytes,
        takes_loopback=settings.webhooks_allow_loopback,
        output_lifetime=settings.output_lifetime,
        share_lifetime=settings.share_lifetime,
        mails=settings.mail_server is not None,
    )


@asynccontextmanager
async def _recording(app: FastAPI) -> AsyncIterator[None]:
    """Keeps what stops the process, so that it can end with it in one line."""
    try:
        yield
    except Exception as error:
        app.state.start_error = error
        raise


def _settle_garbage() -> None:
    """What is there now stays: the collector need not look through it again and again, in the middle of calls.

    `python -m api` has switched it off while the process starts.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    gc.enable()


def _resources(wired: Wired, calls: Calls, engine: Engine, people: People, starts: JobStarts) -> Resources:
    settings = wired.settings
    rules = UploadRules(settings.upload_lifetime, settings.max_uploads_mib * MIB, settings.max_stored_bytes)
    uploads = Uploads(wired.database, wired.sealing, rules)
    urls = UrlFiles(wired.outbound, (UrlRefused, FileUnusable))
    bodies = BodyBudget(settings.max_bodies_mib * MIB)
    inputs = MediaInputs(uploads, FileReaders(facts.read, Lengths()), settings.file_limits, bodies, urls)
    return Resources(
        claims=IdempotentRequests(settings.secrets.derive(Purpose.IDEMPOTENCY), settings.idempotency_lifetime),
        statement_cursor=StatementCursor(settings.secrets.derive(Purpose.STATEMENT_CURSORS)),
        catalog=wired.catalog,
        database=wired.database,
        calls=calls,
        bodies=bodies,
        conversations=Conversations(wired.database, wired.sealing, calls.turns),
        jobs=Jobs(wired.catalog, wired.jobs, settings.ceiling, starts.add, inputs),
        uploads=uploads,
        account_files=AccountFiles(wired.database, rules.max_stored_bytes, rules.max_bytes),
        inputs=inputs,
        job_changes=JobChanges(
            JobSignals(settings.database_url.get_secret_value(), wired.outage),
            ChangedJobs(wired.database),
            wired.errors,
        ),
        videos=Videos(wired.database),
        listeners=Listeners(settings.max_listeners_per_account, settings.max_listeners),
        cancellations=JobCancellations(wired.jobs, engine.cancel_job),
        shares=Shares(wired.database, people.database, wired.sealing, settings.max_shares),
        share_lifetimes=settings.share_lifetimes,
        urls=wired.urls,
        ceiling=settings.ceiling,
        public_url=settings.public_url.rstrip("/"),
        erasure=Erasure(wired.database, settings.wrapping, engine.start_purge),
        stored_content=StoredContent(wired.database, settings.keeping),
        receipt_keys=ReceiptKeys(wired.database, settings.wrapping),
        sessions=people.sessions,
        people=people,
        cookie=SessionCookie(settings.public_url),
        visitors=_visitors(wired, people.database, calls),
        visitor_cookie=VisitorCookie(
            settings.public_url, VisitorCookies(settings.secrets.derive(Purpose.VISITOR_COOKIES))
        ),
        addresses=ClientAddresses(settings.proxy_networks),
        webhooks=Webhooks(wired.database, wired.sealing, url_check(wired.outbound), settings.max_webhook_endpoints),
        delivery_log=DeliveryLog(wired.database, wired.sealing),
        temporal_answers=engine.answers,
        backlogs=Backlogs(engine.client, QUEUES, {MAINTENANCE: settings.maintenance_namespace}).read,
        payments=Payments(wired.database, wired.catalog, _event_reader(settings), wired.faults),
    )


def _visitors(wired: Wired, strangers: Database, calls: Calls) -> Visitors:
    rules = wired.settings.visitor_rules
    return Visitors(VisitorDays(strangers, wired.settings.wrapping, rules.credits_day), calls, rules)


@asynccontextmanager
async def _people(wired: Wired, strangers: Database) -> AsyncIterator[People]:
    """Opens what sign-in needs. In the end, mails on their way get a moment to leave."""
    settings, keys = wired.settings, wired.settings.secrets.derive(Purpose.SIGN_IN)
    mailer = None if settings.mail_server is None else SmtpMailer(settings.mail_server, settings.sender, wired.faults)
    if settings.email_verification and mailer is None:
        log.warning("nobody can sign up without the operator: set YOUT_SMTP_URL, or YOUT_EMAIL_VERIFICATION=false")
    passwords, outbox = Passwords(), Outbox(mailer)
    try:
        yield People(
            database=strangers,
            sessions=Sessions(wired.database, settings.session_lifetimes),
            passwords=passwords,
            throttles=Throttles(strangers, keys.current),
            browsers=KnownBrowsers(keys),
            free_tier=FreeTier(settings.wrapping, settings.free_tier_credits),
            letters=Letters(settings.public_url),
            outbox=outbox,
            verification=settings.email_verification,
        )
    finally:
        passwords.close()
        await outbox.close(MAIL_TIMEOUT)


def _event_reader(settings: Settings) -> EventReader | None:
    """Loads Stripe's library, which is large, only where payments are set up."""
    if not settings.stripe_secrets:
        return None
    from providers.stripe_events import StripeEvents

    return StripeEvents(settings.stripe_secrets, livemode=settings.stripe_livemode)


def _background(wired: Wired, calls: Calls, temporal: Client, starts: JobStarts) -> list[asyncio.Task[None]]:
    maintenance = maintenance_of(wired, Starter(temporal, wired.request_faults), starts)
    leadership = Leadership(wired.settings.database_url.get_secret_value(), background.MAINTENANCE_LOCK)
    tasks = [
        MaintenanceTask("sweep", Sweeper(wired.database, faults=wired.faults).sweep),
        MaintenanceTask("start_orphans", maintenance.start_orphans),
        MaintenanceTask("start_deliveries", maintenance.start_deliveries),
        MaintenanceTask("recover", maintenance.recover, every=RECOVERY_AGE),
        MaintenanceTask("reconcile", maintenance.reconcile),
        MaintenanceTask(
            "forget_visitors", VisitorMaintenance(wired.database, wired.errors).forget, every=timedelta(minutes=1)
        ),
        MaintenanceTask(
            "forget",
            Pruning(
                wired.database, wired.settings.retention, wired.errors, lifetime=wired.settings.session_lifetimes
            ).forget,
        ),
        MaintenanceTask(
            "forget_webhooks",
            WebhookPruning(wired.database, wired.settings.webhook_retention).forget,
            every=timedelta(minutes=1),
        ),
        MaintenanceTask("delete_expired_shares", partial(stored_shares.delete_expired, wired.database)),
        MaintenanceTask("delete_expired_uploads", partial(stored_uploads.delete_expired, wired.database)),
        MaintenanceTask("delete_expired_outputs", wired.outputs.delete_expired),
        MaintenanceTask("delete_orphaned_outputs", wired.outputs.delete_orphans, every=timedelta(minutes=1)),
    ]
    return [
        asyncio.create_task(renew_for_ever(calls), name="renewals"),
        asyncio.create_task(background.run(leadership, tasks, wired.errors), name="maintenance"),
    ]


@asynccontextmanager
async def _running(tasks: list[asyncio.Task[None]]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _end(*_: object) -> NoReturn:
    """Uvicorn stops in good order and then sends itself the signal again, which would make a failure of it."""
    sys.exit(0)


def main() -> int:
    settings = configuration.load()
    with exporting("yout-api", OperatorFaults(log)) as traces:
        configure(settings.log_format, traces.log_ids)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _end)
        return serve(create_app(settings, traces), settings.host, settings.port, settings.shutdown_timeout)
