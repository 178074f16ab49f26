"""Claude pauses in a search: the gateway has it go on, and its client sees one answer with one charge."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openai import APIStatusError, OpenAI

from tests.support.account_client import AccountClient
from tests.support.doubles.anthropic_server import AnthropicServer
from tests.support.stack import Stack

FIELDS: dict[str, Any] = {"max_tokens": 1000, "web_search_options": {}}
QUESTION: list[Any] = [{"role": "user", "content": "What is 2+2?"}]
PART = 50_000 * 0.3 + 100 * 1.5 + 1000
"""What one part costs: 50,000 tokens read, 100 written and one search."""
BREAKS = "test-claude-pauses-breaks"


@pytest.fixture
def client(stack: Stack, owner: AccountClient) -> Iterator[OpenAI]:
    with OpenAI(api_key=owner.customer.token, base_url=f"{stack.url}/v1", max_retries=0) as sdk:
        yield sdk


def chat(client: OpenAI, model: str, *, stream: bool) -> tuple[str, str, str | None]:
    """Return the id of a call, its text and how it ends."""
    ask: Any = client.chat.completions.create
    answer = ask(model=model, messages=QUESTION, stream=stream, **FIELDS)
    if not stream:
        (choice,) = answer.choices
        return answer.id, choice.message.content, choice.finish_reason
    chunks = [chunk for chunk in answer if chunk.choices]
    roles = [chunk.choices[0].delta.role for chunk in chunks if chunk.choices[0].delta.role]
    assert roles == ["assistant"]
    ends = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    return chunks[0].id, text, ends[0] if len(ends) == 1 else None


def response(client: OpenAI, model: str, *, stream: bool) -> tuple[str, str, str | None]:
    ask: Any = client.responses.create
    tools = [{"type": "web_search"}]
    answer = ask(model=model, input="What is 2+2?", stream=stream, tools=tools, max_output_tokens=1000)
    if stream:
        answer = next(event for event in answer if event.type in ("response.completed", "response.incomplete")).response
    (message,) = [item for item in answer.output if item.type == "message"]
    end = "stop" if answer.status == "completed" else "length"
    return answer.id, message.content[0].text, end


Request = Callable[..., tuple[str, str, str | None]]
CASES: dict[str, tuple[Request, str, int, str]] = {
    "once": (chat, "once", 2, "stop"),
    "twice": (chat, "twice", 3, "stop"),
    "response": (response, "twice", 3, "stop"),
    "always": (chat, "always", 5, "length"),
    "response-always": (response, "always", 5, "length"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("case", CASES)
async def test_an_answer_goes_on_after_pauses(
    client: OpenAI, owner: AccountClient, claudes: AnthropicServer, case: str, stream: bool
) -> None:
    create, behaviour, parts, end = CASES[case]
    before = len(claudes.seen)
    call, text, ended = create(client, f"test-claude-pauses-{behaviour}", stream=stream)
    assert (text, ended) == ("".join(f"Part {number}." for number in range(parts)), end)
    sent = [seen.body for seen in claudes.seen[before:]]
    assert [body["tools"][-1]["max_uses"] for body in sent] == [5 - number for number in range(parts)]
    assert [body["max_tokens"] for body in sent] == [1000 - 100 * number for number in range(parts)]
    assert all(body["messages"][0] == sent[0]["messages"][0] for body in sent)
    assert [block["type"] for block in sent[-1]["messages"][1]["content"]] == [
        *("text", "server_tool_use", "web_search_tool_result"),
    ] * (parts - 1)
    assert sent[1]["messages"][1]["content"][1]["input"] == {"query": "sum 0"}
    receipt = await owner.closed(call)
    assert receipt["usage"]["meters"] == {"input": 50_000 * parts, "output": 100 * parts, "web_search": parts}
    assert receipt["credits"]["charged"] == PART * parts
    assert receipt["bounds"]["input_tokens"] == 6 * 200_000


async def test_a_part_that_breaks_ends_a_stream_in_the_middle(client: OpenAI, owner: AccountClient) -> None:
    charge = await owner.streamed(BREAKS, **FIELDS)
    receipt = await owner.closed(charge)
    assert receipt["usage"]["meters"]["input"] == 51_000
    assert receipt["usage"]["meters"]["web_search"] == 1
    stream: Any = client.chat.completions.create(model=BREAKS, messages=QUESTION, stream=True, **FIELDS)
    with pytest.raises(Exception, match="broke off"):
        list(stream)


def test_a_part_that_breaks_leaves_no_whole_answer(client: OpenAI) -> None:
    with pytest.raises(APIStatusError) as caught:
        chat(client, BREAKS, stream=False)
    assert caught.value.status_code in (502, 503, 529)


async def test_a_client_that_leaves_in_the_next_part_pays_for_both(owner: AccountClient) -> None:
    receipt = await owner.closed(await owner.streamed("test-claude-pauses-lingers", 5, **FIELDS))
    assert (receipt["usage"]["meters"]["input"], receipt["usage"]["meters"]["web_search"]) == (51_000, 1)
