"""`POST /v1/embeddings` through the official SDK: formats, faults of providers, and what each call costs."""

import math
from typing import Any

import openai
import pytest
from openai import OpenAI

from domain.money import MINIMUM_CHARGE
from tests.clients.conftest import OpenAccount, OpenAccountClient
from tests.support import balances
from tests.support.doubles.embeddings_wire import FAULTS, STATUSES, vector
from tests.support.doubles.openai_server import OpenAIServer
from tests.support.stack import Stack

CREDITS = 1_000_000
TEXTS = ["one", "three", "seventeen"]
COST = 300
"""1,000 tokens, as the provider reports them, at 300 credits."""


def dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def error_of(client: OpenAI, **body: Any) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        client.post("/embeddings", body={"model": "demo-embedding", "input": "x"} | body, cast_to=object)
    return caught.value


def test_the_double_speaks_openais_wire(upstream: OpenAIServer) -> None:
    with OpenAI(api_key="sk-foreign", base_url=upstream.url, max_retries=0) as provider:
        answer = provider.embeddings.create(model="embed", input=TEXTS)
        assert [each.embedding for each in answer.data] == [vector(text) for text in TEXTS]
        with pytest.raises(openai.RateLimitError):
            provider.embeddings.create(model="embed-busy", input="x")


@pytest.mark.parametrize("model", ["test-embed", "test-embed-numbers", "test-embed-picky"])
@pytest.mark.parametrize("form", [None, "float", "base64"])
def test_the_client_gets_the_form_that_it_asks_for(
    client: OpenAI, upstream: OpenAIServer, model: str, form: Any
) -> None:
    given = {} if form is None else {"encoding_format": form}
    answer = client.embeddings.create(model=model, input=TEXTS, user="someone", **given)
    raw = upstream.seen[-1].body
    assert raw.keys() <= {"model", "input", "encoding_format"}
    assert ("encoding_format" in raw) == (form != "float" and model != "test-embed-picky")
    vectors = [each.embedding for each in answer.data]
    if form == "base64":
        assert all(isinstance(each, str) for each in vectors)
    else:  # the SDK asks for base64 by itself, and reads it
        assert vectors == [vector(text) for text in TEXTS]
    assert [each.index for each in answer.data] == [0, 1, 2]
    assert (answer.object, answer.model) == ("list", model)
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (1000, 1000)
    assert (answer.model_extra or {})["yout"] == {"credits_charged": COST, "balance": CREDITS - COST}
    assert balances.by_sdk(client) == (CREDITS - COST, 0)


@pytest.mark.parametrize(
    ("given", "count"),
    [("a text", 1), (["a text"], 1), ([5, 6, 7], 1), ([[5, 6], [7]], 2), (["word " * 300] * 64, 64)],
)
def test_every_form_of_input_is_sent_as_it_is(client: OpenAI, upstream: OpenAIServer, given: Any, count: int) -> None:
    answer = client.embeddings.create(model="test-embed", input=given, dimensions=8)
    assert (upstream.seen[-1].body["input"], upstream.seen[-1].body["dimensions"]) == (given, 8)
    assert [len(each.embedding) for each in answer.data] == [8] * count


def test_a_server_without_base64_is_asked_for_numbers_and_that_is_remembered(
    client: OpenAI, upstream: OpenAIServer
) -> None:
    client.embeddings.create(model="test-embed-picky", input="x", extra_body={"strict": True})
    before = len(upstream.seen)
    assert client.embeddings.create(model="test-embed-picky", input="x").data[0].embedding == vector("x")
    assert [each.body for each in upstream.seen[before:]] == [{"model": "embed-picky", "input": "x"}]
    assert balances.by_sdk(client) == (CREDITS - 2 * COST, 0)


@pytest.mark.parametrize("model", ["test-embed-backwards", "test-embed-unnumbered"])
def test_vectors_are_in_the_order_of_the_inputs(client: OpenAI, model: str) -> None:
    data = client.embeddings.create(model=model, input=TEXTS).data
    assert [each.embedding for each in data] == [vector(text) for text in TEXTS]


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "embed-twice"])
def test_an_answer_that_is_none_costs_nothing(client: OpenAI, fault: str) -> None:
    error = error_of(client, model=f"test-{fault}", input=TEXTS[:2])
    assert (error.status_code, error.code) == (502, "upstream_error")
    assert "SECRET" not in error.response.text
    assert balances.by_sdk(client) == (CREDITS, 0)


@pytest.mark.parametrize("fault", STATUSES)
def test_what_a_provider_refuses_costs_nothing(client: OpenAI, fault: str) -> None:
    error = error_of(client, model=f"test-{fault}")
    assert error.status_code == (429 if fault == "embed-busy" else 502)
    assert ("retry-after" in error.response.headers) == (fault == "embed-busy")
    assert "SECRET" not in error.response.text
    assert balances.by_sdk(client) == (CREDITS, 0)


@pytest.mark.parametrize(
    ("model", "tokens"),
    [("embed-unmetered", 2), ("embed-absurd", 2), ("embed-negative", 2), ("embed-above", 2), ("embed-total", 7)],
)
def test_usage_that_cannot_be_right_is_counted_here(client: OpenAI, model: str, tokens: int) -> None:
    answer = client.embeddings.create(model=f"test-{model}", input="Hello world")
    assert answer.usage.total_tokens == tokens
    cost = max(MINIMUM_CHARGE, math.ceil(tokens * 300 / 1000))
    assert (answer.model_extra or {})["yout"]["credits_charged"] == cost
    assert balances.by_sdk(client) == (CREDITS - cost, 0)


def test_the_next_route_answers_and_one_call_is_charged(client: OpenAI, upstream: OpenAIServer) -> None:
    before = len(upstream.seen)
    answer = client.embeddings.create(model="test-embed-second", input=TEXTS)
    assert [each.embedding for each in answer.data] == [vector(text) for text in TEXTS]
    assert len(upstream.seen) == before + 3
    assert balances.by_sdk(client) == (CREDITS - COST, 0)


def test_the_demo_model_puts_similar_texts_near_each_other(client: OpenAI) -> None:
    texts = ["The cat sat on the mat.", "A cat sits on a mat.", "Interest rates rose in March."]
    answer = client.embeddings.create(model="demo-embedding", input=texts)
    cat, cats, rates = (each.embedding for each in answer.data)
    assert math.isclose(math.hypot(*cat), 1, abs_tol=1e-6)
    assert dot(cat, cats) > dot(cat, rates) + 0.2
    again = client.embeddings.create(model="demo-embedding", input=texts[:1], dimensions=64, encoding_format="float")
    assert len(again.data[0].embedding) == 64
    assert client.embeddings.create(model="demo-embedding", input=texts[0]).data[0].embedding == cat
    assert (answer.model_extra or {})["yout"]["credits_charged"] == MINIMUM_CHARGE


@pytest.mark.parametrize(("model", "tokens"), [("test-gemini-embed", 3), ("test-gemini-embed-metered", 1000)])
def test_gemini_on_its_own_wire(client: OpenAI, upstream: OpenAIServer, model: str, tokens: int) -> None:
    texts = ["Hello world", "Hi"]
    answer = client.embeddings.create(model=model, input=texts, dimensions=8, extra_body={"input_type": "query"})
    assert [each.embedding for each in answer.data] == [vector(text, 8) for text in texts]
    name = f"models/{model.removeprefix('test-gemini-')}"
    assert upstream.seen[-1].body == {
        "requests": [
            {
                "model": name,
                "content": {"parts": [{"text": text}]},
                "outputDimensionality": 8,
                "taskType": "RETRIEVAL_QUERY",
            }
            for text in texts
        ]
    }
    assert answer.usage.total_tokens == tokens
    assert balances.by_sdk(client) == (CREDITS - max(MINIMUM_CHARGE, math.ceil(tokens * 0.3)), 0)


def test_what_gemini_cannot_take_or_does_not_answer(client: OpenAI) -> None:
    for body, param in (
        ({"input": [1]}, "input"),
        ({"input": ["x"] * 101}, "input"),
        ({"input_type": "x"}, "input_type"),
    ):
        error = error_of(client, model="test-gemini-embed", **body)
        assert (error.status_code, error.param) == (400, param)
    for name, status in (("embed-busy", 429), ("embed-fewer", 502)):
        error = error_of(client, model=f"test-gemini-{name}")
        assert (error.status_code, "SECRET" in error.response.text) == (status, False)
    assert balances.by_sdk(client) == (CREDITS, 0)


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"input": None}, "input", "missing_required_parameter"),
    ({"input": ""}, "input", "invalid_value"),
    ({"input": []}, "input", "invalid_value"),
    ({"input": ["a", ""]}, "input[1]", "invalid_value"),
    ({"input": [[1], []]}, "input[1]", "invalid_value"),
    ({"input": ["a", 1]}, "input[1]", "invalid_type"),
    ({"input": [1, "a"]}, "input", "invalid_type"),
    ({"input": [[1], [True]]}, "input[1]", "invalid_type"),
    ({"input": [-1]}, "input", "invalid_value"),
    ({"input": [{}]}, "input[0]", "invalid_type"),
    ({"input": {}}, "input", "invalid_type"),
    ({"input": ["a"] * 2049}, "input", "invalid_value"),
    ({"input": ["word " * 20_000]}, "input", "context_length_exceeded"),
    ({"input": ["a", [1] * 9000]}, "input[1]", "invalid_type"),
    ({"input": [[1], [1] * 9000]}, "input", "context_length_exceeded"),
    ({"input": [[1] * 8000] * 40}, "input", "context_length_exceeded"),
    ({"encoding_format": "int8"}, "encoding_format", "invalid_value"),
    ({"dimensions": 0}, "dimensions", "invalid_value"),
    ({"dimensions": "8"}, "dimensions", "invalid_type"),
    ({"dimensions": 513}, "dimensions", "invalid_value"),
    ({"stream": True}, "stream", "unsupported_parameter"),
    ({"model": ""}, "model", "invalid_value"),
    ({"model": "demo-chat"}, "model", "invalid_value"),
    ({"model": "demo-image"}, "model", "invalid_value"),
    ({"model": "nobody"}, "model", "model_not_found"),
    ({"strict": True, "colour": "red"}, "colour", "unsupported_parameter"),
]


def test_a_wrong_field_is_named_and_nothing_is_held(client: OpenAI) -> None:
    for body, param, code in WRONG:
        error = error_of(client, **body)
        assert (error.status_code, error.param, error.code) == (404 if code == "model_not_found" else 400, param, code)
    assert balances.by_sdk(client) == (CREDITS, 0)


def test_an_embedding_model_does_not_chat(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="demo-embedding", messages=[{"role": "user", "content": "x"}])
    assert caught.value.param == "model"
    assert "/v1/embeddings" in caught.value.message


def test_dimensions_that_a_provider_ignores(client: OpenAI) -> None:
    error = error_of(client, model="test-embed-uneven", input=TEXTS[:1], dimensions=9)
    assert (error.status_code, error.param) == (400, "dimensions")
    assert balances.by_sdk(client) == (CREDITS, 0)


def test_what_a_field_of_another_vendor_does(client: OpenAI, upstream: OpenAIServer) -> None:
    raw = client.embeddings.with_raw_response.create(
        model="test-embed", input="x", extra_body={"input_type": "query", "colour": "red", "metadata": {"a": "b"}}
    )
    assert raw.headers["x-yout-dropped-parameters"] == "colour"
    assert raw.headers["x-yout-credits-charged"] == str(COST)
    assert upstream.seen[-1].body.keys() == {"model", "input", "input_type", "encoding_format"}


def test_the_same_request_again_is_answered_from_what_was_kept(client: OpenAI, upstream: OpenAIServer) -> None:
    before, named = len(upstream.seen), {"Idempotency-Key": "embed-1"}
    calls = [
        client.embeddings.with_raw_response.create(model="test-embed", input=TEXTS, extra_headers=named)
        for _ in range(2)
    ]
    assert calls[0].text == calls[1].text
    assert calls[1].headers["idempotent-replayed"] == "true"
    assert len(upstream.seen) == before + 1
    assert balances.by_sdk(client) == (CREDITS - COST, 0)


async def test_a_quote_is_what_the_call_then_holds(new_owner: OpenAccountClient) -> None:
    owner = await new_owner()
    body = {"model": "test-embed", "input": [[1] * 700, [2] * 300]}
    quote = (await owner.http.post("/api/billing/quote/", json=body)).json()
    assert (quote["kind"], quote["bounds"]["input_tokens"]) == ("embedding", 1000)
    assert quote["credits"] == {"held": COST, "at_most": COST}
    answer = (await owner.http.post("/v1/embeddings", json=body)).json()
    receipt = await owner.get(f"/charges/{answer['id']}/")
    assert (receipt["held_at_first"], receipt["credits"]["charged"]) == (COST, COST)


async def test_a_short_balance_is_told_before_anything_is_sent(
    stack: Stack, account: OpenAccount, upstream: OpenAIServer
) -> None:
    before = len(upstream.seen)
    with OpenAI(api_key=await account(100), base_url=f"{stack.url}/v1", max_retries=0) as poor:
        error = error_of(poor, model="test-embed", input=[[1] * 1000])
    assert (error.status_code, error.code) == (402, "insufficient_credits")
    assert len(upstream.seen) == before
