"""Providers that misbehave, behind a real API: who answers, what it costs, and what the client is told."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from db.audit import audit
from dev.postgres import EmbeddedPostgres
from tests.support.account_client import CREDITS, AccountClient
from tests.support.doubles.misbehaving_server import BYTES, TEXT, MisbehavingServer
from tests.support.own_stack import own_stack
from tests.support.stack import Stack, eventually

ALONE = ["limited", "broken", "empty-503", "forbidden", "mid-headers", "half", "role-then-cut", "hang", "refuses"]
FAILING = [*BYTES, "hang"]
COST = 60
"""100 tokens of input and 20 of output, at 300 and 1,500 credits per 1,000."""


def provider(name: str, url: str, more: str = "") -> str:
    return f"""
[providers.{name}]
kind = "openai"
base_url = "{url}"
capabilities = ["abort_stops_billing"]
timeouts = {{ connect = 1, first_byte = 0.4, idle = 0.4 }}
{more}
"""


def model(name: str, *routes: str, price: int = 1) -> str:
    written = ", ".join('{{ provider = "{}", model = "{}" }}'.format(*route.split("/")) for route in routes)
    return f"""
[models.{name}]
context_window = 100000
max_output_tokens = 30
credits_per_1k_input = {300 * price}
credits_per_1k_output = {1500 * price}
routes = [{written}]
"""


def vectors(name: str, *routes: str) -> str:
    return (
        model(name, *routes)
        .replace("context_window", 'modality = "embedding"\ncontext_window')
        .replace("max_output_tokens = 30\n", "")
        .replace("credits_per_1k_output = 1500\n", "")
    )


def catalog(url: str) -> str:
    parts = [
        provider("good-lab", url, 'route_class = "good"'),
        provider("spare-lab", url, 'route_class = "spare"'),
        provider("keys", url, 'api_key_env = ["KEY_FORBIDDEN", "KEY_LIMITED", "KEY_GOOD"]'),
        provider("capped", url, "max_concurrent = 1\nmax_wait = 5"),
        provider("full", url, "max_concurrent = 1\nmax_wait = 0.05"),
        provider("away", "http://127.0.0.1:1/v1"),
    ]
    for name in FAILING:
        parts += [provider(f"bad-{name}", url), model(f"then-{name}", f"bad-{name}/{name}", "good-lab/plain")]
    for name in ALONE:
        parts += [provider(f"lone-{name}", url), model(f"lone-{name}", f"lone-{name}/{name}")]
    parts += [
        model("unreachable", "away/x", "good-lab/plain"),
        model("by-key", "keys/by-key"),
        model("once-503", "good-lab/once-empty-503"),
        model("once-limited", "spare-lab/once-limited-soon"),
        model("cut", "good-lab/words-then-cut", "spare-lab/plain"),
        model("two", "good-lab/plain", "spare-lab/plain"),
        model("dear", "good-lab/plain", price=10),
        model("dear-broken", "bad-broken/broken", price=10),
        model("cheap-broken", "bad-broken/broken", price=1),
        model("capped", "capped/slow"),
        model("full", "full/held", "spare-lab/plain"),
        provider("hanging", url),
        *[provider(name, url, f'privacy = "zero_retention"\nroute_class = "{name}"') for name in ("sealed", "vowed")],
        model("sealed", "sealed/retains"),
        model("sealed-or-vowed", "sealed/retains", "vowed/plain"),
        vectors("vectors-broken", "bad-broken/broken"),
        vectors("vectors", "good-lab/vectors", "spare-lab/vectors"),
        model("hanging", "hanging/hang", "good-lab/plain"),
        *[provider(name, url) for name in ("busy", "down")],
        model("busy-or-down", "busy/limited", "down/broken"),
    ]
    return "".join(parts)


@pytest.fixture(scope="module")
def server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        yield running


@pytest.fixture(scope="module")
def stack(
    postgres: EmbeddedPostgres, server: MisbehavingServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    started = own_stack(postgres, tmp_path_factory, "routing", catalog(server.url))
    started.extra = {"KEY_FORBIDDEN": "forbidden", "KEY_LIMITED": "limited", "KEY_GOOD": "valid"}
    with started.running("api"):
        yield started


async def spent(owner: AccountClient) -> int:
    """What the account has paid. Nothing is held any more."""
    balance = (await owner.http.get("/api/chat/limit/")).json()
    assert balance["held"] == 0
    return CREDITS - int(balance["balance"])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", [*[f"then-{name}" for name in FAILING], "unreachable"])
async def test_the_next_route_answers_and_the_call_is_charged_once(
    owner: AccountClient, name: str, stream: bool
) -> None:
    answer = await owner.chat(name, stream=stream)
    assert answer.status_code == 200, answer.text
    assert TEXT in answer.text
    assert "SECRET" not in answer.text
    assert answer.headers["x-yout-route"] == "good"
    assert await spent(owner) == COST


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("name", "answered"),
    [
        ("limited", (429, "rate_limit_exceeded")),
        ("broken", (502, "upstream_error")),
        ("empty-503", (502, "upstream_error")),
        ("forbidden", (502, "upstream_error")),
        ("mid-headers", (502, "upstream_error")),
        ("half", (502, "upstream_error")),
        ("role-then-cut", (502, "upstream_error")),
        ("hang", (504, "upstream_timeout")),
        ("refuses", (400, "unsupported_parameter")),
    ],
)
async def test_a_route_alone_fails_in_our_words_and_costs_nothing(
    owner: AccountClient, server: MisbehavingServer, name: str, answered: tuple[int, str], stream: bool
) -> None:
    before = server.requests[name]
    fields: dict[str, Any] = {"temperature": 1} if name == "refuses" else {}
    answer = await owner.chat(f"lone-{name}", stream=stream, max_tokens=1, **fields)
    assert (answer.status_code, answer.json()["error"]["code"]) == answered
    assert "SECRET" not in answer.text
    assert answer.headers.get("retry-after") == ("30" if name == "limited" else None)
    assert server.requests[name] - before == (2 if name in ("broken", "empty-503", "mid-headers") else 1)
    assert await spent(owner) == 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_busy_route_tells_when_to_try_again_though_another_is_broken(
    owner: AccountClient, stream: bool
) -> None:
    answer = await owner.chat("busy-or-down", stream=stream)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert answer.headers["retry-after"] == "30"
    assert await spent(owner) == 0


@pytest.mark.parametrize(("name", "upstream"), [("once-503", "once-empty-503"), ("once-limited", "once-limited-soon")])
async def test_a_passing_failure_is_tried_once_more(
    owner: AccountClient, server: MisbehavingServer, name: str, upstream: str
) -> None:
    answer = await owner.chat(name)
    assert (answer.status_code, server.requests[upstream]) == (200, 2)
    assert await spent(owner) == COST


async def test_keys_that_are_refused_rest_and_the_next_one_answers(
    owner: AccountClient, server: MisbehavingServer
) -> None:
    server.keys.clear()
    assert (await owner.chat("by-key")).status_code == 200
    assert server.keys == ["forbidden", "limited", "valid"]
    assert (await owner.chat("by-key", stream=True)).status_code == 200
    assert server.keys[3:] == ["valid"]
    assert await spent(owner) == 2 * COST


async def test_after_output_no_other_route_answers(owner: AccountClient, server: MisbehavingServer) -> None:
    before = server.requests["plain"]
    answer = await owner.chat("cut", stream=True)
    assert "one two three" in answer.text
    assert "upstream_error" in answer.text
    assert server.requests["plain"] == before
    assert 0 < await spent(owner) < COST


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("first", "second", "cost"), [("dear-broken", "two", COST), ("cheap-broken", "dear", 10 * COST)]
)
async def test_another_model_answers_under_its_own_name_and_price(
    owner: AccountClient, first: str, second: str, cost: int, stream: bool
) -> None:
    answer = await owner.chat(first, models=[second], stream=stream, route="fallback")
    assert answer.status_code == 200, answer.text
    assert f'"model":"{second}"' in answer.text
    assert first not in answer.text
    assert await spent(owner) == cost
    usage = await owner.get("/usage/", group_by="model")
    assert [row["model"] for row in usage["data"]] == [second]
    async with owner.database.connection() as connection:
        assert (await audit(connection)).clean


async def test_the_hold_covers_the_dearest_model(owner: AccountClient) -> None:
    answer = await owner.chat("two", models=["dear"], max_credits=100)
    assert (answer.status_code, answer.json()["error"]["limit_source"]) == (402, "max_credits")
    assert await spent(owner) == 0


@pytest.mark.parametrize(
    ("name", "wanted", "route"),
    [
        ("two", {}, "good"),
        ("two", {"order": ["spare"]}, "spare"),
        ("two", {"only": ["spare"]}, "spare"),
        ("two", {"ignore": ["good"]}, "spare"),
        ("two:nitro", {"only": ["spare"]}, "spare"),
        ("two:floor", {"allow_fallbacks": False, "max_price": {"prompt": 1000}}, "good"),
    ],
)
async def test_a_request_chooses_its_routes_and_no_provider_hears_of_it(
    owner: AccountClient, server: MisbehavingServer, name: str, wanted: dict[str, Any], route: str
) -> None:
    answer = await owner.chat(name, provider=wanted)
    assert (answer.status_code, answer.headers["x-yout-route"]) == (200, route), answer.text
    assert answer.json()["model"] == "two"
    assert server.bodies[-1].keys() <= {"model", "messages", "max_tokens"}
    assert "x-yout-dropped-parameters" not in answer.headers


MESSAGES = [{"role": "user", "content": "What is 2+2?"}]
WIRES: dict[str, dict[str, Any]] = {
    "/v1/messages": {"messages": MESSAGES, "max_tokens": 20},
    "/v1/responses": {"input": "What is 2+2?"},
    "/v1/completions": {"prompt": "What is 2+2?"},
    "/api/chat/stream/": {"message": "What is 2+2?"},
    "/v1/embeddings": {"input": "What is 2+2?"},
}


@pytest.mark.parametrize("path", WIRES)
async def test_every_wire_takes_the_same_fields(owner: AccountClient, server: MisbehavingServer, path: str) -> None:
    names = ["vectors-broken", "vectors"] if path == "/v1/embeddings" else ["dear-broken", "two"]
    body = {**WIRES[path], "models": names, "provider": {"ignore": ["good"]}, "route": "fallback"}
    answer = await owner.http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-yout-route"] == "spare"
    assert names[0] not in answer.text
    assert f'"model":"{names[1]}"' in answer.text
    assert not server.bodies[-1].keys() & {"models", "provider", "route"}
    wrong = await owner.http.post(path, json={**body, "provider": {"sort": "luck"}})
    assert (wrong.status_code, "provider.sort" in wrong.text) == (400, True)


async def test_a_quote_covers_the_dearest_model(owner: AccountClient) -> None:
    async def held(**fields: object) -> int:
        answer = await owner.http.post("/api/billing/quote/", json={"messages": MESSAGES, "max_tokens": 30, **fields})
        assert answer.status_code == 200, answer.text
        return int(answer.json()["credits"]["held"])

    assert await held(model="two", models=["dear"]) == await held(model="dear") > await held(model="two:floor")


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"only": ["good-lab"]}, "provider.only"),
        ({"max_price": {"completion": 0.01}}, "provider.max_price.completion"),
        ({"quantizations": ["int4"]}, "provider.quantizations"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(owner: AccountClient, wanted: dict[str, Any], param: str) -> None:
    answer = await owner.chat("two", provider=wanted)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert "-lab" not in answer.json()["error"]["message"]


async def test_one_account_alone_stops_waiting_for_a_provider_that_hangs(
    owner: AccountClient, server: MisbehavingServer
) -> None:
    before = server.requests["hang"]
    for _ in range(6):
        assert (await owner.chat("hanging", stream=True)).headers["x-yout-route"] == "good"
    assert server.requests["hang"] - before == 2


async def test_calls_take_turns_at_a_capped_provider(owner: AccountClient, server: MisbehavingServer) -> None:
    server.max_running = 0
    answers: list[httpx2.Response] = await asyncio.gather(*[owner.chat("capped", stream=True) for _ in range(5)])
    assert [answer.status_code for answer in answers] == [200] * 5
    assert server.max_running == 1
    assert await spent(owner) == 5 * COST


async def test_who_waits_too_long_goes_to_the_next_route(owner: AccountClient, server: MisbehavingServer) -> None:
    first = asyncio.create_task(owner.chat("full"))

    async def at_the_provider() -> int:
        return server.requests["held"]

    assert await eventually(at_the_provider)
    others = await asyncio.gather(*[owner.chat("full") for _ in range(3)])
    server.released.set()
    routes = [answer.headers["x-yout-route"] for answer in (await first, *others)]
    assert routes == ["openai", "spare", "spare", "spare"]
    assert await spent(owner) == 4 * COST


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_provider_that_says_it_keeps_a_strict_call_gets_no_other(
    owner: AccountClient, server: MisbehavingServer, stack: Stack, stream: bool
) -> None:
    strict: dict[str, Any] = {"privacy": "strict", "stream": stream}
    if not stream:  # the process knows it from here on
        for model_, code in (("sealed-or-vowed", 502), ("sealed", 400)):
            answer = await owner.chat(model_, **strict)
            assert (answer.status_code, TEXT in answer.text) == (code, False), answer.text
            assert answer.json()["error"]["code"] == ("upstream_error" if code == 502 else "unsupported_parameter")
        assert "a provider keeps what it must not" in stack.log("api")
    answer = await owner.chat("sealed-or-vowed", **strict)
    assert (answer.status_code, answer.headers["x-yout-route"]) == (200, "vowed")
    before = server.requests["retains"]
    assert (await owner.chat("sealed", **strict)).status_code == 400
    assert server.requests["retains"] == before
    assert (await owner.chat("sealed", stream=stream)).status_code == 200
    assert await spent(owner) == 2 * COST
    assert 'yout_provider_retaining{provider="sealed"} 1.0' in (await owner.http.get("/metrics")).text


async def test_the_operator_sees_how_each_route_fares(owner: AccountClient, stack: Stack) -> None:
    assert (await owner.chat("two", stream=True)).status_code == 200
    assert (await owner.chat("then-page")).status_code == 200
    metrics = (await owner.http.get("/metrics")).text
    assert 'yout_route_errors_total{kind="invalid",model="page",provider="bad-page"}' in metrics
    assert 'yout_route_faults_total{provider="bad-page"} 0.0' in metrics
    assert owner.customer.token not in metrics
    shown = await asyncio.to_thread(stack.yout, "providers", "--url", stack.url)
    rows = {(row["provider"], row["model"]): row for row in shown["routes"]}
    assert shown["billed"]["good-lab"] == "unknown"  # the catalog has no cost of it
    good, bad = rows["good-lab", "plain"], rows["bad-page", "page"]
    assert (good["health"], good["breaker"], bad["health"]) == ("good", "closed", "poor")
    assert good["requests"] >= 2
    assert good["credits"] >= 2 * COST
    assert good["first_output"] is not None
    assert bad["errors"] == {"invalid": bad["requests"]}
