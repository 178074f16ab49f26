"""The API's edge and its documents, without a database: over the application itself."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import httpx2
import orjson
import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from api.cors import EXPOSED, Cors
from api.edge import Edge
from api.session_cookie import SessionCookie
from db.engine import Database
from domain import keys
from domain.errors import ServiceUnavailable
from domain.limits import NO_LIMITS
from domain.operations import Operation
from domain.results import Answer
from domain.visitors import VisitorRules
from gateway.body_budget import BodyBudget
from server import create_app
from settings import Settings
from tests.support.stack import SECRET

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = orjson.loads((ROOT / "docs/openapi.json").read_bytes())
KEY = "yout-" + "0" * 49


class UnavailableLedger:
    async def ask(self, _: Operation) -> Answer:
        raise ServiceUnavailable


@cache
def made(**given: object) -> FastAPI:
    """One for all tests with these settings: to make it takes longer than most of them. It has nothing but routes."""
    settings = {"database_url": "postgresql://nowhere@127.0.0.1:1/none", "secret_key": SECRET, **given}
    return create_app(Settings(**settings))  # type: ignore[arg-type]


@asynccontextmanager
async def opened(**given: object) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an application whose database is nowhere."""
    app = made(**given)
    database = Database.open("postgresql://nowhere@127.0.0.1:1/none")
    calls = SimpleNamespace(ledger=UnavailableLedger())
    app.state.resources = SimpleNamespace(
        database=database,
        calls=calls,
        bodies=BodyBudget(1000),
        ceiling=NO_LIMITS,
        cookie=SessionCookie("http://test"),
        visitors=SimpleNamespace(rules=VisitorRules(messages_day=0)),
    )
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
    await database.close()


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with opened(max_body_bytes=2048) as client:
        yield client


def test_the_committed_openapi_document_is_the_servers() -> None:
    nowhere = Settings(database_url="postgresql://nowhere", secret_key=SECRET)  # type: ignore[arg-type]
    served = orjson.loads(orjson.dumps(create_app(nowhere).openapi()))
    assert served == DOCUMENT, "write it anew: yout openapi > docs/openapi.json"


async def test_the_shipped_document_is_served_and_none_is_made() -> None:
    app = create_app(Settings(database_url="postgresql://nowhere", secret_key=SECRET))  # type: ignore[arg-type]
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
        for _ in range(2):
            answer = await client.get("/openapi.json")
            assert answer.headers["content-type"] == "application/json"
            assert answer.json() == DOCUMENT
    assert app.openapi_schema is None


async def test_a_fault_is_answered_and_does_not_reach_the_server(client: httpx2.AsyncClient) -> None:
    """Which would log it once more, and close the connection under the client's next request."""
    answer = await client.get("/.well-known/yout-receipts.json")  # this application has no receipts
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")


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


BROWSER = {"origin": "https://app.example"}
PREFLIGHT = BROWSER | {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat/keys/", "/v1/models", "/v1/nothing"])
async def test_a_preflight_is_answered_before_authentication(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.options(path, headers=PREFLIGHT)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/v1/chat/completions", 401), ("GET", "/v1/nothing", 404), ("PUT", "/v1/models", 405)],
)
async def test_a_page_can_read_errors_and_their_headers(
    client: httpx2.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path, headers=BROWSER)
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == "*"
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"x-request-id", "x-yout-balance", "retry-after", "x-ratelimit-remaining-requests"} <= set(exposed)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_page_of_any_origin_reads_an_output_whose_link_it_has(method: str) -> None:
    """The link alone opens it, whichever origins may call the API."""
    async with opened(cors_origins="https://other.example") as client:
        answer = await client.request(method, "/media/nothing?exp=1&sig=x", headers=BROWSER)
        headers_ = BROWSER | {"access-control-request-method": method, "access-control-request-headers": "range"}
        preflight = await client.options("/media/nothing", headers=headers_)
    for headers in (answer.headers, preflight.headers):
        assert headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in headers
        assert {"content-range", "content-disposition"} <= set(headers["access-control-expose-headers"].split(", "))
    assert (preflight.status_code, preflight.headers["access-control-allow-headers"]) == (204, "range")


async def test_what_browsers_load_by_themselves_is_no_ones_api(client: httpx2.AsyncClient) -> None:
    assert "access-control-allow-origin" not in (await client.get("/robots.txt", headers=BROWSER)).headers


async def test_the_operator_names_the_origins_that_may_call() -> None:
    async with opened(cors_origins="https://app.example, https://other.example") as client:
        ours = await client.options("/v1/models", headers=PREFLIGHT)
        foreign = await client.options("/v1/models", headers=PREFLIGHT | {"origin": "https://evil.example"})
    assert ours.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-origin" not in foreign.headers
    assert "origin" in foreign.headers["vary"]


def test_every_header_of_ours_is_exposed_to_pages() -> None:
    written = "".join(path.read_text() for path in (ROOT / "api").rglob("*.py"))
    sent = set(re.findall(r"x-yout-[a-z]+(?:-[a-z]+)*", written)) | {"retry-after-ms", "x-should-retry"}
    no_answers = {
        "x-yout-strict",
        "x-yout-privacy",
        "x-yout-scope",
        "x-yout-callers",
        "x-yout-priced",
    }  # of a request, and of the OpenAPI document
    assert sent - no_answers <= set(EXPOSED)


@pytest.mark.parametrize("path", ["/healthz", "/openapi.json", "/robots.txt"])
async def test_head_is_get_without_a_body(client: httpx2.AsyncClient, path: str) -> None:
    whole, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/demo-chat", "/api/chat/limit/"])
async def test_head_wants_a_key_where_get_does(client: httpx2.AsyncClient, path: str) -> None:
    assert (await client.head(path)).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/chat/keys/", "GET, HEAD, OPTIONS, POST"),
        ("GET", "/v1/chat/completions", "OPTIONS, POST"),
        ("HEAD", "/v1/chat/completions", "OPTIONS, POST"),
        ("POST", "/v1/models", "GET, HEAD, OPTIONS"),
        ("POST", "/healthz", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_405_names_all_methods(client: httpx2.AsyncClient, method: str, path: str, allowed: str) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    response = await client.options(path)
    assert (response.status_code, response.headers["allow"]) == (204, allowed)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/chat/completions", "Did you mean /v1/chat/completions?"),
        ("/models", "Did you mean /v1/models?"),
        ("/v1/v1/models", "Did you mean /v1/models?"),
        ("/v1/v1/v1/models", "Did you mean /v1/models?"),
        ("//v1/chat/completions", "Did you mean /v1/chat/completions?"),
        ("/v1//chat/completions", "Did you mean /v1/chat/completions?"),
        ("/openai/v1/chat/completions", "Did you mean /v1/chat/completions?"),
        ("/api/v1/chat/completions", "Did you mean /v1/chat/completions?"),
        ("/v1/chat/completions/chat/completions", "Did you mean /v1/chat/completions?"),
        ("/chat/stream", "Did you mean /api/chat/stream/?"),
        ("/v1/billing/usage", "Did you mean /api/billing/usage/?"),
        ("/v1/v1/messages", "Did you mean /v1/messages? A base URL ends in /v1 for OpenAI's clients, before it"),
        ("/messages/count_tokens", "Did you mean /v1/messages/count_tokens?"),
        ("/v1", "Did you mean /v1/models or /v1/chat/completions? A base URL ends in /v1 for OpenAI's clients"),
        ("/v1/", "Did you mean /v1/models or /v1/chat/completions?"),
    ],
)
async def test_a_wrong_base_url_is_named(client: httpx2.AsyncClient, path: str, hint: str) -> None:
    answer = await client.post(path)
    assert answer.status_code == 404
    assert hint in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/nothing", "/v1/nothing", "/a/b/c/d", "/" + "/".join("v1" * 3000)])
async def test_no_endpoint_is_named_that_is_not_there(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.post(path)
    assert answer.status_code == 404
    assert "Did you mean" not in answer.json()["error"]["message"]


WITH_BODY = [
    (method.upper(), re.sub(r"{\w+}", str(UUID(int=1)), path), operation["x-yout-callers"])
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if "requestBody" in operation
]
FOR_EVERYBODY = [(method, path) for method, path, callers in WITH_BODY if callers == ["anybody"]]
FOR_CALLERS = [(method, path) for method, path, callers in WITH_BODY if callers != ["anybody"]]


@pytest.mark.parametrize(("method", "path"), FOR_EVERYBODY)
async def test_little_is_read_where_nobody_needs_to_be_known(method: str, path: str) -> None:
    body = CountedBody()
    async with opened(max_body_bytes=20 * 2**20) as client:
        answer = await client.request(method, path, content=body)
    assert (answer.status_code, answer.headers["cache-control"]) == (413, "no-store")
    assert body.parts <= 1


@pytest.mark.parametrize(("method", "path"), FOR_CALLERS)
async def test_no_body_is_read_for_a_stranger(method: str, path: str) -> None:
    """Neither without a key, nor with one that is only well formed: that one costs a look into the database, which
    is away here.
    """
    for headers, status, most in (({}, 401, 0), ({"x-api-key": keys.mint(bytes(32))}, 503, 3)):
        body = CountedBody()
        async with opened(max_body_bytes=20 * 2**20) as client:
            answer = await client.request(method, path, headers=headers, content=body)
        assert answer.status_code == status
        assert body.parts <= most


class CountedBody(httpx2.AsyncByteStream):
    """A large body, and how many parts of 32 KiB of it were read."""

    parts = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(600):
            self.parts += 1
            yield b"[]," * 10_922


async def test_a_body_that_drips_is_cut() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            pass

    async def drip() -> Message:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    cut = Edge(app, max_body_bytes=10**6, cors=Cors(), max_body_time=timedelta(seconds=0.1))
    with pytest.raises(HTTPException) as raised:
        await cut({"type": "http", "method": "POST", "path": "/v1/x", "headers": []}, drip, no_send)
    assert raised.value.status_code == 408


async def no_send(_: Message) -> None:
    raise AssertionError("nothing is answered here")
