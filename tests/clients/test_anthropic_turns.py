"""Turns after a search of Claude's: Anthropic's SDK sends back what it got, and goes on with what is paused."""

from collections.abc import Iterator
from typing import Any

import pytest
from anthropic import Anthropic, BadRequestError

from tests.support.account_client import AccountClient
from tests.support.doubles.anthropic_server import ANSWER, PAGE, AnthropicServer
from tests.support.stack import Stack

ASK: dict[str, Any] = {"role": "user", "content": "What is 2+2?"}
TOOLS: Any = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 1}]
SEARCHES = "test-claude-searches"
SEARCHED = ["server_tool_use", "web_search_tool_result"]


@pytest.fixture
def own(stack: Stack, owner: AccountClient) -> Iterator[Anthropic]:
    with Anthropic(api_key=owner.customer.token, base_url=stack.url, max_retries=0) as client:
        yield client


def answered(own: Anthropic, model: str, messages: list[Any], *, stream: bool, **fields: Any) -> Any:
    given: Any = {"model": model, "max_tokens": 100, "messages": messages, **fields}
    if not stream:
        return own.messages.create(**given)
    with own.messages.stream(**given) as events:
        return events.get_final_message()


async def last_receipt(owner: AccountClient) -> dict[str, Any]:
    listed = await owner.get("/charges/", limit=1)
    return await owner.closed(listed["data"][0]["id"])


@pytest.mark.parametrize("stream", [False, True])
async def test_a_second_turn_has_the_steps_of_the_search(
    own: Anthropic, owner: AccountClient, claudes: AnthropicServer, stream: bool
) -> None:
    first = answered(own, SEARCHES, [ASK], stream=stream, tools=TOOLS)
    turns: list[Any] = [ASK, {"role": "assistant", "content": first.content}, {"role": "user", "content": "And 3+3?"}]
    second = answered(own, SEARCHES, turns, stream=stream, tools=TOOLS)
    assert [block.type for block in second.content] == [*SEARCHED, "text"]
    call, result, text = claudes.seen[-1].body["messages"][1]["content"]
    assert [call["type"], result["type"]] == SEARCHED
    assert (call["id"], result["tool_use_id"]) == ("srvtoolu_1", "srvtoolu_1")
    assert (result["content"][0]["url"], result["content"][0]["encrypted_content"]) == (PAGE, "e")
    assert (text["text"], text["citations"][0]["encrypted_index"]) == (ANSWER, "i")
    assert own.messages.count_tokens(model=SEARCHES, messages=turns).input_tokens > 0
    receipt = await last_receipt(owner)
    assert receipt["usage"]["meters"] == {"input": 380_000, "output": 100, "web_search": 2}
    assert receipt["credits"]["charged"] <= receipt["credits"]["held"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_goes_on_with_a_paused_answer(
    own: Anthropic, owner: AccountClient, claudes: AnthropicServer, stream: bool
) -> None:
    model = "test-claude-pauses-once"
    first = answered(own, model, [ASK], stream=stream, tools=TOOLS)
    assert first.stop_reason == "pause_turn"
    second = answered(own, model, [ASK, {"role": "assistant", "content": first.content}], stream=stream, tools=TOOLS)
    assert (second.stop_reason, second.content[0].text) == ("end_turn", "Part 1.")
    sent = claudes.seen[-1].body["messages"][1]["content"]
    assert [block["type"] for block in sent] == ["text", *SEARCHED]
    assert sent[1]["input"] == {"query": "sum 0"}
    assert (await last_receipt(owner))["usage"]["meters"] == {"input": 50_000, "output": 100, "web_search": 1}


def searched(pages: str) -> list[Any]:
    """An earlier search whose page is so long."""
    page = {"type": "web_search_result", "url": PAGE, "title": "Sums", "encrypted_content": pages, "page_age": None}
    call = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "sums"}}
    result = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [page]}
    return [ASK, {"role": "assistant", "content": [call, result]}, ASK]


async def test_what_a_search_found_is_held_for_and_charged_in_later_turns(own: Anthropic, owner: AccountClient) -> None:
    turns = searched("EqwTCioIDBgCIiQ5MGZj" * 2000)
    answered(own, "test-claude-rereads", turns, stream=False)
    receipt = await last_receipt(owner)
    assert 40_000 / 3 < receipt["usage"]["meters"]["input"] <= receipt["bounds"]["input_tokens"] < 100_000
    assert receipt["credits"]["charged"] <= receipt["credits"]["held"]


def test_another_provider_gets_what_came_of_a_search(own: Anthropic) -> None:
    raw = own.messages.with_raw_response.create(model="test-plain", max_tokens=300, messages=searched("e"))
    assert raw.headers["x-yout-dropped-parameters"] == "messages.1.content.0, messages.1.content.1"
    assert raw.parse().content[0].type == "text"


@pytest.mark.parametrize(
    ("block", "param"),
    [
        ({"type": "web_fetch_tool_result", "tool_use_id": "a", "content": {}}, "type"),
        ({"type": "mcp_tool_use", "id": "a", "name": "b", "server_name": "c", "input": {}}, "type"),
        ({"type": "server_tool_use", "id": "a", "name": "code_execution", "input": {}}, "name"),
    ],
)
def test_steps_of_tools_that_have_no_price_are_refused(own: Anthropic, block: Any, param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        answered(own, SEARCHES, [ASK, {"role": "assistant", "content": [block]}, ASK], stream=False)
    assert f"'messages.1.content.0.{param}'" in str(caught.value)
