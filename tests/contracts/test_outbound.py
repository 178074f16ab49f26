"""What leaves this server, of every client wire and to every kind of provider: streamed or not, retried, after others.

One caller says who they are in every place that a request has. A recorder is all providers at once, over real HTTP, and
fails each request, so that a call goes from one provider to the next. A new kind or wire needs an entry here.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from aiohttp import web
from pydantic import SecretStr

import api.app
from api.cors import Cors
from api.session_cookie import SessionCookie
from domain import keys
from domain.catalog import Capability, Modality, Model, Provider, Route
from domain.limits import NO_LIMITS
from domain.request_fields import ABOUT_THE_CALLER
from domain.secrets import DerivedKeys
from gateway.body_budget import BodyBudget
from gateway.calls import Calls
from gateway.idempotency import IdempotentRequests
from providers.base import Timeouts
from providers.http1 import Http1Transport
from providers.registry import KINDS, Registry, Upstream
from tests.support.doubles.chat_calls import CATALOG, count
from tests.support.doubles.threaded_app import ThreadedApp
from tests.support.wire_app import OpenBooks

CANARY, TOKEN = "CANARY", keys.mint(bytes(range(32)))
PEOPLE = {"user_id": CANARY, "user": CANARY, "email": f"{CANARY}@example.test"}
PASSING = ("none", "everything")
"""What `passes` of the catalog allows: nothing, or all (`*`)."""
WITHIN = {"none": {"owner": CANARY, **PEOPLE}, "everything": PEOPLE}
HEADERS = {
    "authorization": f"Bearer {TOKEN}",
    "user-agent": f"OpenAI/Python {CANARY}",
    "cookie": f"yout={CANARY}",
    "referer": f"https://{CANARY}.example.test",
    "forwarded": f"for={CANARY}",
    "idempotency-key": f"{CANARY}-0123456789",
    "anthropic-beta": CANARY,
    **dict.fromkeys(("x-forwarded-for", "x-real-ip", "cf-connecting-ip", "true-client-ip", "via"), CANARY),
    **dict.fromkeys(("http-referer", "x-title", "openai-organization", "openai-project", "x-user-id"), CANARY),
    **dict.fromkeys(("x-stainless-os", "x-request-id", "x-client-request-id", "traceparent", "baggage"), CANARY),
    **dict.fromkeys(("accept-language", "from", "x-session-id"), CANARY),
}
CHATTING = {name for name, kind in KINDS.items() if kind.chat is not None} - {"demo"}
"""The demo answers from memory: nothing leaves."""
SIGNALS: Mapping[str, Mapping[str, Any]] = {
    "openai": {"store": False},
    "azure": {"store": False},
    "openrouter": {"provider": {"data_collection": "deny", "zdr": True}},
    "gemini": {"store": False},
    "openai_responses": {"store": False},
    "anthropic": {},
    "vertex": {},
}
"""What the strongest signal of each vendor is in a chat, where it has one in the request."""
UNDOING = {"store": True, "privacy": "default", "provider": {"data_collection": "allow", "zdr": False}}
NO_STORE = ("/v1/embeddings",)
"""Endpoints of vendors that have no `store`."""


def person(passing: str) -> dict[str, Any]:
    """Who the caller is, by every name that a field of a body may have for it."""
    fields: dict[str, Any] = dict.fromkeys(ABOUT_THE_CALLER - {"metadata", "headers", "conversation_id"}, CANARY)
    unknown = {"owner": CANARY} if passing == "none" else {}
    return {**fields, **unknown, "metadata": {"user_id": CANARY}, "prompt_cache_retention": "24h", **UNDOING}


def message(passing: str, **own: Any) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": "Hello", **WITHIN[passing]}], **own}


def tool(passing: str) -> dict[str, Any]:
    defined = {"name": "f", "parameters": {"type": "object", "properties": {}}, **WITHIN[passing]}
    return {"type": "function", "function": defined, **WITHIN[passing]}


def chat(passing: str) -> dict[str, Any]:
    messages = [message(passing, **WITHIN[passing]), {"role": "assistant", "content": "Hi", **WITHIN[passing]}]
    return {"messages": [*messages, {"role": "user", "content": "And?"}], "tools": [tool(passing)]}


def anthropic(passing: str) -> dict[str, Any]:
    own = WITHIN[passing]
    defined = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
    return {"messages": [message(passing, **own)], "max_tokens": 20, "tools": [{**defined, **own}]}


def responses(passing: str) -> dict[str, Any]:
    own = WITHIN[passing]
    part = {"type": "input_text", "text": "Hello", **own}
    defined = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": False}
    return {"input": [{"role": "user", "content": [part], **own}], "tools": [{**defined, **own}]}


BODIES: Mapping[str, Any] = {
    "/v1/chat/completions": chat,
    "/api/chat/stream/": chat,
    "/v1/messages": anthropic,
    "/v1/responses": responses,
    "/v1/responses/compact": responses,
    "/v1/completions": lambda _: {"prompt": "Hello"},
    "/v1/embeddings": lambda _: {"input": "Hello"},
}
CASES = [(path, stream, passing) for path in BODIES for stream in (False, True) for passing in PASSING]


@dataclass(slots=True)
class Recorded:
    kind: str
    target: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(slots=True)
class Recorder(ThreadedApp):
    """Every provider: it notes what comes, and is overloaded."""

    requests: list[Recorded] = field(default_factory=list)

    def routes(self, app: web.Application) -> None:
        app.router.add_route("*", "/{kind}/{rest:.*}", self._record)

    async def _record(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        self.requests.append(Recorded(request.match_info["kind"], request.path_qs, dict(request.headers), body))
        return web.json_response({"error": {"message": "later"}}, status=503)


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with Recorder() as started:
        yield started


def model(recorder: Recorder, kinds: list[str], passing: str, modality: Modality) -> Model:
    passes = frozenset({"*"}) if passing == "everything" else frozenset[str]()
    routes = []
    for kind in kinds:
        url, store = f"http://127.0.0.1:{recorder.port}/{kind}", frozenset({Capability.STORE})
        provider = Provider(name=kind, kind=kind, active=True, base_url=url, api_key=SecretStr("sk-ours"))
        capabilities = store if kind in ("openai", "azure") else frozenset[Capability]()
        routes.append(Route(provider=provider, model="m", weight=1, capabilities=capabilities, passes=passes))
    entry = next(each for each in CATALOG.active_models() if each.modality is modality)
    return entry.model_copy(update={"id": "theirs", "routes": tuple(routes), "supported_parameters": None})


@asynccontextmanager
async def nothing(_: object) -> AsyncIterator[None]:
    yield


@asynccontextmanager
async def client(served: Model, folder: Path) -> AsyncIterator[httpx2.AsyncClient]:
    providers = {route.provider.name: route.provider for route in served.routes}
    catalog = CATALOG.model_copy(update={"models": {served.id: served}, "providers": providers})
    transport, timeouts = Http1Transport(4), Timeouts(*[timedelta(seconds=10)] * 4)
    registry = Registry(lambda: catalog, Upstream(transport, timeouts, folder, "https://yout.chat"))
    calls = Calls(OpenBooks(), lambda: catalog, registry.upstream, count, NO_LIMITS)
    calls.router.chance = lambda: 0.0
    app = api.app.create_app(nothing, max_body_bytes=100_000, cors=Cors())
    app.state.resources = SimpleNamespace(
        calls=calls,
        bodies=BodyBudget(1000),
        claims=IdempotentRequests(DerivedKeys(b"s" * 32)),
        ceiling=NO_LIMITS,
        cookie=SessionCookie("http://test"),
    )
    asgi = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=asgi, base_url="http://test") as http:
        yield http
    await transport.close()


def kinds_for(path: str) -> list[str]:
    makes = Modality.EMBEDDING if path == "/v1/embeddings" else Modality.TEXT
    return sorted(name for name in CHATTING if makes in KINDS[name].makes)


def test_every_kind_and_every_wire_is_here() -> None:
    assert SIGNALS.keys() == CHATTING
    assert {wire.path for wire in api.app.WIRES} == BODIES.keys()


@pytest.mark.parametrize(("path", "stream", "passing"), CASES)
async def test_nothing_about_the_caller_and_the_signal_always(
    recorder: Recorder, tmp_path: Path, path: str, *, stream: bool, passing: str
) -> None:
    kinds = kinds_for(path)
    modality = Modality.EMBEDDING if path == "/v1/embeddings" else Modality.TEXT
    streamed = {"stream": True} if stream and modality is Modality.TEXT else {}
    body = {"model": "theirs", **person(passing), **BODIES[path](passing), **streamed}
    recorder.requests.clear()
    async with client(model(recorder, kinds, passing, modality), tmp_path) as http:
        answer = await http.post(path, json=body, headers=HEADERS)
    assert answer.status_code >= 429, answer.text  # the providers' failure, not a refusal of ours
    called = [each.kind for each in recorder.requests][: len(kinds)]
    assert sorted(called) == kinds  # a kind of the client's wire comes first
    assert len(recorder.requests) > len(kinds), "one is asked again"
    for request in recorder.requests:
        check(request, path)


def check(request: Recorded, path: str) -> None:
    written = json.dumps([request.target, request.headers, request.body])
    assert CANARY not in written, written
    assert TOKEN not in written
    assert request.headers["User-Agent"] == "yout"
    signal = dict(SIGNALS[request.kind])
    if path in NO_STORE or (request.target.endswith("/completions") and "/chat/" not in request.target):
        signal.pop("store", None)
    assert {name: request.body.get(name) for name in ("store", "provider") if name in request.body} == signal
    assert "privacy" not in request.body
