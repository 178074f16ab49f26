"""A provider of OpenAI's Responses: first asked by OpenAI's SDK itself, then through the server, by both wires."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.doubles.responses_server import ANSWER, ENCRYPTED, ResponsesServer
from tests.support.stack import Stack

TOOL: Any = {
    "type": "function",
    "name": "find_city",
    "parameters": {"type": "object", "properties": {}},
    "strict": False,
}
PATCH: Any = {"type": "custom", "name": "apply_patch", "format": {"type": "text"}}


@pytest.fixture
def direct(responses: ResponsesServer) -> Iterator[OpenAI]:
    """The double itself."""
    with OpenAI(api_key="sk-x", base_url=responses.url, max_retries=0) as direct:
        yield direct


@pytest.fixture
def client(stack: Stack, key: str) -> Iterator[OpenAI]:
    with OpenAI(api_key=key, base_url=f"{stack.url}/v1", max_retries=0) as client:
        yield client


KINDS = {
    "plain": ["message"],
    "reasons": ["reasoning", "message"],
    "calls": ["function_call"],
    "patches": ["custom_tool_call"],
    "refuses": ["message"],
    "limited": ["message"],
    "searches": ["web_search_call", "message"],
}


def answers_of(client: OpenAI, model: str) -> tuple[Any, Any]:
    """The output of an answer, and that of a stream, as the SDK reads them."""
    tools: Any = [TOOL, PATCH, {"type": "web_search"}]
    fields: Any = {"input": "x", "tools": tools, "reasoning": {"effort": "low", "summary": "auto"}}
    whole = client.responses.create(model=model, **fields)
    first, *_, last = client.responses.create(model=model, stream=True, **fields)
    assert first.type == "response.created"
    assert last.type == ("response.incomplete" if model.endswith("limited") else "response.completed")
    return whole, last.response


@pytest.mark.parametrize("model", KINDS)
def test_the_sdk_reads_the_double_and_the_server_alike(direct: OpenAI, client: OpenAI, model: str) -> None:
    expected = [[item.to_dict() for item in answer.output] for answer in answers_of(direct, model)]
    assert [item["type"] for item in expected[0]] == KINDS[model]
    answers = answers_of(client, f"native-{model}")
    assert [[item.to_dict() for item in answer.output] for answer in answers] == expected
    for answer in answers:
        assert "SECRET" not in json.dumps(answer.to_dict())
        assert answer.model == f"native-{model}"
        assert answer.usage.input_tokens_details.cached_tokens == 600
        assert answer.usage.output_tokens_details.reasoning_tokens == (50 if model == "reasons" else 0)
        assert answer.to_dict()["yout"]["credits_charged"] > 0
    charges = {answer.to_dict()["yout"]["credits_charged"] for answer in answers}
    assert len(charges) == 1


def test_the_request_goes_as_it_is_but_for_what_is_ours(client: OpenAI, responses: ResponsesServer) -> None:
    item: Any = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": ENCRYPTED, "of": "PRIVATE"}
    other: Any = {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "yout-reasoning-1.W10="}
    lost: Any = {"type": "reasoning", "id": "rs_3", "summary": []}
    first: Any = {"role": "user", "content": [{"type": "input_text", "text": "x", "metadata": "PRIVATE"}]}
    raw = client.responses.with_raw_response.create(
        model="native-plain",
        input=[first | {"user": "PRIVATE"}, item, other, lost, {"role": "user", "content": "y"}],
        instructions="Be brief.",
        tools=[PATCH],
        truncation="auto",
        reasoning={"effort": "low"},
        user="PRIVATE",
        metadata={"a": "PRIVATE"},
        store=True,
        extra_body={"unheard_of": "PRIVATE"},
    )
    sent = responses.seen[-1]
    assert sent.body == {
        "model": "plain",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "x"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": ENCRYPTED},
            {"role": "user", "content": "y"},
        ],
        "instructions": "Be brief.",
        "tools": [PATCH],
        "truncation": "auto",
        "reasoning": {"effort": "low"},
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 4000,
        "store": False,
    }
    assert raw.headers["x-yout-dropped-parameters"] == "unheard_of"
    assert raw.parse().to_dict()["metadata"] == {"a": "PRIVATE"}


def test_a_chat_is_answered_through_responses(client: OpenAI, responses: ResponsesServer) -> None:
    tools: Any = [{"type": "function", "function": {"name": "find_city", "parameters": {"type": "object"}}}]
    messages: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "x"}]
    answer = client.chat.completions.create(
        model="native-calls", messages=messages, tools=tools, max_tokens=100, reasoning_effort="low"
    )
    (call,) = answer.choices[0].message.tool_calls or []
    assert (call.type, answer.choices[0].finish_reason) == ("function", "tool_calls")
    assert call.to_dict()["function"] == {"name": "find_city", "arguments": '{"city": "Rome"}'}
    sent = responses.seen[-1].body
    assert sent["input"] == [
        {"type": "message", "role": "system", "content": "Be brief."},
        {"type": "message", "role": "user", "content": "x"},
    ]
    assert (sent["store"], sent["max_output_tokens"], sent["reasoning"]) == (False, 100, {"effort": "low"})
    assert sent["tools"][0]["strict"] is False
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "Rome"}
    again: Any = [*messages, answer.choices[0].message.to_dict(), result]
    chunks = list(client.chat.completions.create(model="native-reasons", messages=again, tools=tools, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER
    items = responses.seen[-1].body["input"]
    assert [item["type"] for item in items] == ["message", "message", "function_call", "function_call_output"]


def test_reasoning_comes_back_to_its_provider(client: OpenAI, responses: ResponsesServer) -> None:
    answer = client.chat.completions.create(
        model="native-reasons", messages=[{"role": "user", "content": "x"}], extra_body={"reasoning": {"effort": "low"}}
    )
    assert responses.seen[-1].body["reasoning"] == {"effort": "low", "summary": "auto"}
    message = answer.choices[0].message.to_dict()
    assert message["reasoning_content"] == "Two and two."
    again: Any = [{"role": "user", "content": "x"}, message, {"role": "user", "content": "y"}]
    client.chat.completions.create(model="native-plain", messages=again)
    assert responses.seen[-1].body["input"][1] == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "Two and two."}],
        "encrypted_content": ENCRYPTED,
    }


FAILURES: list[tuple[str, type[openai.APIStatusError], str, str | None]] = [
    ("native-busy", openai.RateLimitError, "rate_limit_exceeded", None),
    ("native-unpaid", openai.InternalServerError, "upstream_error", None),
    ("native-wrong", openai.BadRequestError, "invalid_value", "input[0]"),
    ("native-long", openai.BadRequestError, "context_length_exceeded", "input"),
    ("native-fails", openai.InternalServerError, "upstream_error", None),
]


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("stream", [False, True])
def test_failures(
    client: OpenAI, failure: tuple[str, type[openai.APIStatusError], str, str | None], stream: Any
) -> None:
    model, error, code, param = failure
    messages: Any = [{"role": "user", "content": "x"}]
    with pytest.raises(error) as caught:
        client.responses.create(model=model, input=messages, stream=stream)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert "SECRET" not in str(caught.value.body)
    with pytest.raises(error) as chat:
        client.chat.completions.create(model=model, messages=messages, stream=stream)
    assert chat.value.param in (None, "messages")


def test_a_stream_that_is_cut_ends_with_an_error(client: OpenAI) -> None:
    with pytest.raises(openai.APIError) as caught:
        list(client.responses.create(model="native-cut", input="x", stream=True))
    assert caught.value.code == "upstream_error"


def test_searches_are_billed_or_not_made(client: OpenAI, responses: ResponsesServer) -> None:
    tools: Any = [{"type": "web_search", "search_context_size": "low"}]
    raw = client.responses.with_raw_response.create(model="native-plain", input="x", tools=tools)
    assert "tools" not in responses.seen[-1].body
    assert raw.headers["x-yout-dropped-parameters"] == "tools[0]"
    plain: Any = raw.parse().to_dict()["yout"]
    searched: Any = client.responses.create(model="native-searches", input="x", tools=tools).to_dict()["yout"]
    assert (responses.seen[-1].body["tools"], responses.seen[-1].body["max_tool_calls"]) == (tools, 10)
    assert searched["credits_charged"] == plain["credits_charged"] + 1000
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="native-plain", input="x", tools=tools, extra_body={"strict": True})
    assert caught.value.param == "tools[0]"
