"""The API's edge and its documents, without a database: over the application itself."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import orjson
import pytest

from api.app import create_app
from domain import keys
from settings import Settings

ROOT = Path(__file__).resolve().parents[2]
KEY = "yout-" + "0" * 49


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    nowhere = Settings(database_url="postgresql://nowhere", secret_key="-" * 32, max_body_bytes=2048)  # type: ignore[arg-type]
    transport = httpx2.ASGITransport(app=create_app(nowhere), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as opened:
        yield opened


def test_the_committed_openapi_document_is_the_servers() -> None:
    nowhere = Settings(database_url="postgresql://nowhere", secret_key="-" * 32)  # type: ignore[arg-type]
    served = orjson.loads(orjson.dumps(create_app(nowhere).openapi()))
    assert orjson.loads((ROOT / "docs/openapi.json").read_bytes()) == served, "write it anew: yout openapi"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/models", 405),
        ("GET", "/v1/chat/completions/", 405),
        ("POST", "/healthz", 405),
        ("GET", "/api/chat/limit", 401),
        ("GET", "/v1/models/a%2Fb", 401),
        ("POST", "/api/media/image", 401),
    ],
)
async def test_the_frameworks_errors_are_in_the_envelope_too(
    client: httpx2.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer nonsense"}, {"x-api-key": KEY}])
async def test_strangers_hear_401_before_anything_else(client: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    answer = await client.post("/v1/chat/completions", headers=headers, content=b"not json")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


async def test_bodies_above_the_limit_are_refused_whatever_their_header_says(client: httpx2.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    key = keys.mint(bytes(32))
    answer = await client.post("/v1/chat/completions", headers={"x-api-key": key}, content=endless())
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "request_too_large"


async def test_health_needs_no_key(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_the_documentation_needs_nothing_from_elsewhere(client: httpx2.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text
    for asset in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert (await client.get(asset)).status_code == 200
