"""Real providers' shapes through the whole server: read with leniency, sent as OpenAI's, billed as reported."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from tests.support.doubles import raw_answers
from tests.support.doubles.openai_server import OpenAIServer
from tests.support.stack import Stack

CHAT = "/v1/chat/completions"
MESSAGES: Any = [{"role": "user", "content": "What is 2+2?"}]
STARTED = 1_000_000
COST = 11
"""Of 15 tokens of input and 4 of output."""


@pytest.fixture
async def client(stack: Stack, key: str) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=60) as opened:
        yield opened


async def spent(client: httpx2.AsyncClient) -> int:
    account = (await client.get("/api/chat/limit/")).json()
    assert account["held"] == 0
    return STARTED - int(account["balance"])


async def chunks(client: httpx2.AsyncClient, model: str) -> list[dict[str, Any]]:
    answer = await client.post(CHAT, json={"model": f"test-{model}", "messages": MESSAGES, "stream": True})
    assert answer.status_code == 200, answer.text
    assert "SECRET" not in answer.text
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content") or "" for chunk in events for choice in chunk["choices"])


@pytest.mark.parametrize("model", raw_answers.STREAMS)
async def test_a_stream_is_relayed_however_it_is_written(client: httpx2.AsyncClient, model: str) -> None:
    events = await chunks(client, model)
    assert text_of(events) == "one two"
    assert events[-1]["choices"][0]["finish_reason"] == "stop"
    assert await spent(client) == COST


async def test_halves_of_a_character(client: httpx2.AsyncClient) -> None:
    assert text_of(await chunks(client, "raw-halves")) == "one 😀"


@pytest.mark.parametrize("model", raw_answers.TOOLS)
def test_openais_own_helper_reads_a_tool_call(stack: Stack, key: str, model: str) -> None:
    tools: Any = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    with (
        OpenAI(api_key=key, base_url=f"{stack.url}/v1", max_retries=0) as client,
        client.chat.completions.stream(model=f"test-{model}", messages=MESSAGES, tools=tools) as stream,
    ):
        (call,) = stream.get_final_completion().choices[0].message.tool_calls or []
    assert (call.id, call.function.name, call.function.arguments) == ("c1", "f", "{}")


@pytest.mark.parametrize("model", raw_answers.BROKEN)
async def test_a_stream_that_breaks_says_so_after_what_it_said(client: httpx2.AsyncClient, model: str) -> None:
    events = await chunks(client, model)
    assert text_of(events) == "one two"
    assert events[-1]["error"]["code"] == "upstream_error"
    assert events[-1]["choices"][0]["finish_reason"] == "error"
    assert await spent(client) == events[-1]["yout"]["credits_charged"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", raw_answers.NO_ANSWERS)
async def test_what_is_no_answer_costs_nothing(client: httpx2.AsyncClient, model: str, stream: bool) -> None:
    answer = await client.post(CHAT, json={"model": f"test-{model}", "messages": MESSAGES, "stream": stream})
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")
    assert "SECRET" not in answer.text
    assert await spent(client) == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", raw_answers.TOO_LONG)
async def test_too_long_an_input_is_recognised(client: httpx2.AsyncClient, model: str, stream: bool) -> None:
    answer = await client.post(CHAT, json={"model": f"test-{model}", "messages": MESSAGES, "stream": stream})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", "messages")
    assert await spent(client) == 0


async def whole(client: httpx2.AsyncClient, model: str) -> dict[str, Any]:
    answer = await client.post(CHAT, json={"model": f"test-{model}", "messages": MESSAGES})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_whole_answers_that_json_does_not_allow(client: httpx2.AsyncClient) -> None:
    half, infinity = await whole(client, "raw-half"), await whole(client, "raw-infinity")
    assert half["choices"][0]["message"]["content"] == "one \ufffd two"
    assert infinity["choices"][0]["logprobs"] == {"content": [{"token": "a", "logprob": None}]}


async def test_reasoning_that_only_the_total_tells_is_billed(client: httpx2.AsyncClient) -> None:
    body = await whole(client, "raw-hidden-reasoning")
    assert body["usage"]["completion_tokens"] == 505
    assert body["usage"]["total_tokens"] == 515
    assert body["yout"]["credits_charged"] == await spent(client) == 761


async def test_integers_reach_the_provider_with_all_their_digits(
    client: httpx2.AsyncClient, upstream: OpenAIServer
) -> None:
    raw = b'{"model":"test-plain","messages":[{"role":"user","content":"x"}],"top_k":12345678901234567890123}'
    answer = await client.post(CHAT, content=raw, headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert upstream.seen[-1].body["top_k"] == 12345678901234567890123
