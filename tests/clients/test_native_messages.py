"""Anthropic's SDK at our server, and Claude behind it: one wire on both sides, with real credits."""

import math
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic

from tests.support.account_client import CREDITS, AccountClient
from tests.support.doubles.anthropic_server import THOUGHT, AnthropicServer
from tests.support.stack import Stack

QUESTION: list[Any] = [{"role": "user", "content": "What is 2+2?"}]
WEATHER: Any = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
MARK = {"type": "ephemeral"}
THINKING: Any = {"type": "enabled", "budget_tokens": 2000}


@pytest.fixture
def client(stack: Stack, owner: AccountClient) -> Iterator[Anthropic]:
    with Anthropic(api_key=owner.customer.token, base_url=stack.url, max_retries=0) as client:
        yield client


async def charged(owner: AccountClient, message: Any) -> dict[str, Any]:
    receipt = await owner.closed(message.id)
    assert message.to_dict().get("yout", {"balance": CREDITS - receipt["credits"]["charged"]})["balance"] == (
        CREDITS - receipt["credits"]["charged"]
    )
    return receipt


async def test_marks_and_counts_of_a_cache_survive(
    owner: AccountClient, client: Anthropic, claudes: AnthropicServer
) -> None:
    system: Any = [{"type": "text", "text": "Be brief.", "cache_control": {**MARK, "ttl": "1h"}}]
    tools: Any = [{**WEATHER, "cache_control": MARK}]
    message = client.messages.create(
        model="test-claude-caches", max_tokens=500, messages=QUESTION, system=system, tools=tools
    )
    sent = claudes.seen[-1].body
    assert (sent["system"], sent["tools"], sent["messages"]) == (system, tools, QUESTION)
    used = message.usage
    assert (used.input_tokens, used.cache_read_input_tokens, used.cache_creation_input_tokens) == (100, 5000, 1000)
    assert used.cache_creation is not None
    assert used.cache_creation.ephemeral_1h_input_tokens == 700
    receipt = await charged(owner, message)
    assert receipt["credits"]["charged"] == math.ceil(30 + 150 + 112.5 + 420 + 300)


async def test_a_turn_that_pauses_says_so_and_is_charged(owner: AccountClient, client: Anthropic) -> None:
    """Its client sends the answer back, to go on. On OpenAI's wires it ends with `length`."""
    message = client.messages.create(model="test-claude-pauses", max_tokens=500, messages=QUESTION)
    assert message.stop_reason == "pause_turn"
    receipt = await charged(owner, message)
    again: Any = [*QUESTION, {"role": "assistant", "content": message.to_dict()["content"]}]
    resumed = client.messages.create(model="test-claude-pauses", max_tokens=500, messages=again)
    assert (await owner.closed(resumed.id))["credits"]["charged"] > 0 < receipt["credits"]["charged"]


@pytest.mark.parametrize("stream", [False, True])
async def test_thinking_survives_a_round_trip(
    owner: AccountClient, client: Anthropic, claudes: AnthropicServer, stream: bool
) -> None:
    fields: Any = {"model": "test-claude-thinks", "max_tokens": 4000, "thinking": THINKING, "tools": [WEATHER]}

    def answered(messages: Any) -> Any:
        if not stream:
            return client.messages.create(messages=messages, **fields)
        with client.messages.stream(messages=messages, **fields) as events:
            return events.get_final_message()

    first = answered(QUESTION)
    assert [block.type for block in first.content] == ["thinking", "redacted_thinking", "text", "tool_use"]
    assert (first.content[0].thinking, first.stop_reason) == (THOUGHT, "tool_use")
    result = {"type": "tool_result", "tool_use_id": first.content[-1].id, "content": "sunny", "cache_control": MARK}
    content = [
        block.model_dump(include={"type", "thinking", "signature", "data", "text", "id", "name", "input"})
        for block in first.content
    ]
    history: Any = [*QUESTION, {"role": "assistant", "content": content}, {"role": "user", "content": [result]}]
    second = answered(history)  # the double refuses a signature that is not its own
    assert second.stop_reason == "end_turn"
    assert claudes.seen[-1].body["messages"] == history
    receipt = await owner.closed(second.id)
    assert receipt["usage"]["meters"] == {"input": 1000, "output": 500}
    assert second.usage.output_tokens_details.thinking_tokens == 300


def test_a_refusal_keeps_its_details(client: Anthropic) -> None:
    message = client.messages.create(model="test-claude-refuses", max_tokens=500, messages=QUESTION)
    assert message.stop_reason == "refusal"
    assert message.stop_details is not None
    assert (message.stop_details.category, message.stop_details.explanation) == ("cyber", "No.")


def test_citations_and_blocks_of_tomorrow_survive(client: Anthropic) -> None:
    cited = client.messages.create(model="test-claude-cites", max_tokens=500, messages=QUESTION)
    assert cited.content[0].type == "text"
    assert cited.content[0].citations is not None
    with client.messages.stream(model="test-claude-tomorrow", max_tokens=500, messages=QUESTION) as stream:
        blocks = [block.to_dict() for block in stream.get_final_message().content]
    assert blocks[0] == {"type": "hologram", "shape": "x"}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("later", anthropic.RateLimitError),
        ("broken", anthropic.InternalServerError),
        ("too-long", anthropic.BadRequestError),
        ("breaks", anthropic.APIStatusError),
    ],
)
def test_the_providers_errors_are_the_sdks_own(client: Anthropic, fault: str, error: type[anthropic.APIError]) -> None:
    with pytest.raises(error) as caught:
        list(client.messages.create(model=f"test-claude-{fault}", max_tokens=10, messages=QUESTION, stream=True))
    assert "SECRET" not in str(caught.value)
