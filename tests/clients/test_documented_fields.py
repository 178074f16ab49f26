"""Everything that OpenAI documents for a chat, with a model that is priced for it: taken, billed and explained."""

from typing import Any, cast

import openai
import pytest
from openai import OpenAI
from openai.types.chat.completion_create_params import CompletionCreateParamsBase

from bench.chaos.receipts import faults
from tests.support.account_client import AccountClient
from tests.support.doubles.openai_server import ANSWER, OpenAIServer
from tests.support.stack import Stack

EVERYTHING: dict[str, Any] = {
    "messages": [{"role": "developer", "content": "Be brief.", "name": "name"}, {"role": "user", "content": "2+2?"}],
    "model": "test-extras",
    "audio": {"format": "wav", "voice": "alloy"},
    "frequency_penalty": -2,
    "function_call": "none",
    "functions": [{"name": "name", "description": "description", "parameters": {"foo": "bar"}}],
    "logit_bias": {"foo": 0},
    "logprobs": True,
    "max_completion_tokens": 400,
    "max_tokens": 400,
    "metadata": {"foo": "string"},
    "modalities": ["text", "audio"],
    "moderation": {"model": "model", "policy": {"input": {"mode": "score"}, "output": {"mode": "score"}}},
    "n": 1,
    "parallel_tool_calls": True,
    "prediction": {"content": "string", "type": "content"},
    "presence_penalty": -2,
    "prompt_cache_key": "prompt-cache-key-1234",
    "prompt_cache_options": {"mode": "implicit", "ttl": "30m"},
    "prompt_cache_retention": "in_memory",
    "reasoning_effort": "none",
    "response_format": {"type": "text"},
    "safety_identifier": "safety-identifier-1234",
    "seed": -9007199254740991,
    "service_tier": "priority",
    "stop": "\n",
    "store": True,
    "stream_options": {"include_obfuscation": True, "include_usage": True},
    "temperature": 1,
    "tool_choice": "none",
    "tools": [{"type": "function", "function": {"name": "name", "parameters": {"foo": "bar"}, "strict": True}}],
    "top_logprobs": 0,
    "top_p": 1,
    "user": "user-1234",
    "verbosity": "low",
    "web_search_options": {
        "search_context_size": "low",
        "user_location": {
            "approximate": {"city": "city", "country": "country", "region": "region", "timezone": "timezone"},
            "type": "approximate",
        },
    },
}
NOT_SENT = {"metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "store", "user"}
"""About the caller, or decided here: never sent upstream."""
AUDIO = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}


def asking(part: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, part]}]}


def test_no_documented_field_is_forgotten() -> None:
    assert set(EVERYTHING) == set(CompletionCreateParamsBase.__annotations__)


@pytest.mark.parametrize("stream", [False, True])
async def test_every_documented_field_at_once(
    stack: Stack, owner: AccountClient, upstream: OpenAIServer, stream: bool
) -> None:
    """1,000 in of which 50 are cached, 200 out of which 60 are audio, two searches; by the prices of `priority`."""
    fields = EVERYTHING if stream else {name: value for name, value in EVERYTHING.items() if name != "stream_options"}
    with OpenAI(api_key=owner.customer.token, base_url=f"{stack.url}/v1", max_retries=0) as client:
        answer = cast(Any, client.chat.completions.create)(**fields, stream=stream)
        charge = list(answer)[-1].id if stream else answer.id
    sent = upstream.seen[-1].body
    assert not NOT_SENT & {name for name in sent if sent[name] not in (None, False)}
    extras = {"audio", "modalities", "moderation", "service_tier", "web_search_options", "verbosity", "prediction"}
    assert {name: sent[name] for name in extras} == {name: EVERYTHING[name] for name in extras}
    receipt = await owner.get(f"/charges/{charge}/")
    assert faults(receipt) == []
    assert receipt["usage"]["meters"] == {
        "input": 950,
        "cached_input": 50,
        "output": 140,
        "audio_output": 60,
        "web_search": 2,
    }
    assert receipt["credits"]["charged"] == 950 * 600 // 1000 + 30 + 420 + 384 + 2000
    assert receipt["bounds"]["web_searches"] == 10


@pytest.mark.parametrize(
    ("model", "fields", "credits"),
    [
        ("test-extras", {}, 285 + 1.5 + 300),
        ("test-extras", asking(AUDIO), 255 + 1.5 + 320 + 300),
        ("test-extras", {"modalities": ["text", "audio"]}, 285 + 1.5 + 210 + 384),
        ("test-extras", {"web_search_options": {}}, 285 + 1.5 + 300 + 2000),
        ("test-extras", {"service_tier": "flex"}, 142.5 + 7.5 + 150),
        ("test-extras", {"service_tier": "auto"}, 285 + 1.5 + 300),
        ("test-downgraded", {"service_tier": "priority"}, 600),  # served by the usual tier
        ("test-downgraded", {}, 600),
        ("test-downgraded", {"web_search_options": {}}, 600 + 1000),  # nothing is reported: one search
    ],
)
async def test_each_extra_is_billed_by_its_own_price(
    owner: AccountClient, model: str, fields: dict[str, Any], credits: float
) -> None:
    receipt = await owner.charged(model, max_tokens=500, **fields)
    assert faults(receipt) == []
    assert float(receipt["calculation"]["exact_cost"]) == credits
    streamed = await owner.closed(await owner.streamed(model, max_tokens=500, **fields))
    assert (streamed["usage"], streamed["applied"]) == (receipt["usage"], receipt["applied"])
    assert streamed["credits"]["charged"] == receipt["credits"]["charged"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"web_search_options": {}}, "web_search_options"),
        ({"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"moderation": {"model": "m"}}, "moderation"),
    ],
)
async def test_a_model_without_a_price_for_it_refuses_it(
    owner: AccountClient, upstream: OpenAIServer, fields: dict[str, Any], param: str
) -> None:
    seen = len(upstream.seen)
    refused = await owner.chat("test-plain", **fields)
    error = refused.json()["error"]
    assert (refused.status_code, error["param"], error["code"]) == (400, param, "unsupported_parameter")
    assert len(upstream.seen) == seen


@pytest.mark.parametrize("kind", ["input_audio", "image_url", "file", "video_url"])
async def test_a_part_that_the_model_does_not_read_is_named(
    owner: AccountClient, upstream: OpenAIServer, kind: str
) -> None:
    seen = len(upstream.seen)
    refused = await owner.chat("test-plain", **asking({"type": kind, kind: {"url": "https://x/y"}}))
    error = refused.json()["error"]
    assert (refused.status_code, error["param"]) == (400, "messages[0].content[1]")
    assert "does not read" in error["message"]
    assert len(upstream.seen) == seen


@pytest.mark.parametrize("kind", ["zzz", "TEXT", "pdf", "inline_data", "tool_result"])
@pytest.mark.parametrize("role", ["user", "assistant", "system"])
async def test_a_part_whose_price_nobody_knows_is_refused(
    owner: AccountClient, upstream: OpenAIServer, role: str, kind: str
) -> None:
    seen = len(upstream.seen)
    messages = [{"role": role, "content": [{"type": "text", "text": "x"}, {"type": kind, kind: "x"}]}]
    refused = await owner.chat("test-plain", messages=messages)
    error = refused.json()["error"]
    assert (refused.status_code, error["param"]) == (400, "messages[0].content[1].type")
    assert len(upstream.seen) == seen


@pytest.mark.parametrize("kind", ["vendor_field", "text", "refusal"])
async def test_a_part_of_text_and_one_that_the_catalog_passes_go_upstream(
    owner: AccountClient, upstream: OpenAIServer, kind: str
) -> None:
    messages = [{"role": "user", "content": [{"type": kind, "text": "x"}]}]
    assert (await owner.chat("test-plain", messages=messages)).status_code == 200
    assert upstream.seen[-1].body["messages"] == messages


@pytest.mark.parametrize("stream", [False, True])
async def test_an_input_that_cannot_fit_costs_nothing(
    stack: Stack, owner: AccountClient, upstream: OpenAIServer, stream: bool
) -> None:
    seen = len(upstream.seen)
    with OpenAI(api_key=owner.customer.token, base_url=f"{stack.url}/v1", max_retries=0) as client:
        for words in (2800, 60_000):
            with pytest.raises(openai.BadRequestError) as refused:
                client.chat.completions.create(
                    model="test-small", messages=[{"role": "user", "content": "word " * words}], stream=stream
                )
            assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages")
        assert len(upstream.seen) == seen
        assert (await owner.get("/charges/"))["data"] == []
        fits = client.chat.completions.create(
            model="test-small", messages=[{"role": "user", "content": "word " * 1800}], max_tokens=100
        )
    assert fits.choices[0].message.content == ANSWER
