"""People without an account: some messages a day, exactly, in two processes, and nothing told of who pays."""

import asyncio
import dataclasses
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import psycopg
import pytest
from psycopg import sql

from dev import ports
from dev.postgres import EmbeddedPostgres
from domain.house_account import HOUSE_ACCOUNT
from domain.secrets import Purpose, Secrets
from domain.visitors import VisitorCookies
from tests.support.doubles.entries import text_model
from tests.support.doubles.openai_server import OpenAIServer
from tests.support.own_stack import own_stack
from tests.support.stack import SECRET, Stack

PATH, LIMIT = "/api/chat/stream/", "/api/chat/limit/"
HOUSE = 987_654_399_999
"""Credits of the house account. No answer may have this number."""
ITS_BEGINNING = "9876543"
"""It stays when some credits are spent or held, and is too long for a random id to have it by chance."""
ASK = {"model": "test-free", "message": "What is 2+2?"}
FREE = 'tags = ["free"]\n'


def catalog(upstream: str) -> str:
    provider = f'[providers.foreign]\nkind = "openai"\nbase_url = "{upstream}"\n'
    free = [text_model(f"test-{name}", f"foreign/{of}") + FREE for name, of in (("free", "plain"), ("lost", "broken"))]
    return provider + "".join(free) + text_model("test-paid", "foreign/plain")


@dataclass(frozen=True, slots=True)
class Site:
    """Two API processes on one database, behind a proxy that names the client."""

    stack: Stack
    urls: tuple[str, str]
    database_url: str

    def client(self, address: str, process: int = 0, **headers: str) -> httpx2.AsyncClient:
        headers = {"x-forwarded-for": address, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return httpx2.AsyncClient(base_url=self.urls[process], headers=headers, timeout=60)


@pytest.fixture(scope="module")
def site(
    postgres: EmbeddedPostgres, upstream: OpenAIServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    extra = {"YOUT_TRUSTED_PROXIES": "127.0.0.1", "YOUT_VISITOR_CREDITS_DAY": str(HOUSE)}
    first = own_stack(postgres, tmp_path_factory, "visitors", catalog(upstream.url), extra=extra)
    second = dataclasses.replace(first, port=ports.free())
    with first.running("api"), second.running("api"):
        yield Site(first, (first.url, second.url), first.owner_url)


@pytest.fixture
async def visitor(site: Site) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser at an address of its own, which keeps cookies."""
    async with site.client(f"2001:db8:{uuid.uuid4().hex[:4]}:{uuid.uuid4().hex[:4]}::1") as client:
        yield client


async def allowance(client: httpx2.AsyncClient, **headers: str) -> dict[str, Any]:
    answer = await client.get(LIMIT, headers=headers)
    assert answer.status_code == 200, answer.text
    (own,) = answer.json().values()
    return dict(own)


def events(answer: httpx2.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line.removeprefix("data:")) for line in answer.text.splitlines() if line.startswith("data:")]


def error_of(answer: httpx2.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    assert ITS_BEGINNING not in answer.text
    return answer.status_code, error["code"], error["message"]


async def test_a_visitor_asks_and_hears_what_is_left_of_the_day(visitor: httpx2.AsyncClient) -> None:
    before = await allowance(visitor)
    assert (before["limit"], before["used"], before["remaining"]) == (20, 0, 20)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    assert before["resets_at"] == f"{tomorrow}T00:00:00Z"
    (cookie,) = visitor.cookies.jar
    assert (cookie.name, cookie.path, cookie.secure) == ("yout-visitor", "/", False)
    answer = await visitor.post(PATH, json=ASK)
    start, *_, done = events(answer)
    assert "set-cookie" not in answer.headers
    assert (start["type"], start["held"], done["type"]) == ("start", 0, "done")
    assert (done["credits_charged"], done["balance"], done["held"]) == (0, 0, 0)
    assert done["anonymous"] == before | {"used": 1, "remaining": 19} == await allowance(visitor)
    assert answer.headers["x-ratelimit-limit-requests"] == "20"
    assert answer.headers["x-ratelimit-remaining-requests"] == "19"
    assert ITS_BEGINNING not in answer.text


@pytest.mark.parametrize("shared", ["address", "cookie"])
async def test_of_a_hundred_messages_at_once_twenty_pass(site: Site, shared: str) -> None:
    network = f"10.{uuid.uuid4().int % 250}"
    async with site.client(f"{network}.0.1") as first:
        cookie = (await first.get(LIMIT)).headers["set-cookie"].partition(";")[0]

    async def ask(number: int) -> httpx2.Response:
        address, cookies = (
            (f"{network}.0.9", {}) if shared == "address" else (f"{network}.1.{number}", {"cookie": cookie})
        )
        async with site.client(address, number % 2) as client:
            return await client.post(PATH, json=ASK, headers=cookies)

    answers = await asyncio.gather(*map(ask, range(100)))
    assert Counter(answer.status_code for answer in answers) == {200: 20, 402: 80}
    refused = next(answer for answer in answers if answer.status_code == 402)
    status, code, message = error_of(refused)
    assert (status, code) == (402, "insufficient_credits")
    assert "20 free messages" in message
    error = refused.json()["error"]
    assert (error["type"], error["limit_source"]) == ("insufficient_quota", "anonymous_allowance")
    assert (error["required"], error["available"], error["held"]) == (1, 0, 0)
    assert error["resets_at"].endswith("T00:00:00Z")
    assert refused.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.headers
    assert (await ask(7)).status_code == 402  # a new cookie, or a new address, gives nothing new
    elsewhere = site.client("10.251.0.1" if shared == "address" else f"{network}.2.1")
    async with elsewhere as client:
        assert (await allowance(client))["used"] == 0


async def test_a_message_that_was_not_charged_is_given_back(visitor: httpx2.AsyncClient) -> None:
    failed = await visitor.post(PATH, json=ASK | {"model": "test-lost"})
    assert failed.status_code == 502
    assert failed.headers["x-ratelimit-remaining-requests"] == "20"
    refused = await visitor.post(PATH, json=ASK | {"max_credits": 1})
    assert error_of(refused)[:2] == (402, "insufficient_credits")
    assert refused.json()["error"]["held"] == 0
    assert (await allowance(visitor))["used"] == 0


REFUSED: list[tuple[dict[str, Any], dict[str, str], tuple[int, str]]] = [
    ({"model": "test-paid"}, {}, (401, "invalid_api_key")),
    ({"model": "test-none"}, {}, (404, "model_not_found")),
    ({"save": True}, {}, (400, "unsupported_parameter")),
    ({"conversation_id": str(uuid.UUID(int=1))}, {}, (400, "unsupported_parameter")),
    ({}, {"idempotency-key": "once"}, (400, "unsupported_parameter")),
    ({"message": 7}, {}, (400, "invalid_type")),
    ({"message": "long " * 10_000}, {}, (413, "request_too_large")),
    ({}, {"sec-fetch-site": "cross-site"}, (403, "insufficient_scope")),
    ({}, {"origin": "https://evil.example"}, (403, "insufficient_scope")),
    ({}, {"authorization": "Bearer yout-wrong"}, (401, "invalid_api_key")),
]


@pytest.mark.parametrize(("fields", "headers", "expected"), REFUSED, ids=range(len(REFUSED)))
async def test_what_visitors_may_not_do_is_refused_and_not_counted(
    visitor: httpx2.AsyncClient, fields: dict[str, Any], headers: dict[str, str], expected: tuple[int, str]
) -> None:
    answer = await visitor.post(PATH, json=ASK | fields, headers=headers)
    status, code, message = error_of(answer)
    assert (status, code) == expected
    assert "account" in message or fields.get("model") == "test-none" or "message" in fields or headers
    assert (await allowance(visitor))["used"] == 0


async def test_other_pages_are_not_for_visitors(visitor: httpx2.AsyncClient) -> None:
    charge = events(await visitor.post(PATH, json=ASK))[0]["id"]
    for path in (f"/api/billing/charges/{charge}/", "/api/billing/usage/", "/api/chat/keys/", "/v1/models"):
        assert error_of(await visitor.get(path))[:2] == (401, "invalid_api_key")
    assert (await visitor.post("/v1/chat/completions", json=ASK)).status_code == 401
    models = {model["id"]: model for model in (await visitor.get("/api/chat/models/")).json()["data"]}
    assert (models["test-free"]["enabled"], models["test-free"]["disabled_reason"]) == (True, None)
    assert (models["test-paid"]["enabled"], models["test-paid"]["disabled_reason"]) == (False, "invalid_api_key")


async def test_an_answer_is_as_long_as_the_operator_allows(visitor: httpx2.AsyncClient, upstream: OpenAIServer) -> None:
    for wanted, sent in ((None, 1024), (5000, 1024), (7, 7)):
        assert events(await visitor.post(PATH, json=ASK | {"max_tokens": wanted}))[-1]["type"] == "done"
        assert upstream.seen[-1].body.get("max_tokens", upstream.seen[-1].body.get("max_completion_tokens")) == sent


def signed(secret: str, visitor_id: uuid.UUID, days: int = 0) -> str:
    keys = Secrets(secret).derive(Purpose.VISITOR_COOKIES)
    return VisitorCookies(keys).written(visitor_id, (datetime.now(UTC) + timedelta(days=days)).date())


async def test_a_cookie_that_is_not_ours_or_not_of_today_is_as_none(visitor: httpx2.AsyncClient) -> None:
    ours = signed(SECRET, uuid.uuid4())
    others = [
        "",
        "x",
        ours[:-1],
        ours + "x",
        "." * 80,
        ours.replace(".", "-"),
        signed("another server's secret " * 2, uuid.uuid4()),
    ]
    others += [signed(SECRET, uuid.uuid4(), days) for days in (-1, 1)]
    for value in others:
        visitor.cookies.clear()
        answer = await visitor.get(LIMIT, headers={"cookie": f"yout-visitor={value}"})
        assert answer.status_code == 200, value
        assert answer.headers["set-cookie"].startswith("yout-visitor=20"), value
    answer = await visitor.get(LIMIT, headers={"cookie": f"yout-visitor={ours}"})
    assert "set-cookie" not in answer.headers


async def test_addresses_of_one_ipv6_network_are_one_visitor(site: Site) -> None:
    group = uuid.uuid4().hex[:4]
    async with site.client(f"2001:db8:{group}:1::1") as client:
        assert events(await client.post(PATH, json=ASK))
    for address, used in ((f"2001:db8:{group}:1:ffff::2", 1), (f"2001:db8:{group}:2::1", 0)):
        async with site.client(address, 1) as client:
            assert (await allowance(client))["used"] == used


def rows_of(url: str) -> str:
    """Every row of every table, as text."""
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        rows = [
            connection.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(name))).fetchall()
            for (name,) in tables
        ]
    return "\n".join(str(row) for table in rows for row in table)


async def test_no_address_and_no_cookie_is_saved(site: Site) -> None:
    v4, v6, visitor_id = "203.0.113.77", "2001:db8:feed:beef::1", uuid.uuid4()
    for address in (v4, v6):
        async with site.client(address, cookie=f"yout-visitor={signed(SECRET, visitor_id)}") as client:
            assert events(await client.post(PATH, json=ASK))
            assert (await client.post(PATH, json=ASK | {"model": "test-lost"})).status_code == 502
            assert (await client.post(PATH, content=b"{")).status_code == 400
    stored = rows_of(site.database_url)
    assert "visitor_counts" not in stored
    assert str(HOUSE_ACCOUNT) in stored
    output = stored + site.stack.log("api")
    for secret in (v4, v6, "feed:beef", "cb00714d", "20010db8feedbeef", str(visitor_id), visitor_id.hex):
        assert secret not in output


async def test_the_operator_sees_and_steers_the_house_account(site: Site, visitor: httpx2.AsyncClient) -> None:
    assert events(await visitor.post(PATH, json=ASK))
    (house,) = [row for row in site.stack.yout("accounts", "list") if row["account_id"] == str(HOUSE_ACCOUNT)]
    assert (house["email"], house["held"]) == (None, 0)
    assert 0 < HOUSE - house["available"] < HOUSE
    site.stack.yout("adjust", "visitors", str(-house["available"]), "--reason", "enough for today")
    status, code, message = error_of(empty := await visitor.post(PATH, json=ASK))
    assert (status, code, "for everybody" in message) == (402, "insufficient_credits", True)
    assert empty.json()["error"]["limit_source"] == "anonymous_allowance"
    site.stack.yout("grant", "visitors", str(house["available"]), "--ref", "again")
    site.stack.yout("accounts", "suspend", "visitors")
    assert error_of(await visitor.post(PATH, json=ASK))[:2] == (401, "invalid_api_key")
    site.stack.yout("accounts", "resume", "visitors")
    assert events(await visitor.post(PATH, json=ASK))
    assert (await allowance(visitor))["used"] == 2
    assert site.stack.yout("audit")["clean"] is True
    async with site.client("127.0.0.1") as client:
        figures = (await client.get("/metrics")).text
    assert 'yout_visitor_refusals_total{limit="allowance"}' in figures
    assert "yout_visitor_messages_total" in figures
