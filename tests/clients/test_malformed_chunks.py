"""Odd answers and odd requests: never a 500, never a charge for nothing, never a hold that stays."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from tests.support import balances
from tests.support.doubles import malformed_chunks
from tests.support.doubles.openai_server import OpenAIServer
from tests.support.stack import Stack

CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "What is 2+2?"}]


@pytest.fixture
async def client(stack: Stack, key: str) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=30) as opened:
        yield opened


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(
    ("model", "stream"),
    [*((m, False) for m in malformed_chunks.WHOLE), *((m, True) for m in malformed_chunks.STREAMED)],
)
async def test_an_unusable_answer_is_the_providers_failure_and_costs_nothing(
    client: httpx2.AsyncClient, model: str, stream: bool, named: bool
) -> None:
    body = {"model": f"test-{model}", "messages": MESSAGES, "stream": stream}
    answer = await client.post(CHAT, json=body, headers={"idempotency-key": "k"} if named else {})
    assert answer.status_code == 502, answer.text
    assert answer.json()["error"]["code"] == "upstream_error"
    assert "SECRET" not in answer.text
    assert await balances.by_http(client) == (1_000_000, 0)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_provider_tells_about_itself_stays_here(client: httpx2.AsyncClient, stream: bool) -> None:
    answer = await client.post(CHAT, json={"model": "test-chatty", "messages": MESSAGES, "stream": stream})
    assert answer.status_code == 200, answer.text
    assert "SECRET" not in answer.text
    assert answer.text.count('"yout"') == 1
    assert answer.text.count("error") == 0


async def test_a_route_that_has_only_cleared_its_throat_is_left_for_the_next(client: httpx2.AsyncClient) -> None:
    body = {"model": "test-throat", "messages": MESSAGES, "stream": True}
    answer = await client.post(CHAT, json=body)
    assert answer.status_code == 200
    assert answer.text.count('"role":"assistant"') == 1
    assert "[DONE]" in answer.text


@pytest.mark.parametrize(("model", "param"), [("telling", None), ("telling-within", "messages[0]")])
async def test_what_the_provider_calls_a_parameter_is_told_only_if_the_caller_sent_it(
    client: httpx2.AsyncClient, model: str, param: str | None
) -> None:
    answer = await client.post(CHAT, json={"model": f"test-{model}", "messages": MESSAGES})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert "SECRET" not in answer.text


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"messages": [{"role": "assistant", "tool_calls": 5}]}, "messages[0].tool_calls"),
        ({"messages": [{"role": "assistant", "tool_calls": ["x"]}]}, "messages[0].tool_calls"),
        ({"tools": [{"type": "web_search_preview"}]}, "tools[0].type"),
        ({"tools": ["x"]}, "tools[0].type"),
        ({"models": "test-plain"}, "models"),
        ({"route": "nearest"}, "route"),
        ({"best_of": 20}, "best_of"),
        ({"response_format": {"x": deep(300)}}, None),
        ({"response_format": {"x": deep(300)}, "stream": True}, None),
    ],
)
async def test_odd_requests_are_named_and_refused(
    client: httpx2.AsyncClient, changes: dict[str, Any], param: str | None
) -> None:
    answer = await client.post(CHAT, json={"model": "test-plain", "messages": MESSAGES} | changes)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param
    assert await balances.by_http(client) == (1_000_000, 0)


async def test_an_unknown_model_of_several_is_named(client: httpx2.AsyncClient) -> None:
    answer = await client.post(CHAT, json={"model": "test-plain", "messages": MESSAGES, "models": ["dear/model"]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "models")
    assert await balances.by_http(client) == (1_000_000, 0)


async def test_what_decides_where_a_call_goes_is_ours(client: httpx2.AsyncClient, upstream: OpenAIServer) -> None:
    theirs = {
        "api_base": "http://x",
        "base_url": "http://x",
        "api_key": "x",
        "extra_headers": {"x": "y"},
        "session_id": "ann",
        "trace": {"user": "ann"},
        "prompt_cache_retention": "24h",
        "max_output_tokens": 99_999,
        "options": {"num_predict": -1},
    }
    await client.post(CHAT, json={"model": "test-plain", "messages": MESSAGES, "seed": 7} | theirs)
    seen = upstream.seen[-1].body
    assert seen["seed"] == 7
    assert not set(theirs) & set(seen)


async def test_odd_headers_and_bodies_are_no_500(client: httpx2.AsyncClient) -> None:
    body = {"model": "test-plain", "messages": MESSAGES}
    counted = await client.post(CHAT, json=body, headers={"x-stainless-retry-count": "9" * 5000})
    assert counted.status_code == 200
    for content in (b"", b"not json", b"[]"):
        answer = await client.post("/api/media/image/", content=content, headers={"idempotency-key": "k"})
        assert answer.status_code == 400, answer.text
    named = await client.post("/api/chat/keys/", json={"name": "a\x00b"})
    assert named.status_code == 400
    spelled = await client.post(CHAT, json=body | {"messages": [{"role": "user", "content": "use \\u0000 in C"}]})
    assert spelled.status_code == 200


async def test_a_strangers_large_body_is_not_looked_through(stack: Stack) -> None:
    from domain import keys

    stranger = {"authorization": f"Bearer {keys.mint(bytes(32))}"}
    tools = [{"type": "function", "function": {"name": "f", "description": "word " * 50}}] * 2000
    async with httpx2.AsyncClient(base_url=stack.url, headers=stranger, timeout=30) as client:
        answer = await client.post(CHAT, json={"model": "test-plain", "messages": MESSAGES, "tools": tools})
    assert answer.status_code == 401


async def test_a_large_request_of_a_customer_is_served(client: httpx2.AsyncClient) -> None:
    large = [{"role": "user", "content": "word " * 30_000}]
    answer = await client.post(CHAT, json={"model": "test-plain", "messages": large, "max_tokens": 10})
    assert answer.status_code == 200


@pytest.mark.parametrize("model", ["test-plain", "test-ends-one-of-two"])
async def test_every_choice_of_a_stream_has_an_end(client: httpx2.AsyncClient, model: str) -> None:
    answer = await client.post(CHAT, json={"model": model, "messages": MESSAGES, "stream": True, "n": 3})
    chunks = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    ends = [choice["index"] for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]
    assert sorted(ends) == [0, 1, 2]


@pytest.mark.parametrize(("model", "stream"), [("test-comments", True), ("test-nested", False)])
async def test_a_provider_that_only_makes_work_is_cut_and_a_neighbour_is_answered(
    client: httpx2.AsyncClient, model: str, stream: bool
) -> None:
    body = {"model": model, "messages": MESSAGES, "stream": stream, "max_tokens": 10}
    flooded, served = await asyncio.gather(
        client.post(CHAT, json=body),
        client.post(CHAT, json={"model": "test-plain", "messages": MESSAGES, "max_tokens": 200}),
    )
    assert (flooded.status_code, flooded.json()["error"]["code"]) == (502, "upstream_error")
    assert served.status_code == 200
    assert await balances.by_http(client) == (1_000_000 - served.json()["yout"]["credits_charged"], 0)
