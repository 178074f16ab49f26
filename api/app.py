"""Composition root of an API process."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import structlog
from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.client import Client

from api import (
    background,
    billing,
    chat_models,
    docs,
    edge,
    errors,
    health,
    home,
    keys,
    limit,
    media,
    metrics,
    models,
    openapi,
    outputs,
    quotes,
)
from api.background import MaintenanceTask
from api.chat import ChatEndpoint
from api.cors import Cors
from api.outputs import Outputs
from api.resources import Resources
from api.statement_cursor import StatementCursor
from api.wire import native_chat
from api.wire.native_chat import NativeChat
from api.wire.openai_chat import OpenAIChat
from db.leadership import Leadership
from db.pruning import Pruning
from db.sweeper import Sweeper
from db.writer import LedgerWriter
from domain.errors import ServiceUnavailable
from domain.media import Job
from domain.secrets import Purpose
from gateway.abandoned_streams import AbandonedStreams
from gateway.calls import Calls
from gateway.idempotency import IdempotentRequests
from gateway.jobs import Jobs
from gateway.maintenance import RECOVERY_AGE, Maintenance
from gateway.renewals import renew_for_ever
from gateway.wire import Wire
from providers import tokenizer
from settings import Settings
from temporal.client import connect, converter
from wiring import Wired, open_wired
from workflows import start
from workflows.start import MediaStarter

log = structlog.get_logger(__name__)

_CHAT: dict[str, Wire] = {"/v1/chat/completions": OpenAIChat(), native_chat.ENDPOINT: NativeChat()}
"""The wire that is spoken at each path."""
START_PATIENCE = 2.0
"""Seconds that a client waits for the start of its job's workflow; after that the orphan starter does it."""


class Gateway(FastAPI):
    """FastAPI behind the edge; its busiest endpoints go in front of what the others share."""

    edge: ASGIApp
    hot: Mapping[str, ASGIApp]

    def end_streams(self) -> None:
        """This process stops, and its patience ends."""
        if isinstance(found := getattr(self.state, "resources", None), Resources):
            found.calls.end_streams()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.edge(scope, receive, send)

    async def inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the edge lets through."""
        hot = self.hot.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if hot is not None:
            scope["app"] = self
            await hot(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(settings: Settings) -> Gateway:
    app = Gateway(
        title="Yout",
        version="0.1.0",
        lifespan=_lifespan(settings),
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    errors.install(app)
    app.edge = edge.Edge(app.inside, max_body_bytes=settings.max_body_bytes, cors=Cors(settings.allowed_origins))
    app.hot = {path: ChatEndpoint(wire) for path, wire in _CHAT.items()}
    for path, endpoint in app.hot.items():
        app.router.routes.append(Route(path, endpoint, methods=["POST"]))  # for what is asked of it by other methods
    for router in (
        models.router,
        chat_models.router,
        keys.router,
        limit.router,
        billing.router,
        quotes.router,
        media.router,
        health.router,
        metrics.router,
        home.router,
    ):
        app.include_router(router)
    app.include_router(outputs.router(_outputs))
    docs.install(app)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _outputs(request: Request) -> Outputs:
    found: Outputs = request.app.state.outputs
    return found


def _lifespan(settings: Settings) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _recording(app), AsyncExitStack() as stack:
            wired = await stack.enter_async_context(open_wired(settings))
            ledger = await stack.enter_async_context(LedgerWriter(settings.database_url.get_secret_value()))
            await asyncio.to_thread(tokenizer.load)
            calls = Calls(ledger, wired.catalog, wired.registry.upstream, tokenizer.count, settings.ceiling)
            calls.abandoned = AbandonedStreams(settings.abandoned_stream_timeout, settings.max_abandoned_streams)
            temporal = await connect(wired.address, converter(wired.keyring), lazy=True)
            app.state.resources = _resources(wired, calls, temporal)
            app.state.ledger = ledger
            app.state.maintenance_errors = wired.errors
            app.state.outputs = Outputs(wired.storage, wired.urls, wired.jobs.serves)
            stack.enter_context(wired.catalog.reloading())
            await stack.enter_async_context(_running(_background(wired, calls, temporal)))
            _settle_garbage()
            yield
            app.state.resources.stopping = True
            await calls.drain()

    return lifespan


@asynccontextmanager
async def _recording(app: FastAPI) -> AsyncIterator[None]:
    """Keeps what stops the process, so that it can end with it in one line."""
    try:
        yield
    except Exception as error:
        app.state.start_error = error
        raise


def _settle_garbage() -> None:
    """What is there now stays: the collector need not look through it again and again, in the middle of calls."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def _resources(wired: Wired, calls: Calls, temporal: Client) -> Resources:
    async def start_media(job: Job) -> None:
        try:
            async with asyncio.timeout(START_PATIENCE):
                await start.start(temporal, job)
        except (ServiceUnavailable, TimeoutError):
            log.warning("job accepted, Temporal is away", job=str(job.id))

    async def temporal_answers() -> bool:
        try:
            async with asyncio.timeout(1):
                return await temporal.service_client.check_health()
        except Exception:  # whatever it is, Temporal does not answer
            return False

    return Resources(
        claims=IdempotentRequests(
            wired.settings.secrets.derive(Purpose.IDEMPOTENCY), wired.settings.idempotency_lifetime
        ),
        statement_cursor=StatementCursor(wired.settings.secrets.derive(Purpose.STATEMENT_CURSORS)),
        catalog=wired.catalog,
        database=wired.database,
        calls=calls,
        jobs=Jobs(wired.catalog, wired.jobs, wired.settings.ceiling, start_media),
        urls=wired.urls,
        ceiling=wired.settings.ceiling,
        public_url=wired.settings.public_url.rstrip("/"),
        temporal_answers=temporal_answers,
    )


def _background(wired: Wired, calls: Calls, temporal: Client) -> list[asyncio.Task[None]]:
    maintenance = Maintenance(wired.jobs, MediaStarter(temporal), wired.errors)
    leadership = Leadership(wired.settings.database_url.get_secret_value(), background.MAINTENANCE_LOCK)
    tasks = [
        MaintenanceTask("sweep", Sweeper(wired.database).sweep),
        MaintenanceTask("start_orphans", maintenance.start_orphans),
        MaintenanceTask("recover", maintenance.recover, every=RECOVERY_AGE),
        MaintenanceTask("reconcile", maintenance.reconcile),
        MaintenanceTask("forget", Pruning(wired.database, wired.settings.retention).forget),
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
