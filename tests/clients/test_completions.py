"""`POST /v1/completions` through the official SDK: as it is to a provider that has it, as a chat to every other."""

import math
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types import Completion

from domain.money import MINIMUM_CHARGE
from tests.clients.conftest import OpenAccountClient
from tests.support import balances
from tests.support.doubles.completions_wire import STATUSES, TEXT
from tests.support.doubles.openai_server import ANSWER, OpenAIServer

CREDITS = 1_000_000
COST = 600
"""1,000 tokens in at 300, 200 out at 1,500: as the provider reports them."""
WRITTEN = "".join(TEXT)
CAPPED = 300 + 24
"""The output is billed up to the limit that was sent: 16 tokens."""


def error_of(client: OpenAI, **body: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        client.post("/completions", body={"model": "demo-chat", "prompt": "x"} | body, cast_to=object)
    return caught.value


def cost_of(answer: Completion) -> int:
    cost: int = (answer.model_extra or {})["yout"]["credits_charged"]
    return cost


def test_the_double_speaks_openais_wire(upstream: OpenAIServer) -> None:
    with OpenAI(api_key="sk-foreign", base_url=upstream.url, max_retries=0) as provider:
        answer = provider.completions.create(model="text", prompt=["a", "b"], n=2, max_tokens=16, logprobs=1)
        assert [each.index for each in answer.choices] == [0, 1, 2, 3]
        chunks = list(provider.completions.create(model="text", prompt="a", max_tokens=16, stream=True))
        assert "".join(each.text for chunk in chunks for each in chunk.choices) == answer.choices[0].text == WRITTEN
        with pytest.raises(openai.RateLimitError):
            provider.completions.create(model="text-busy", prompt="a")


def test_a_provider_that_has_the_endpoint_gets_the_request_as_it_is(client: OpenAI, upstream: OpenAIServer) -> None:
    given: dict[str, Any] = {"prompt": ["Once", "Upon"], "suffix": "end", "n": 2, "best_of": 3, "max_tokens": 100}
    sampling: dict[str, Any] = {"temperature": 0.5, "logprobs": 2, "stop": ["\n"], "seed": 7, "logit_bias": {"5": 1}}
    answer = client.completions.create(model="test-text", user="someone", **given, **sampling)
    assert upstream.seen[-1].body == {"model": "text", **given, **sampling}
    assert [(each.index, each.text) for each in answer.choices] == [(n, WRITTEN) for n in range(4)]
    assert answer.choices[0].logprobs is not None
    assert answer.choices[0].logprobs.tokens == [*TEXT]
    assert (answer.object, answer.model, answer.id[:5]) == ("text_completion", "test-text", "cmpl-")
    assert answer.usage is not None
    assert answer.usage.total_tokens == 1200
    assert "SECRET" not in answer.to_json()
    assert balances.by_sdk(client) == (CREDITS - COST, 0)


def test_a_chat_model_gets_the_prompt_as_a_message(client: OpenAI, upstream: OpenAIServer) -> None:
    answer = client.completions.create(model="test-plain", prompt="What is 2+2?", temperature=0, best_of=0)
    sent = upstream.seen[-1].body
    assert sent["messages"] == [{"role": "user", "content": "What is 2+2?"}]
    assert (sent["max_tokens"], sent["temperature"], "prompt" in sent, "best_of" in sent) == (16, 0, False, False)
    assert [(each.text, each.finish_reason, each.logprobs) for each in answer.choices] == [(ANSWER, "stop", None)]
    assert cost_of(answer) == CAPPED
    assert balances.by_sdk(client) == (CREDITS - CAPPED, 0)


@pytest.mark.parametrize("prompt", ["Once", ["Once"], [5, 6, 7], [[5], [6, 7]], ""])
def test_every_form_of_prompt_is_sent_as_it_is(client: OpenAI, upstream: OpenAIServer, prompt: Any) -> None:
    answer = client.completions.create(model="test-text", prompt=prompt)
    assert upstream.seen[-1].body == {"model": "text", "prompt": prompt, "max_tokens": 16}
    assert len(answer.choices) == (2 if prompt == [[5], [6, 7]] else 1)


@pytest.mark.parametrize("usage", [False, True])
@pytest.mark.parametrize("model", ["test-text", "test-plain"])
def test_a_stream(client: OpenAI, upstream: OpenAIServer, model: str, usage: bool) -> None:
    n = 2 if model == "test-text" else 1
    chunks = list(
        client.completions.create(
            model=model, prompt="Once", n=n, max_tokens=200, stream=True, stream_options={"include_usage": usage}
        )
    )
    assert upstream.seen[-1].body["stream_options"] == {"include_usage": True}
    texts = ["".join(c.text for chunk in chunks for c in chunk.choices if c.index == place) for place in range(n)]
    assert texts == [WRITTEN if model == "test-text" else ANSWER] * n
    ends = [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason]
    assert ends == ["stop"] * n
    assert {(chunk.id, chunk.object, chunk.model) for chunk in chunks} == {(chunks[0].id, "text_completion", model)}
    assert (chunks[-1].usage is not None) == usage
    assert cost_of(chunks[-1]) == COST
    assert balances.by_sdk(client) == (CREDITS - COST, 0)


def test_an_echo_is_no_output(client: OpenAI) -> None:
    prompt = "word " * 200
    fields: dict[str, Any] = {"model": "test-text-unmetered", "prompt": prompt, "echo": True, "max_tokens": 4}
    answer = client.completions.create(**fields)
    assert answer.choices[0].text == prompt + WRITTEN
    text = "".join(c.text for chunk in client.completions.create(stream=True, **fields) for c in chunk.choices)
    assert text == prompt + WRITTEN
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3
    scored = client.completions.create(**fields | {"max_tokens": 0, "logprobs": 0})
    assert scored.choices[0].text == prompt
    cost = math.ceil(0.3 * answer.usage.prompt_tokens + 1.5 * 3)
    assert balances.by_sdk(client) == (CREDITS - 2 * cost - cost_of(scored), 0)


def test_the_demo_model(client: OpenAI) -> None:
    answer = client.completions.create(model="demo-chat", prompt="Say exactly: seven", max_tokens=5, logprobs=2)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens is not None
    assert logprobs.text_offset is not None
    assert "".join(logprobs.tokens) == answer.choices[0].text
    assert logprobs.text_offset[0] == len("Say exactly: seven")
    assert logprobs.top_logprobs is not None
    assert len(logprobs.top_logprobs[0]) == 2
    alone = client.completions.create(model="demo-chat", prompt="Hi", max_tokens=5, logprobs=0).choices[0].logprobs
    assert alone is not None
    assert (alone.top_logprobs, len(alone.token_logprobs or ())) == (None, 5)
    assert cost_of(answer) == MINIMUM_CHARGE


def test_the_next_route_answers_and_one_call_is_charged(client: OpenAI, upstream: OpenAIServer) -> None:
    before = len(upstream.seen)
    assert client.completions.create(model="test-text-second", prompt="x", max_tokens=200).choices[0].text == WRITTEN
    answer = client.completions.create(model="test-text-chat-second", prompt="x", max_tokens=200)
    assert answer.choices[0].text == ANSWER
    assert len(upstream.seen) == before + 4
    assert balances.by_sdk(client) == (CREDITS - 2 * COST, 0)
    error = error_of(client, model="test-text-chat-second", prompt=["x", "y"])
    assert (error.status_code, {each.body["model"] for each in upstream.seen[before + 4 :]}) == (502, {"text-broken"})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", [*STATUSES, "text-cut", "text-garbled"])
def test_a_failure_costs_nothing_before_the_first_output(client: OpenAI, fault: str, stream: bool) -> None:
    if stream and fault in ("text-cut", "text-garbled"):
        with pytest.raises(openai.APIError):
            list(client.completions.create(model="test-text-cut", prompt="x", stream=True))
        return
    error = error_of(client, model=f"test-{fault}", stream=stream)
    assert error.status_code == (429 if fault == "text-busy" else 502)
    assert "SECRET" not in error.response.text
    assert balances.by_sdk(client) == (CREDITS, 0)


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"prompt": None}, "prompt", "missing_required_parameter"),
    ({"prompt": []}, "prompt", "invalid_value"),
    ({"prompt": {}}, "prompt", "invalid_type"),
    ({"prompt": ["a", 1]}, "prompt[1]", "invalid_type"),
    ({"prompt": [1, "a"]}, "prompt", "invalid_type"),
    ({"prompt": ["a", "b"]}, "prompt", "unsupported_parameter"),
    ({"prompt": [1, 2]}, "prompt", "unsupported_parameter"),
    ({"prompt": ""}, "prompt", "unsupported_parameter"),
    ({"prompt": "word " * 60_000}, "prompt", "context_length_exceeded"),
    ({"suffix": "end"}, "suffix", "unsupported_parameter"),
    ({"echo": True}, "echo", "unsupported_parameter"),
    ({"best_of": 2}, "best_of", "unsupported_parameter"),
    ({"max_tokens": 0}, "max_tokens", "unsupported_parameter"),
    ({"max_tokens": -1}, "max_tokens", "invalid_value"),
    ({"logprobs": 6}, "logprobs", "invalid_value"),
    ({"logprobs": True}, "logprobs", "invalid_type"),
    ({"n": 3, "best_of": 2}, "best_of", "invalid_value"),
    ({"best_of": 2, "stream": True}, "best_of", "invalid_value"),
    ({"prompt": ["a"] * 1025}, "prompt", "invalid_value"),
    ({"model": "test-text", "prompt": [1], "echo": True}, "echo", "unsupported_parameter"),
    ({"temperature": 3}, "temperature", "invalid_value"),
    ({"model": "demo-embedding"}, "model", "invalid_value"),
    ({"model": "demo-image"}, "model", "invalid_value"),
    ({"strict": True, "colour": "red"}, "colour", "unsupported_parameter"),
]


def test_a_wrong_field_is_named_and_nothing_is_held(client: OpenAI) -> None:
    for body, param, code in WRONG:
        error = error_of(client, **body)
        assert (error.status_code, error.param, error.code) == (400, param, code)
    assert balances.by_sdk(client) == (CREDITS, 0)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["test-text", "test-plain"])
def test_the_same_request_again_is_answered_from_what_was_kept(
    client: OpenAI, upstream: OpenAIServer, model: str, stream: bool
) -> None:
    before, named = len(upstream.seen), {"Idempotency-Key": f"{model}-{stream}"}
    body = {"model": model, "prompt": "Once", "max_tokens": 200, "stream": stream}
    calls = [client.post("/completions", body=body, cast_to=str, options={"headers": named}) for _ in range(2)]
    text = WRITTEN if model == "test-text" else ANSWER
    if stream:
        assert all('"finish_reason":"stop"' in each for each in calls)
    else:
        assert calls[0] == calls[1]
        assert text in calls[0]
    assert len(upstream.seen) == before + 1
    assert balances.by_sdk(client) == (CREDITS - COST, 0)


async def test_a_quote_is_what_the_call_then_holds(new_owner: OpenAccountClient) -> None:
    owner = await new_owner()
    body: dict[str, Any] = {"model": "test-text", "prompt": [[1] * 700, [2] * 300], "n": 2, "best_of": 3}
    quote = (await owner.http.post("/api/billing/quote/", json=body)).json()
    bounds = quote["bounds"]
    assert (bounds["input_tokens"], bounds["choices"], bounds["output_limit"]) == (1000, 6, 16)
    answer = (await owner.http.post("/v1/completions", json=body)).json()
    receipt = await owner.get(f"/charges/{answer['id']}/")
    assert receipt["held_at_first"] == quote["credits"]["held"] == 300 + 144
    assert receipt["credits"]["charged"] == 300 + 144
