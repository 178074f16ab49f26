"""What a call would hold, asked beforehand; and `max_credits`, the caller's own bound."""

import base64
from typing import Any

import pytest

from tests.clients.conftest import OpenAccountClient
from tests.support import balances
from tests.support.account_client import CREDITS, QUESTION, AccountClient
from tests.support.doubles.openai_server import OpenAIServer
from tests.support.media_samples import sound

TALK = "data:audio/wav;base64," + base64.b64encode(sound("wav", "pcm_s16le")).decode()


async def quoted(owner: AccountClient, model: str, **fields: object) -> dict[str, Any]:
    answer = await owner.http.post("/api/billing/quote/", json={"model": model, **fields})
    assert answer.status_code == 200, answer.text
    quote: dict[str, Any] = answer.json()
    return quote


@pytest.mark.parametrize("fields", [{}, {"max_tokens": 77, "n": 3}, {"max_credits": 500}])
@pytest.mark.parametrize("credits", [CREDITS, 4_000])
async def test_a_quote_is_what_the_call_then_holds(
    new_owner: OpenAccountClient, upstream: OpenAIServer, credits: int, fields: dict[str, int]
) -> None:
    owner = await new_owner(credits)
    before = len(upstream.seen)
    quote = await quoted(owner, "test-plain", **QUESTION, **fields)
    assert len(upstream.seen) == before
    assert await balances.by_http(owner.http) == (credits, 0)
    assert (quote["balance"], quote["held"], quote["affordable"], quote["limit_source"]) == (credits, 0, True, None)
    receipt = await owner.charged("test-plain", **fields)
    assert receipt["held_at_first"] == quote["credits"]["held"] == quote["credits"]["at_most"]
    assert receipt["bounds"] == quote["bounds"]
    assert receipt["price"] == quote["price"]
    assert receipt["credits"]["charged"] <= max(600, quote["credits"]["at_most"])


async def test_a_quote_of_a_message_is_what_it_then_holds(owner: AccountClient) -> None:
    version = {"anthropic-version": "2023-06-01"}
    body = {"model": "test-plain", "max_tokens": 77, "system": "Be brief.", **QUESTION}
    answer = await owner.http.post("/api/billing/quote/", json=body, headers=version)
    message = (await owner.http.post("/v1/messages", json=body, headers=version)).json()
    receipt = await owner.get(f"/charges/{message['id']}/")
    assert receipt["held_at_first"] == answer.json()["credits"]["held"]
    wrong = await owner.http.post("/api/billing/quote/", json=body | {"max_tokens": None}, headers=version)
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "max_tokens")


async def test_a_quote_tells_what_does_not_suffice(new_owner: OpenAccountClient) -> None:
    poor = await new_owner(100)
    quote = await quoted(poor, "test-plain", **QUESTION)
    assert (quote["affordable"], quote["limit_source"], quote["bounds"]["output_limit"]) == (False, "balance", 256)
    assert quote["credits"]["held"] > 384
    quote = await quoted(await new_owner(), "test-plain", **QUESTION, max_credits=100)
    assert (quote["affordable"], quote["limit_source"]) == (False, "max_credits")


async def test_a_quote_of_several_models_tells_how_far_the_hold_of_any_grows(new_owner: OpenAccountClient) -> None:
    owner = await new_owner(4_000)
    alone = await quoted(owner, "test-metered", stream=True, **QUESTION)
    quote = await quoted(owner, "test-plain", models=["test-metered"], stream=True, **QUESTION)
    assert quote["credits"]["at_most"] >= alone["credits"]["at_most"] > quote["credits"]["held"]


async def test_a_quote_of_a_stream_whose_hold_grows_tells_how_far(new_owner: OpenAccountClient) -> None:
    owner = await new_owner(10_000)
    quote = (await quoted(owner, "test-metered", **QUESTION, stream=True))["credits"]
    assert quote["held"] < 1_300
    assert quote["at_most"] > 60_000  # 40,000 tokens at 1,500 per 1,000
    bounded = (await quoted(owner, "test-metered", **QUESTION, stream=True, max_credits=2_000))["credits"]
    assert (bounded["held"], bounded["at_most"]) == (quote["held"], 2_000)


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("demo-image", {"prompt": "A lake", "n": 3}),
        ("demo-video", {"prompt": "A lake", "duration": 5}),
        ("demo-speech", {"input": "Hello"}),
        ("demo-transcription", {"audio": TALK}),
    ],
)
async def test_a_media_quote_is_the_jobs_price(owner: AccountClient, model: str, fields: dict[str, Any]) -> None:
    quote = await quoted(owner, model, **fields)
    kind = model.removeprefix("demo-")
    assert (quote["kind"], quote["bounds"]) == (kind, None)
    job = (await owner.http.post(f"/api/media/{kind}/", json={"model": model, **fields})).json()
    assert job["credits_cost"] == quote["credits"]["held"] == quote["credits"]["at_most"]
    assert quote["price"]["flat"] == str(job["credits_cost"])


@pytest.mark.parametrize(
    ("body", "param", "status"),
    [
        ({}, "model", 400),
        ({"model": 5}, "model", 400),
        ({"model": "nobody-knows-it"}, "model", 404),
        ({"model": "test-plain"}, "messages", 400),
        ({"model": "test-plain", **QUESTION, "max_tokens": 0}, "max_tokens", 400),
        ({"model": "test-plain", **QUESTION, "max_credits": 0}, "max_credits", 400),
        ({"model": "test-plain", **QUESTION, "max_credits": "10"}, "max_credits", 400),
        ({"model": "test-plain", **QUESTION, "service_tier": "priority"}, "service_tier", 400),
        ({"model": "test-plain", **QUESTION, "strict": True, "unheard_of": 1}, "unheard_of", 400),
        ({"model": "demo-transcription"}, "audio", 400),
        ({"model": "demo-transcription", "audio": "data:audio/wav;base64,bm9pc2U="}, "audio", 400),
        ({"model": "demo-image"}, "prompt", 400),
        ({"model": "demo-image", "prompt": "A lake", "size": "huge"}, "size", 400),
        ({"model": "demo-image", "prompt": "A lake", "colour": "blue"}, "colour", 400),
        ({"model": "demo-speech", "input": "Hello", "response_format": "ogg"}, "response_format", 400),
    ],
)
async def test_a_quote_checks_the_body_as_the_call_does(
    owner: AccountClient, body: dict[str, Any], param: str, status: int
) -> None:
    answer = await owner.http.post("/api/billing/quote/", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)


async def test_a_quote_is_strict_by_the_header_too(owner: AccountClient) -> None:
    body = {"model": "test-plain", **QUESTION, "unheard_of": 1}
    answer = await owner.http.post("/api/billing/quote/", json=body, headers={"x-yout-strict": "true"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "unheard_of")


async def test_a_key_hears_of_its_own_models_and_by_its_own_rules(owner: AccountClient) -> None:
    created = await owner.http.post("/api/chat/keys/", json={"name": "k", "models": ["test-plain"], "strict": True})
    headers = {"authorization": f"Bearer {created.json()['key']}"}
    for path, body in (
        ("/api/billing/quote/", {"model": "test-metered", **QUESTION}),
        ("/api/billing/quote/", {"model": "demo-image", "prompt": "A lake"}),
        ("/v1/responses/input_tokens", {"model": "test-metered", "input": "Hello"}),
        ("/v1/messages/count_tokens", {"model": "test-metered", **QUESTION}),
    ):
        answer = await owner.http.post(path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    both = {"model": "test-plain", "models": ["test-metered"], **QUESTION}
    for path in ("/api/billing/quote/", "/v1/chat/completions"):
        answer = await owner.http.post(path, json=both, headers=headers)
        assert (answer.status_code, "'test-metered'" in answer.text) == (404, True), path
    unheard = {"model": "test-plain", **QUESTION, "unheard_of": 1}
    answer = await owner.http.post("/api/billing/quote/", json=unheard, headers=headers)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "unheard_of")


async def test_what_cannot_be_seen_beforehand_is_held_up_to_the_window(owner: AccountClient) -> None:
    quote = await quoted(owner, "test-extras", **QUESTION, web_search_options={})
    assert quote["bounds"]["input_tokens"] == 100_000


async def test_a_search_without_a_price_is_left_out_for_each_of_several_models(
    owner: AccountClient, upstream: OpenAIServer
) -> None:
    body = {"input": "Hello", "tools": [{"type": "web_search"}], "models": ["test-broken", "test-plain"]}
    before = len(upstream.seen)
    answer = await owner.http.post("/v1/responses", json=body)
    assert (answer.status_code, answer.json()["model"]) == (200, "test-plain"), answer.text
    assert answer.headers["x-yout-dropped-parameters"] == "tools[0]"
    assert not any("web_search_options" in seen.body for seen in upstream.seen[before:])
    answer = await owner.http.post(
        "/v1/responses", json=body | {"models": ["test-plain", "test-extras"], "strict": True}
    )
    assert (answer.status_code, answer.json()["model"]) == (200, "test-extras"), answer.text
    assert "x-yout-dropped-parameters" not in answer.headers


async def test_a_call_never_costs_more_than_its_caller_allows(owner: AccountClient, upstream: OpenAIServer) -> None:
    receipt = await owner.charged("test-usage-huge", max_credits=1_000)
    assert (receipt["credits"]["charged"], receipt["bounds"]["max_credits"]) == (1_000, 1_000)
    assert receipt["credits"]["written_off"] == 27_300 - 1_000
    sent = upstream.seen[-1].body
    assert "max_credits" not in sent
    assert sent["max_tokens"] == receipt["bounds"]["output_limit"] < 700
    assert receipt["credits"]["held"] <= 1_000


async def test_a_stream_ends_where_its_caller_allows_no_more(owner: AccountClient) -> None:
    receipt = await owner.closed(await owner.streamed("test-metered", max_credits=2_000))
    assert 2_000 - 150 < receipt["credits"]["charged"] <= 2_000  # a chunk of the double costs 150
    assert receipt["credits"]["written_off"] == 0


async def test_a_call_that_may_cost_more_is_refused_before_anything_is_sent(
    owner: AccountClient, upstream: OpenAIServer
) -> None:
    before = len(upstream.seen)
    answer = await owner.chat("test-plain", max_tokens=1_000, max_credits=1_499)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["limit_source"]) == (402, "insufficient_credits", "max_credits")
    assert (error["available"], error["required"] > 1_500) == (1_499, True)
    assert answer.headers["x-should-retry"] == "false"
    assert len(upstream.seen) == before
    assert await balances.by_http(owner.http) == (CREDITS, 0)


async def test_a_body_that_nests_too_deeply_is_refused(owner: AccountClient) -> None:
    deep = "[" * 900 + "]" * 900
    body = '{"model":"test-plain","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","f":%s}]}'
    answer = await owner.http.post("/api/billing/quote/", content=body % deep)
    assert answer.status_code == 400


async def test_a_recording_is_read_for_a_key_that_may_order_its_job(owner: AccountClient) -> None:
    body = {"model": "demo-transcription", "audio": TALK}
    for scopes, status in ((["billing"], 403), (["billing", "media"], 200)):
        created = await owner.http.post("/api/chat/keys/", json={"name": "quotes", "scopes": scopes})
        headers = {"authorization": f"Bearer {created.json()['key']}"}
        assert (await owner.http.post("/api/billing/quote/", json=body, headers=headers)).status_code == status


async def test_a_recording_of_an_account_without_credits_is_not_measured(new_owner: OpenAccountClient) -> None:
    poor = await new_owner(0)
    body = {"model": "demo-transcription", "audio": TALK}
    answer = await poor.http.post("/api/billing/quote/", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "insufficient_credits")
