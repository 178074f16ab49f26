"""The application: every router behind one edge. It knows HTTP only; `server.py` builds its resources."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from urllib.parse import unquote

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Lifespan, Receive, Scope, Send

import web.routes
from api import (
    billing,
    chat_models,
    chat_settings,
    codec,
    conversations,
    error_document,
    errors,
    health,
    images,
    keys,
    limit,
    media,
    media_events,
    media_files,
    media_jobs,
    messages,
    metrics,
    models,
    openapi,
    outputs,
    payments,
    people,
    plans,
    purge,
    quotes,
    responses,
    shares,
    speech,
    stored_content,
    stored_objects,
    transcriptions,
    uploads,
    usage,
    videos,
    webhooks,
)
from api.chat import ChatEndpoint
from api.cors import Cors
from api.direct import DirectExchange, Handler
from api.edge import Edge, canonical
from api.exchange import Headers
from api.outputs import Outputs
from api.page_calls import PageCalls
from api.request_figures import METHODS, OTHER, STATUS, RequestFigures
from api.request_traces import UNTRACED, RequestTrace, RequestTraces
from api.resources import Resources
from api.route_index import RouteIndex
from api.wire.anthropic_messages import AnthropicMessages
from api.wire.base import ClientWire, ErrorAnswer
from api.wire.native_chat import NativeChat
from api.wire.openai_chat import OpenAIChat
from api.wire.openai_completions import OpenAICompletions
from api.wire.openai_embeddings import OpenAIEmbeddings
from api.wire.openai_responses import OpenAIResponses
from api.wire.openai_responses_compaction import CompactedResponses
from domain.version import VERSION
from web.shares import SharedPages

WIRES: tuple[ClientWire, ...] = (
    AnthropicMessages(),
    OpenAIEmbeddings(),
    OpenAIResponses(),
    CompactedResponses(),
    OpenAICompletions(),
    NativeChat(),
    OpenAIChat(),
)
"""Every client wire of this API, in the order in which they take the body of a quote."""


NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI would export addresses of clients, paths and texts of exceptions wherever the environment says so."""


class Gateway(FastAPI):
    """FastAPI behind the edge. The chat endpoints are served in front of FastAPI."""

    edge: Edge
    hot: Mapping[str, ChatEndpoint]
    wires: Sequence[ClientWire]
    figures: RequestFigures
    traces: RequestTraces | None = None
    """Set where traces are exported."""

    def error_page(self) -> str:
        """Return docs/errors.md."""
        return error_document.written()

    def scope_table(self) -> str:
        """Write who may call what: docs/scopes.md."""
        return openapi.scope_table(self.openapi())

    def end_streams(self) -> None:
        """End all streams and waits for jobs: the process is stopping, and its shutdown timeout has passed."""
        if isinstance(resources := getattr(self.state, "resources", None), Resources):
            resources.calls.end_streams()
            resources.job_changes.stop()

    def end_listeners(self) -> None:
        """End what goes on for ever and can go on at another process: this one stops."""
        if isinstance(resources := getattr(self.state, "resources", None), Resources):
            resources.job_changes.stop(listeners=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.edge(scope, receive, send)
            return
        began, trace = time.perf_counter(), self._trace(scope)
        try:
            await self.edge(scope, receive, send)
        finally:
            route = self._route_of(scope)
            self.figures.ended(scope, route, began)
            if trace is not None:
                _end(trace, scope, route)

    def _trace(self, scope: Scope) -> RequestTrace | None:
        if self.traces is None or scope["path"].startswith(UNTRACED):
            return None
        return self.traces.begin(scope["method"] if scope["method"] in METHODS else OTHER, scope["headers"])

    def _route_of(self, scope: Scope) -> str:
        """Return the path of the route that has served a request, with the names of its parameters."""
        if scope["path"] in self.hot:
            return str(scope["path"])
        return getattr(scope.get("state", {}).get("route"), "path_format", None) or OTHER

    def direct(self, scope: Scope) -> Handler | None:
        """Implements `api.direct.DirectApp`."""
        hot = self.hot.get(canonical(scope["path"])) if scope["method"] == "POST" else None
        return None if hot is None else partial(self._answer_directly, hot)

    async def _answer_directly(self, hot: ChatEndpoint, exchange: DirectExchange) -> None:
        exchange.scope["app"] = self
        began, trace = time.perf_counter(), None if self.traces is None else self._trace(exchange.scope)
        try:
            self.edge.admit(exchange)
            await hot.serve(exchange)
        finally:
            self.figures.ended(exchange.scope, hot.wire.path, began)
            if trace is not None:
                _end(trace, exchange.scope, hot.wire.path)

    async def inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request that has passed the edge."""
        if scope["type"] != "http":
            await self._served(scope, receive, send)
            return
        hot = self.hot.get(scope["path"])
        if hot is not None and scope["method"] == "POST":
            scope["app"] = self
            await hot(scope, receive, send)
        else:
            try:
                await self._served(scope, receive, send)
            finally:
                scope["state"]["route"] = scope.get("route")

    def error_response(self, target: bytes, headers: Headers, error: ErrorAnswer) -> tuple[Headers, bytes]:
        """Implements `api.direct.DirectApp`."""
        path = unquote(target.partition(b"?")[0].decode("latin-1"))
        scope: Scope = {"type": "http", "method": "", "path": path, "headers": headers}
        always = self.edge.enter(scope)
        response = errors.written(error, scope)
        own = [header for header in response.raw_headers if header[0] != b"content-length"]
        return [*own, *always], bytes(response.body)

    def wire_of(self, scope: Scope) -> ClientWire | None:
        """Return the wire of the path, or of the client. None: the path is no wire's, and its client any."""
        hot = self.hot.get(scope["path"])
        return hot.wire if hot is not None else next((wire for wire in self.wires if wire.is_client(scope)), None)

    async def _served(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve by FastAPI. The server closes a connection for what is raised: an answered fault is not."""
        try:
            await super().__call__(scope, receive, send)
        except Exception as error:
            if not errors.answered(error, scope):
                raise


def create_app(
    lifespan: Lifespan[FastAPI],
    *,
    max_body_bytes: int,
    cors: Cors,
    wires: Sequence[ClientWire] = WIRES,
    max_file_bytes: int = 0,
) -> Gateway:
    app = Gateway(
        title="Yout",
        version=VERSION,
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None,
        telemetry=NO_TELEMETRY,
    )
    errors.install(app)
    app.edge = Edge(app.inside, max_body_bytes=max_body_bytes, cors=cors, wire_of=app.wire_of)
    app.edge.max_file_bytes = max(max_body_bytes, max_file_bytes)
    app.wires = wires
    app.figures = RequestFigures()
    app.hot = {wire.path: ChatEndpoint(wire, app.figures) for wire in wires}
    for path, endpoint in app.hot.items():
        app.router.routes.append(Route(path, endpoint, methods=["POST"]))  # answers other methods with 405
    routers = (
        web.routes.pages_router(PageCalls),
        models.router,
        messages.router,
        chat_models.router,
        chat_settings.router,
        conversations.router,
        people.everybody,
        people.signed_in,
        keys.router,
        limit.router,
        billing.router,
        usage.router,
        quotes.router,
        responses.counting,
        stored_objects.router,
        payments.router,
        plans.router,
        uploads.router,
        media_files.router,
        media.router,
        media_jobs.router,
        media_events.router,
        images.router,
        images.editing,
        speech.router,
        transcriptions.router,
        videos.creating,
        videos.router,
        shares.router,
        stored_content.router,
        webhooks.router,
        purge.router,
        health.router,
        metrics.router,
        codec.router,
        outputs.router(_outputs),
        web.routes.router(_shared_pages),
    )
    app.router.routes.append(Route("/openapi.json", openapi.ShippedDocument().answer))
    app.router.routes.append(RouteIndex(route for router in routers for route in router.routes))
    for router in routers:
        app.include_router(router)
    app.openapi = lambda: openapi.document(app, wires)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _end(trace: RequestTrace, scope: Scope, route: str) -> None:
    state = scope.get("state", {})
    wire = state.get(errors.WIRE)
    trace.end(route, state.get(STATUS), state.get("request_id", ""), None if wire is None else wire.endpoint)


def _outputs(request: Request) -> Outputs:
    outputs: Outputs = request.app.state.outputs
    return outputs


def _shared_pages(request: Request) -> SharedPages:
    shared_pages: SharedPages = request.app.state.shared_pages
    return shared_pages
