"""A body is in memory once, as what was read out of it, while its request is answered: an answer may take minutes."""

from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest
from fastapi import APIRouter, FastAPI

from api import auth, body, ratelimit
from api.body import LargeBodyRoute
from api.chat import ChatEndpoint
from api.exchange import Exchange
from api.request_figures import RequestFigures
from api.wire.base import ClientWire
from domain.caller import Caller
from gateway.body_budget import BodyBudget

GONE: list[bool] = []


class Noted(bytes):
    def __del__(self) -> None:
        GONE.append(True)


async def _read(*_: object, **__: object) -> bytes:
    return Noted(b"{}")


@pytest.fixture(autouse=True)
def noted(monkeypatch: pytest.MonkeyPatch) -> None:
    GONE.clear()
    monkeypatch.setattr(body, "read", _read)


class Route(LargeBodyRoute):
    async def admit(self, _: object) -> None:
        return None

    async def parse(self, *_: object) -> dict[str, Any]:
        return {}


async def test_of_a_route() -> None:
    router, app = APIRouter(route_class=Route), FastAPI()

    @router.post("/")
    async def answer(_: dict[str, Any]) -> list[bool]:
        return GONE

    app.include_router(router)
    app.state.resources = SimpleNamespace(bodies=BodyBudget(1000))

    async def edge(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": {}}, receive, send)

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(edge), base_url="http://a") as http:
        assert (await http.post("/", content=b"{}")).json() == [True]


class Endpoint(ChatEndpoint):
    seen: list[bool] | None = None

    async def _open(self, *_: object) -> Any:
        request = SimpleNamespace(call=SimpleNamespace(words=None))
        return request, SimpleNamespace(
            reserved=SimpleNamespace(requests=None, tokens=None, key_expires=None), model=SimpleNamespace(id="m")
        )

    async def _call(self, *_: object) -> None:
        self.seen = list(GONE)


async def test_of_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async def caller(*_: object) -> Caller:
        return cast(Caller, SimpleNamespace(credential=None))

    monkeypatch.setattr(auth, "caller_of", caller)
    monkeypatch.setattr(ratelimit, "note", lambda *_: None)
    wire = SimpleNamespace(content_type="a/b", path="/", visitor_writer=None, key_headers=())
    endpoint = Endpoint(cast(ClientWire, wire), RequestFigures())
    resources = SimpleNamespace(bodies=BodyBudget(1000))
    app = SimpleNamespace(state=SimpleNamespace(resources=resources), edge=SimpleNamespace(max_bytes=lambda _: 1000))
    scope = {"app": app, "path": "/", "headers": []}
    await endpoint._answer(cast(Exchange, SimpleNamespace(scope=scope, receive=None)))
    assert endpoint.seen == [True]
