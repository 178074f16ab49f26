"""Claude behind the server: a double that Anthropic's own SDK takes for Anthropic, and what its answers cost here."""

from collections.abc import Iterator
from typing import Any, cast

import anthropic
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from bench.chaos.receipts import faults
from tests.support.account_client import CREDITS, AccountClient
from tests.support.doubles import anthropic_server as double
from tests.support.doubles.anthropic_server import ANSWER, KEY, THOUGHT, AnthropicServer
from tests.support.stack import Stack

QUESTION: list[Any] = [{"role": "user", "content": "What is 2+2?"}]
WEATHER: Any = {
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TOOLS: list[Any] = [{"type": "function", "function": WEATHER}]
PLAIN = 300 + 300
"""1,000 tokens in, 200 out."""


@pytest.fixture
def direct(claudes: AnthropicServer) -> Iterator[Anthropic]:
    with Anthropic(api_key=KEY, base_url=claudes.url.removesuffix("/v1"), max_retries=0) as client:
        yield client


def named(behaviour: str) -> str:
    return f"claude-haiku-4-5--{behaviour}"


@pytest.mark.parametrize("behaviour", double.ANSWERS)
def test_the_sdk_takes_the_double_for_anthropic(direct: Anthropic, behaviour: str) -> None:
    """Whole and streamed, it makes the same message of an answer."""
    own: Any = {"name": "f", "input_schema": {"type": "object"}}
    fields: Any = {"model": named(behaviour), "max_tokens": 4000, "messages": QUESTION, "tools": [own]}
    fields["thinking"] = {"type": "enabled", "budget_tokens": 2000}
    whole = direct.messages.create(**fields)
    with direct.messages.stream(**fields) as stream:
        streamed = stream.get_final_message()
    blocks = [[block.to_dict() for block in message.content] for message in (whole, streamed)]
    assert blocks[0] == [
        {name: block[name] for name in given} for block, given in zip(blocks[1], blocks[0], strict=True)
    ]
    assert (streamed.stop_reason, streamed.id) == (whole.stop_reason, whole.id)
    if behaviour != "silent":
        assert streamed.usage.output_tokens == whole.usage.output_tokens


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("later", anthropic.RateLimitError),
        ("overloaded", anthropic.OverloadedError),
        ("broken", anthropic.InternalServerError),
        ("forbidden", anthropic.PermissionDeniedError),
        ("lost", anthropic.NotFoundError),
        ("too-long", anthropic.BadRequestError),
        ("breaks", anthropic.APIStatusError),
    ],
)
def test_the_sdk_takes_its_errors_for_anthropics(direct: Anthropic, fault: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        list(direct.messages.create(model=named(fault), max_tokens=10, messages=QUESTION, stream=True))


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]},
        {"messages": [*QUESTION, {"role": "assistant", "content": "It is "}]},
        {"thinking": {"type": "enabled", "budget_tokens": 4000}},
        {"extra_body": {"seed": 1}},
    ],
)
def test_it_refuses_what_anthropic_refuses(direct: Anthropic, wrong: Any) -> None:
    fields = {"model": named("plain"), "max_tokens": 4000, "messages": QUESTION, **wrong}
    with pytest.raises(anthropic.BadRequestError):
        direct.messages.create(**fields)


@pytest.fixture
def client(stack: Stack, owner: AccountClient) -> Iterator[OpenAI]:
    with OpenAI(api_key=owner.customer.token, base_url=f"{stack.url}/v1", max_retries=0) as client:
        yield client


def answered(client: OpenAI, behaviour: str, messages: Any = QUESTION, **fields: Any) -> Any:
    return client.chat.completions.create(model=f"test-claude-{behaviour}", messages=messages, **fields)


async def assert_nothing_was_charged(owner: AccountClient) -> None:
    limit = (await owner.http.get("/api/chat/limit/")).json()
    assert (limit["balance"], limit["held"]) == (CREDITS, 0)


@pytest.mark.parametrize(
    ("behaviour", "meters", "exact"),
    [
        ("plain", {"input": 1000, "output": 200}, PLAIN),
        (
            "caches",
            {"input": 100, "cached_input": 5000, "cache_write": 300, "cache_write_1h": 700, "output": 200},
            30 + 150 + 112.5 + 420 + 300,
        ),
        ("passes", {"input": 300, "cached_input": 5000, "output": 200}, 90 + 150 + 300),
        ("refuses", {"input": 1000, "output": 200}, PLAIN),
        ("tomorrow", {"input": 1000, "output": 200}, PLAIN),
    ],
)
async def test_what_is_billed_is_what_anthropic_bills(
    owner: AccountClient, behaviour: str, meters: dict[str, int], exact: float
) -> None:
    marked = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    fields: Any = {"max_tokens": 500, "messages": [{"role": "user", "content": [marked]}]}
    receipt = await owner.charged(f"test-claude-{behaviour}", **fields)
    assert faults(receipt) == []
    assert receipt["usage"]["meters"] == meters
    assert float(receipt["calculation"]["exact_cost"]) == exact
    streamed = await owner.closed(await owner.streamed(f"test-claude-{behaviour}", **fields))
    assert (streamed["usage"], streamed["credits"]["charged"]) == (receipt["usage"], receipt["credits"]["charged"])


@pytest.mark.parametrize("behaviour", ["silent", "absurd"])
async def test_without_a_report_that_can_be_believed_tokens_are_counted(owner: AccountClient, behaviour: str) -> None:
    receipt = await owner.charged(f"test-claude-{behaviour}", max_tokens=500)
    assert receipt["usage"]["source"] == "counted"
    streamed = await owner.closed(await owner.streamed(f"test-claude-{behaviour}", max_tokens=500))
    assert streamed["usage"] == receipt["usage"]


@pytest.mark.parametrize(
    ("behaviour", "finish"),
    [
        ("plain", "stop"),
        ("stops", "stop"),
        ("pauses", "length"),
        ("full", "length"),
        ("refuses", "content_filter"),
    ],
)
def test_how_an_answer_ends(client: OpenAI, behaviour: str, finish: str) -> None:
    answer = answered(client, behaviour, max_tokens=500).choices[0]
    assert (answer.message.content, answer.finish_reason) == (ANSWER, finish)
    chunks = list(answered(client, behaviour, max_tokens=500, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER
    assert chunks[-1].choices[0].finish_reason == finish
    if behaviour == "refuses":
        assert answer.message.refusal == "No."


def message_of(stream: Any) -> dict[str, Any]:
    """What a client that stores every piece makes of a stream."""
    message: dict[str, Any] = {"role": "assistant", "content": "", "reasoning_details": []}
    calls: dict[int, dict[str, Any]] = {}
    for chunk in stream:
        delta = chunk.choices[0].delta.to_dict()
        message["content"] += delta.get("content") or ""
        message["reasoning_details"] += delta.get("reasoning_details", [])
        for call in delta.get("tool_calls", []):
            known = calls.setdefault(call["index"], {**call, "function": {"arguments": "", **call["function"]}})
            if known["id"] != call.get("id"):
                known["function"]["arguments"] += call["function"]["arguments"]
    message["tool_calls"] = [{name: call[name] for name in ("id", "type", "function")} for call in calls.values()]
    return message


@pytest.mark.parametrize("stream", [False, True])
def test_thinking_and_tools_round_trip_with_signatures(client: OpenAI, claudes: AnthropicServer, stream: bool) -> None:
    """The double refuses a turn whose thinking is missing, changed or in another place."""
    fields: Any = {"tools": TOOLS, "max_tokens": 4000, "reasoning_effort": "medium"}
    answer = answered(client, "thinks", **fields, stream=stream)
    message = message_of(answer) if stream else answer.choices[0].message.to_dict()
    (call,) = message["tool_calls"]
    assert "".join(piece.get("text", "") for piece in message["reasoning_details"]) == THOUGHT
    assert call["function"]["arguments"].replace(" ", "") == '{"city":"Paris"}'
    result = {"role": "tool", "tool_call_id": call["id"], "content": "18 degrees"}
    again = answered(client, "thinks", [*QUESTION, message, result], **fields)
    assert again.choices[0].message.content == ANSWER
    assert (again.usage.completion_tokens, again.usage.completion_tokens_details.reasoning_tokens) == (500, 300)
    sent = claudes.seen[-1].body
    assert [block["type"] for block in sent["messages"][1]["content"]][:2] == ["thinking", "redacted_thinking"]
    assert sent["thinking"] == {"type": "enabled", "budget_tokens": 2000}


@pytest.mark.parametrize("stream", [False, True])
def test_parallel_tools(client: OpenAI, stream: bool) -> None:
    fields: Any = {"tools": TOOLS, "max_tokens": 500}
    answer = answered(client, "calls", **fields, stream=stream)
    message = message_of(answer) if stream else answer.choices[0].message.to_dict()
    assert len(message["tool_calls"]) == 2
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": f"{n} degrees", "is_error": bool(n)}
        for n, call in enumerate(message["tool_calls"])
    ]
    again = answered(client, "calls", [*QUESTION, message, *results], **fields)
    assert again.choices[0].message.content == "It says: 0 degrees, 1 degrees (error)"
    alone = answered(client, "calls", **fields, parallel_tool_calls=False)
    assert len(alone.choices[0].message.tool_calls or ()) == 1


def test_structured_output_images_and_files(client: OpenAI, claudes: AnthropicServer) -> None:
    parts: list[Any] = [
        {"type": "text", "text": "Who is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
    ]
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}
    answer = answered(client, "formats", [{"role": "user", "content": parts}], response_format=form)
    assert answer.choices[0].message.content == '{"name":"Ada"}'
    assert [block["type"] for block in claudes.seen[-1].body["messages"][0]["content"]] == ["text", "image", "document"]


def test_citations_are_annotations(client: OpenAI) -> None:
    (annotation,) = answered(client, "cites").choices[0].message.annotations
    assert annotation.to_dict()["file_citation"]["document_title"] == "sums.txt"


def test_what_is_dropped_is_named_and_the_caller_is_not(client: OpenAI, claudes: AnthropicServer) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="test-claude-plain",
        messages=[{"role": "user", "content": "Hi", "name": "PRIVATE"}],
        seed=1,
        user="PRIVATE",
        metadata={"a": "PRIVATE"},
        safety_identifier="PRIVATE",
        temperature=0.5,
    )
    assert raw.headers["x-yout-dropped-parameters"] == "seed"
    seen = claudes.seen[-1]
    assert "PRIVATE" not in str((seen.body, seen.headers))
    assert (seen.headers["x-api-key"], seen.body["temperature"]) == (KEY, 0.5)


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("later", openai.RateLimitError, "rate_limit_exceeded"),
        ("overloaded", openai.APIStatusError, None),
        ("broken", openai.InternalServerError, "upstream_error"),
        ("slow", openai.InternalServerError, "upstream_timeout"),
        ("forbidden", openai.InternalServerError, "upstream_error"),
        ("unpaid", openai.InternalServerError, "upstream_error"),
        ("lost", openai.InternalServerError, "upstream_error"),
        ("too-long", openai.BadRequestError, "context_length_exceeded"),
        ("breaks-early", openai.APIStatusError, None),
    ],
)
async def test_an_error_costs_nothing(
    client: OpenAI, owner: AccountClient, fault: str, error: type[openai.APIStatusError], code: str | None
) -> None:
    for stream in (True,) if fault in double.BREAKS else (False, True):
        with pytest.raises(error) as failed:
            list(answered(client, fault, stream=stream))
        assert "SECRET" not in str(failed.value)
        assert code in (None, failed.value.code)
    await assert_nothing_was_charged(owner)


@pytest.mark.parametrize("fault", ["cuts", "breaks"])
async def test_a_stream_that_breaks_costs_what_was_delivered(owner: AccountClient, fault: str) -> None:
    receipt = await owner.closed(await owner.streamed(f"test-claude-{fault}", max_tokens=500))
    assert receipt["usage"]["meters"]["input"] == 1000
    assert 0 < receipt["usage"]["meters"]["output"] < 20
    assert receipt["credits"]["charged"] < PLAIN


@pytest.fixture
def own(stack: Stack, owner: AccountClient) -> Iterator[Anthropic]:
    with Anthropic(api_key=owner.customer.token, base_url=stack.url, max_retries=0) as client:
        yield client


@pytest.mark.parametrize("behaviour", ["plain", "caches", "passes", "cites", "refuses", "pauses", "calls"])
def test_a_client_of_the_same_wire_gets_the_same_message(
    direct: Anthropic, own: Anthropic, claudes: AnthropicServer, behaviour: str
) -> None:
    """But for id, model and usage: as from the provider itself, whole and streamed, for the same request."""
    tool: Any = {"name": "f", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}
    fields: Any = {"max_tokens": 500, "messages": QUESTION, "tools": [tool], "stop_sequences": ["x"]}
    theirs = direct.messages.create(model=named(behaviour), **fields)
    ours = own.messages.create(model=f"test-claude-{behaviour}", **fields)
    with own.messages.stream(model=f"test-claude-{behaviour}", **fields) as stream:
        streamed = stream.get_final_message()
    for message in (ours, streamed):
        assert [b.to_dict() for b in message.content] == [b.to_dict() for b in streamed.content]
        assert (message.stop_reason, message.stop_details) == (theirs.stop_reason, theirs.stop_details)
        assert (message.model, message.id[:4]) == (f"test-claude-{behaviour}", "msg_")
    assert [block.type for block in ours.content] == [block.type for block in theirs.content]
    first, *_, last = (seen.body for seen in claudes.seen[-3:])
    assert {**first, "stream": True} == last


def test_thinking_survives_on_the_same_wire(own: Anthropic) -> None:
    fields: Any = {"model": "test-claude-thinks", "max_tokens": 4000}
    fields["thinking"] = {"type": "enabled", "budget_tokens": 2000}
    fields["tools"] = [{"name": "f", "input_schema": {"type": "object"}}]
    with own.messages.stream(**fields, messages=QUESTION) as stream:
        message = stream.get_final_message()
    result = {"type": "tool_result", "tool_use_id": message.content[-1].to_dict()["id"], "content": "18 degrees"}
    turns = [*QUESTION, {"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
    again = own.messages.create(**fields, messages=cast(Any, turns))
    assert [block.type for block in again.content] == ["thinking", "redacted_thinking", "text"]
    assert again.usage.output_tokens == 500


@pytest.mark.parametrize(
    ("fields", "named_field"),
    [
        ({"tools": [{"type": "web_search_20260318", "name": "web_search"}]}, "tools.0"),
        ({"extra_body": {"speed": "fast"}}, "speed"),
        ({"extra_body": {"container": "c"}}, "container"),
    ],
)
async def test_what_costs_extra_is_refused_on_the_same_wire(
    own: Anthropic, owner: AccountClient, claudes: AnthropicServer, fields: Any, named_field: str
) -> None:
    seen = len(claudes.seen)
    with pytest.raises(anthropic.BadRequestError) as refused:
        own.messages.create(model="test-claude-plain", max_tokens=10, messages=QUESTION, **fields)
    assert named_field in str(refused.value)
    assert len(claudes.seen) == seen
    await assert_nothing_was_charged(owner)
