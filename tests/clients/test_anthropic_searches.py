"""Searches of Claude's own: held for at every reading of the input, and billed as Anthropic bills them."""

from collections.abc import Iterator
from typing import Any

import pytest
from anthropic import Anthropic

from tests.support.account_client import AccountClient
from tests.support.doubles.anthropic_server import ANSWER, PAGE, AnthropicServer
from tests.support.stack import Stack

QUESTION: list[Any] = [{"role": "user", "content": "What is 2+2?"}]
MODEL = "test-claude-searches"
WINDOW = 200_000
EXACT = 380_000 * 0.3 + 200 * 1.5 + 2 * 1000
"""What two searches, 380,000 tokens read and 200 written cost."""
SEARCH: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search"}


@pytest.fixture
def own(stack: Stack, owner: AccountClient) -> Iterator[Anthropic]:
    with Anthropic(api_key=owner.customer.token, base_url=stack.url, max_retries=0) as client:
        yield client


async def last_receipt(owner: AccountClient) -> dict[str, Any]:
    listed = await owner.get("/charges/", limit=1)
    return await owner.closed(listed["data"][0]["id"])


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_of_the_same_wire_searches(
    own: Anthropic, owner: AccountClient, claudes: AnthropicServer, stream: bool
) -> None:
    tools: Any = [{**SEARCH, "max_uses": 1}]
    fields: dict[str, Any] = {"model": MODEL, "max_tokens": 100, "messages": QUESTION, "tools": tools}
    if stream:
        with own.messages.stream(**fields) as events:
            message = events.get_final_message()
    else:
        message = own.messages.create(**fields)
    assert [block.type for block in message.content] == ["server_tool_use", "web_search_tool_result", "text"]
    assert message.usage.server_tool_use is not None
    assert message.usage.server_tool_use.web_search_requests == 2
    assert claudes.seen[-1].body["tools"] == tools
    receipt = await last_receipt(owner)
    assert receipt["usage"]["meters"] == {"input": 380_000, "output": 100, "web_search": 2}
    assert receipt["bounds"]["input_tokens"] == 2 * WINDOW
    assert receipt["credits"]["charged"] <= receipt["credits"]["held"]


async def test_a_chat_searches_too(owner: AccountClient, claudes: AnthropicServer) -> None:
    answer = await owner.chat(MODEL, max_tokens=500, web_search_options={})
    message = answer.json()["choices"][0]["message"]
    assert message["content"] == ANSWER
    assert message["annotations"][0]["url_citation"]["url"] == PAGE
    assert claudes.seen[-1].body["tools"] == [{**SEARCH, "max_uses": 5}]
    receipt = await owner.get(f"/charges/{answer.json()['id']}/")
    assert (receipt["bounds"]["input_tokens"], receipt["credits"]["charged"]) == (6 * WINDOW, EXACT)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_search_that_is_not_made_costs_nothing(owner: AccountClient, stream: bool) -> None:
    fields: dict[str, Any] = {"max_tokens": 500, "web_search_options": {}}
    if stream:
        receipt = await owner.closed(await owner.streamed("test-claude-plain", **fields))
    else:
        receipt = await owner.charged("test-claude-plain", **fields)
    assert receipt["usage"]["meters"] == {"input": 1000, "output": 200}
    assert receipt["credits"]["charged"] == 600


async def test_who_cannot_pay_for_every_reading_is_told_so(own: Anthropic, new_owner: Any, stack: Stack) -> None:
    poor = await new_owner(50_000)
    answer = await poor.chat(MODEL, max_tokens=10, web_search_options={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "insufficient_credits")
