"""Bodies that stop or drip: each endpoint answers 408 in the words of its wire."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace

import httpx2
import orjson
import pytest

from api import edge
from api.cors import Cors
from gateway.body_budget import BodyBudget
from server import create_app
from settings import Settings
from tests.support.edge_requests import ALL, Endpoint
from tests.support.stack import SECRET
from tests.support.wire_app import KEY, OpenBooks

QUICK = timedelta(seconds=0.1)


@pytest.fixture
async def http(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx2.AsyncClient]:
    monkeypatch.setattr(edge, "MAX_BODY_IDLE", QUICK)
    app = create_app(Settings(database_url="postgresql://nowhere@127.0.0.1:1/none", secret_key=SECRET))  # type: ignore[arg-type]
    app.edge = edge.Edge(app.inside, max_body_bytes=2**20, cors=Cors(), max_body_time=2 * QUICK, wire_of=app.wire_of)
    app.state.resources = SimpleNamespace(
        calls=SimpleNamespace(ledger=OpenBooks()), bodies=BodyBudget(2**21), ceiling=None
    )
    transport = httpx2.ASGITransport(app=app)
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        yield client


async def stops(raw: bytes) -> AsyncIterator[bytes]:
    yield raw[:10]
    await asyncio.sleep(30)


async def drips(raw: bytes) -> AsyncIterator[bytes]:
    for each in raw * 1000:
        yield bytes([each])
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("sends", [stops, drips])
@pytest.mark.parametrize("endpoint", ALL, ids=str)
async def test_a_slow_body_is_cut(http: httpx2.AsyncClient, endpoint: Endpoint, sends: object) -> None:
    assert callable(sends)
    answer = await http.request(endpoint.method, endpoint.path, content=sends(orjson.dumps(endpoint.fields)))
    assert answer.status_code == 408, answer.text
    assert endpoint.is_error(answer.json())
