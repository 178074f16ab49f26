"""What a call would hold, asked beforehand; and `max_credits`, the caller's own bound."""

from typing import Any

import pytest

from tests.clients.conftest import OpenAccountClient
from tests.support.account_client import ASKED, CREDITS, AccountClient
from tests.support.doubles.openai_server import OpenAIServer


async def quoted(payer: AccountClient, model: str, **fields: object) -> dict[str, Any]:
    answer = await payer.http.post("/api/billing/quote/", json={"model": model, **fields})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def balance(payer: AccountClient) -> tuple[int, int]:
    found = (await payer.http.get("/api/chat/limit/")).json()
    return found["balance"], found["held"]


@pytest.mark.parametrize("fields", [{}, {"max_tokens": 77, "n": 3}, {"max_credits": 500}])
@pytest.mark.parametrize("credits", [CREDITS, 4_000])
async def test_a_quote_is_what_the_call_then_holds(
    payers: OpenAccountClient, upstream: OpenAIServer, credits: int, fields: dict[str, int]
) -> None:
    payer = await payers(credits)
    before = len(upstream.seen)
    told = await quoted(payer, "test-plain", **ASKED, **fields)
    assert len(upstream.seen) == before
    assert await balance(payer) == (credits, 0)
    assert (told["balance"], told["held"], told["affordable"], told["limit_source"]) == (credits, 0, True, None)
    receipt = await payer.charged("test-plain", **fields)
    assert receipt["held_at_first"] == told["credits"]["held"] == told["credits"]["at_most"]
    assert receipt["bounds"] == told["bounds"]
    assert receipt["price"] == told["price"]
    assert receipt["credits"]["charged"] <= max(600, told["credits"]["at_most"])


async def test_a_quote_tells_what_does_not_suffice(payers: OpenAccountClient) -> None:
    poor = await payers(100)
    told = await quoted(poor, "test-plain", **ASKED)
    assert (told["affordable"], told["limit_source"], told["bounds"]["output_limit"]) == (False, "balance", 256)
    assert told["credits"]["held"] > 384
    told = await quoted(await payers(), "test-plain", **ASKED, max_credits=100)
    assert (told["affordable"], told["limit_source"]) == (False, "max_credits")


async def test_a_quote_of_a_stream_whose_hold_grows_tells_how_far(payers: OpenAccountClient) -> None:
    payer = await payers(10_000)
    told = (await quoted(payer, "test-metered", **ASKED, stream=True))["credits"]
    assert told["held"] < 1_300
    assert told["at_most"] > 60_000  # 40,000 tokens at 1,500 per 1,000
    bounded = (await quoted(payer, "test-metered", **ASKED, stream=True, max_credits=2_000))["credits"]
    assert (bounded["held"], bounded["at_most"]) == (told["held"], 2_000)


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("demo-image", {"prompt": "A lake", "n": 3}),
        ("demo-video", {"prompt": "A lake", "duration": 5}),
        ("demo-speech", {"input": "Hello"}),
    ],
)
async def test_a_media_quote_is_the_jobs_price(payer: AccountClient, model: str, fields: dict[str, Any]) -> None:
    told = await quoted(payer, model, **fields)
    kind = model.removeprefix("demo-")
    assert (told["kind"], told["bounds"]) == (kind, None)
    job = (await payer.http.post(f"/api/media/{kind}/", json={"model": model, **fields})).json()
    assert job["credits_cost"] == told["credits"]["held"] == told["credits"]["at_most"]
    assert told["price"]["flat"] == str(job["credits_cost"])


@pytest.mark.parametrize(
    ("body", "param", "status"),
    [
        ({}, "model", 400),
        ({"model": 5}, "model", 400),
        ({"model": "nobody-knows-it"}, "model", 404),
        ({"model": "test-plain"}, "messages", 400),
        ({"model": "test-plain", **ASKED, "max_tokens": 0}, "max_tokens", 400),
        ({"model": "test-plain", **ASKED, "max_credits": 0}, "max_credits", 400),
        ({"model": "test-plain", **ASKED, "max_credits": "10"}, "max_credits", 400),
        ({"model": "test-plain", **ASKED, "service_tier": "priority"}, "service_tier", 400),
        ({"model": "test-plain", **ASKED, "strict": True, "unheard_of": 1}, "unheard_of", 400),
        ({"model": "demo-image"}, "prompt", 400),
        ({"model": "demo-image", "prompt": "A lake", "size": "huge"}, "size", 400),
        ({"model": "demo-image", "prompt": "A lake", "colour": "blue"}, "colour", 400),
        ({"model": "demo-speech", "input": "Hello", "response_format": "ogg"}, "response_format", 400),
    ],
)
async def test_a_quote_checks_the_body_as_the_call_does(
    payer: AccountClient, body: dict[str, Any], param: str, status: int
) -> None:
    answer = await payer.http.post("/api/billing/quote/", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


async def test_a_quote_is_strict_by_the_header_too(payer: AccountClient) -> None:
    body = {"model": "test-plain", **ASKED, "unheard_of": 1}
    answer = await payer.http.post("/api/billing/quote/", json=body, headers={"x-yout-strict": "true"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "unheard_of")


async def test_a_call_never_costs_more_than_its_caller_allows(payer: AccountClient, upstream: OpenAIServer) -> None:
    receipt = await payer.charged("test-usage-huge", max_credits=1_000)
    assert (receipt["credits"]["charged"], receipt["bounds"]["max_credits"]) == (1_000, 1_000)
    assert receipt["credits"]["written_off"] == 27_300 - 1_000
    sent = upstream.seen[-1].body
    assert "max_credits" not in sent
    assert sent["max_tokens"] == receipt["bounds"]["output_limit"] < 700
    assert receipt["credits"]["held"] <= 1_000


async def test_a_stream_ends_where_its_caller_allows_no_more(payer: AccountClient) -> None:
    receipt = await payer.closed(await payer.streamed("test-metered", max_credits=2_000))
    assert 2_000 - 150 < receipt["credits"]["charged"] <= 2_000  # a chunk of the double costs 150
    assert receipt["credits"]["written_off"] == 0


async def test_a_call_that_may_cost_more_is_refused_before_anything_is_sent(
    payer: AccountClient, upstream: OpenAIServer
) -> None:
    before = len(upstream.seen)
    answer = await payer.chat("test-plain", max_tokens=1_000, max_credits=1_499)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["limit_source"]) == (402, "insufficient_credits", "max_credits")
    assert (error["available"], error["required"] > 1_500) == (1_499, True)
    assert answer.headers["x-should-retry"] == "false"
    assert len(upstream.seen) == before
    assert await balance(payer) == (CREDITS, 0)


async def test_a_body_that_nests_too_deeply_is_refused(payer: AccountClient) -> None:
    deep = "[" * 900 + "]" * 900
    body = '{"model":"test-plain","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","f":%s}]}'
    answer = await payer.http.post("/api/billing/quote/", content=body % deep)
    assert answer.status_code == 400
