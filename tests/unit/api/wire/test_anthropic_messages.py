"""Anthropic's Messages in the gateway's own shape, and answers of that shape in Anthropic's."""

import json
from typing import Any

import pytest

from api.wire.anthropic_messages import AnthropicMessages
from domain.errors import RequestInvalid
from domain.pricing import Usage, UsageSource
from gateway.wire import Bill, CompletedAnswer, Head, ModelCall
from providers.base import Delta

WIRE = AnthropicMessages()
BILL = Bill(Usage(9, 2, UsageSource.PROVIDER), charged=10, balance=90, held=20)
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
PNG_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
PDF = {
    "type": "document",
    "title": "a.pdf",
    "source": {"type": "base64", "media_type": "application/pdf", "data": "JV"},
}
PDF_PART = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JV"}}
MARK = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
SEALED = {"type": "reasoning.encrypted", "data": "x", "format": "google-gemini-v1", "id": "call_1"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def parsed(*messages: Any, **fields: Any) -> ModelCall:
    listed = list(messages) or [{"role": "user", "content": "Hello"}]
    return WIRE.parse({"model": "m", "max_tokens": 50, "messages": listed, **fields})


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def text(words: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **fields}


CONTENT: list[tuple[Any, Any]] = [
    ([text("Hi")], "Hi"),
    ([text("Hi", **MARK)], [text("Hi", **MARK)]),
    ([text("a"), PNG], [text("a"), PNG_PART]),
    ([{"type": "image", "source": {"type": "url", "url": "u"}}], [{"type": "image_url", "image_url": {"url": "u"}}]),
    ([PDF], [PDF_PART]),
    ([{**PDF, "context": "from the archive"}], [text("from the archive"), PDF_PART]),
    ([{**PDF, "source": {"type": "text", "media_type": "text/plain", "data": "words"}}], "a.pdf\n\nwords"),
    ([{**PDF, "source": {"type": "url", "url": "u"}}], [{"type": "document_url", "document_url": "u"}]),
    ([{**PDF, "source": {"type": "content", "content": [text("b"), PNG]}}], [text("a.pdf"), text("b"), PNG_PART]),
    ([{"type": "search_result", "title": "t", "source": "s", "content": [text("c")]}], "t\n\ns\n\nc"),
]


@pytest.mark.parametrize(("blocks", "content"), CONTENT)
def test_what_a_user_says(blocks: Any, content: Any) -> None:
    assert parsed(user(*blocks)).body["messages"] == [{"role": "user", "content": content}]


def test_results_of_tools_become_messages_before_the_users() -> None:
    result = {"type": "tool_result", "tool_use_id": "t1"}
    call = parsed(
        user(
            {**result, "content": "one"},
            {**result, "tool_use_id": "t2", "is_error": True, "content": [text("two"), PNG]},
            {**result, "tool_use_id": "t3"},
            text("three"),
        )
    )
    assert call.body["messages"] == [
        {"role": "tool", "tool_call_id": "t1", "content": "one"},
        {"role": "tool", "tool_call_id": "t2", "content": "Error: two"},
        {"role": "tool", "tool_call_id": "t3", "content": ""},
        {"role": "user", "content": [text("Attached to the result of t2:"), PNG_PART, text("three")]},
    ]
    assert call.as_written("messages[3].content[1]") == "messages.0.content.1"
    assert call.as_written("messages[1]") == "messages.0.content.1"


def test_system_assistant_and_what_is_about_the_client() -> None:
    thoughts = [{"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "redacted_thinking", "data": "d"}]
    called = {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}
    call = parsed(
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [*thoughts, text("b"), text("c"), called]},
        {"role": "system", "content": "later"},
        system=[text("x-anthropic-billing-header: cc_version=9"), text("Be brief.")],
        metadata={"user_id": "u"},
    )
    system, _, assistant, later = call.body["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert later == {"role": "system", "content": "later"}
    assert assistant["content"] == "b\nc"
    assert assistant["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}
    assert assistant["reasoning_details"] == [
        {"type": "reasoning.text", "text": "t", "signature": "s", "format": "anthropic-claude-v1"},
        {"type": "reasoning.encrypted", "data": "d", "format": "anthropic-claude-v1"},
    ]
    assert call.native is not None
    assert call.native.body["system"] == [text("Be brief.")]
    assert "metadata" not in call.native.body


FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"stop_sequences": ["x"]}, {"stop": ["x"]}),
    ({"stop_sequences": []}, {}),
    ({"service_tier": "standard_only"}, {"service_tier": "default"}),
    ({"service_tier": "auto"}, {}),
    ({"top_k": 5, "temperature": 0.5}, {"top_k": 5, "temperature": 0.5}),
    ({"thinking": {"type": "adaptive"}}, {}),
    ({"thinking": {"type": "enabled", "budget_tokens": 9000}}, {"reasoning_effort": "medium"}),
    ({"thinking": {"type": "disabled"}, "output_config": {"effort": "max"}}, {"reasoning_effort": "xhigh"}),
    (
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
            }
        },
    ),
    (
        {"output_format": {"type": "json_schema", "schema": {"type": "object"}}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}},
    ),
    ({"tool_choice": {"type": "auto"}}, {}),
]
TOOL = {"name": "f", "input_schema": {"type": "object"}, **MARK}
TOOL_PART = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}, **MARK}
CHOICES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "any"}, {"tool_choice": "required"}),
    ({"type": "none"}, {"tool_choice": "none"}),
    ({"type": "tool", "name": "f"}, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
    ({"type": "auto", "disable_parallel_tool_use": True}, {"tool_choice": "auto", "parallel_tool_calls": False}),
]


@pytest.mark.parametrize(
    ("fields", "made"),
    [*FIELDS, *(({"tools": [TOOL], "tool_choice": one}, {"tools": [TOOL_PART], **two}) for one, two in CHOICES)],
)
def test_other_fields(fields: dict[str, Any], made: dict[str, Any]) -> None:
    body = parsed(**fields).body
    assert {name: value for name, value in body.items() if name not in ("model", "messages")} == made


def test_what_only_anthropic_has_is_not_lost_and_not_another_wires() -> None:
    call = parsed(tools=[{**TOOL, "input_examples": [{}]}], n=5, context_management={"edits": []}, logprobs=True)
    assert call.choices == 1
    assert not {"n", "logprobs", "context_management"} & call.body.keys()
    assert call.untranslated.keys() == {"n", "logprobs", "context_management", "tools.0.input_examples"}


STEPS: list[dict[str, Any]] = [
    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
    {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
]


@pytest.mark.parametrize("texts", [[], [text("b", citations=[{"cited_text": "c"}]), text("d", citations=[])]])
def test_steps_of_a_search_go_to_anthropic_alone(texts: list[dict[str, Any]]) -> None:
    turns = [user(text("a")), {"role": "assistant", "content": [*STEPS, *texts]}, user(text("e"))]
    call = parsed(*turns)
    contents = [message["content"] for message in call.body["messages"]]
    assert contents == (["a", "b\nd", "e"] if texts else ["a", "e"])
    cited = {"messages.1.content.2.citations": [{"cited_text": "c"}]} if texts else {}
    assert call.untranslated == {"messages.1.content.0": STEPS[0], "messages.1.content.1": STEPS[1], **cited}
    assert call.untranslatable == frozenset()
    assert call.native is not None
    assert call.native.body["messages"] == turns


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"type": "code_execution_tool_result"}, "type"),
        (STEPS[0] | {"name": "web_fetch"}, "name"),
        (STEPS[0] | {"input": "x"}, "input"),
        (STEPS[1] | {"tool_use_id": None}, "tool_use_id"),
        (STEPS[1] | {"content": "x"}, "content"),
        (STEPS[1] | {"cache_control": {"type": "x"}}, "cache_control.type"),
    ],
)
def test_a_wrong_step_is_named(wrong: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        parsed({"role": "assistant", "content": [wrong]})
    assert caught.value.param == f"messages.0.content.0.{param}"


@pytest.mark.parametrize(
    "fields",
    [{"speed": "fast"}, {"inference_geo": "us"}, {"mcp_servers": [{}]}, {"container": "c"}, {"max_tokens": None}],
)
def test_what_costs_extra_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(RequestInvalid) as caught:
        parsed(**fields)
    assert caught.value.param == next(iter(fields))


def streamed(call: ModelCall, *deltas: dict[str, Any], finish: str = "stop") -> list[dict[str, Any]]:
    """Return the events between `message_start` and `message_delta`."""
    writer = WIRE.writer(Head("chatcmpl-1", 1, call, 5, None, 7))
    parts = [writer.delta(Delta({"choices": [{"index": 0, "delta": delta}]})) for delta in deltas]
    end = Delta({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}, finished=(0,))
    raw = b"".join([*parts, writer.end([end], BILL)])
    events = [json.loads(line[6:]) for line in raw.splitlines() if line.startswith(b"data: ")]
    assert (events[0]["type"], events[-2]["type"], events[-1]["type"]) == (
        *("message_start", "message_delta", "message_stop"),
    )
    assert events[0]["message"]["usage"]["input_tokens"] == 7
    return events[1:-2]


def blocks_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put blocks together as a client does, and check that one is open at a time."""
    blocks: list[dict[str, Any]] = []
    opened = None
    for event in events:
        if event["type"] == "content_block_start":
            assert (opened, event["index"]) == (None, len(blocks))
            opened = event["index"]
            blocks.append({**event["content_block"], "json": ""})
            continue
        assert event["index"] == opened
        if event["type"] == "content_block_stop":
            opened = None
            continue
        delta, block = event["delta"], blocks[-1]
        block["json"] += delta.get("partial_json", "")
        block |= {name: block[name] + delta[name] for name in ("text", "thinking", "signature") if name in delta}
        blocks[-1] = block
    assert opened is None
    return blocks


def called(index: int, arguments: str, **fields: Any) -> dict[str, Any]:
    return {
        "tool_calls": [
            {"index": index, **fields, "function": {"arguments": arguments, **({"name": "f"} if fields else {})}}
        ]
    }


@pytest.mark.parametrize("interleaved", [False, True])
def test_calls_of_tools_stay_whole_whatever_their_order(interleaved: bool) -> None:
    first = [called(0, "", id="a"), called(0, '{"x"'), called(0, ":1}")]
    second = [called(1, "", id="b"), called(1, '{"y"'), called(1, ":2}")]
    mixed = [delta for pair in zip(first, second, strict=True) for delta in pair]
    events = streamed(parsed(), *(mixed if interleaved else [*first, *second]), finish="tool_calls")
    blocks = blocks_of(events)
    assert [(block["id"], block["json"]) for block in blocks] == [("a", '{"x":1}'), ("b", '{"y":2}')]


def test_a_call_without_arguments_and_one_that_was_cut_off() -> None:
    blocks = blocks_of(streamed(parsed(), called(0, "", id="a"), called(1, '{"cut', id="b"), finish="length"))
    assert [(block["id"], block["input"], block["json"]) for block in blocks] == [("a", {}, ""), ("b", {}, '{"cut')]


@pytest.mark.parametrize("given", [['a"b\\', "\n{é}"], []])
def test_a_custom_tools_text_is_in_the_input_whole_and_streamed(given: list[str]) -> None:
    first = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "own", "input": ""}}
    more = [{"tool_calls": [{"index": 0, "custom": {"input": text}}]} for text in given]
    deltas: list[dict[str, Any]] = [{"tool_calls": [first]}, *more, called(1, "{}", id="b")]
    streaming = blocks_of(streamed(parsed(), *deltas, finish="tool_calls"))
    assert [(block["id"], json.loads(block["json"])) for block in streaming] == [
        ("a", {"input": "".join(given)}),
        ("b", {}),
    ]
    whole_call = {**first, "custom": {"name": "own", "input": "".join(given)}}
    choice = {"index": 0, "message": {"content": None, "tool_calls": [whole_call]}, "finish_reason": "tool_calls"}
    body = {"id": "chatcmpl-1", "model": "m", "choices": [choice]}
    (block,) = json.loads(WIRE.whole(CompletedAnswer(body, b"", request=parsed()), BILL))["content"]
    assert (block["name"], block["input"]) == ("own", {"input": "".join(given)})


THINKS = {"thinking": {"type": "adaptive"}}


@pytest.mark.parametrize(
    ("fields", "kinds"),
    [(THINKS, ["thinking", "text", "redacted_thinking", "tool_use"]), ({}, ["text", "redacted_thinking", "tool_use"])],
)
def test_reasoning_is_shown_to_those_who_want_it_and_its_seal_to_all_who_need_it(
    fields: dict[str, Any], kinds: list[str]
) -> None:
    call = parsed(**fields)
    deltas: list[dict[str, Any]] = [
        {"reasoning_content": "hm"},
        {"reasoning_details": [SEALED]},
        {"content": "A"},
        called(0, "{}", id="call_1"),
    ]
    blocks = blocks_of(streamed(call, *deltas))
    message = {"reasoning_content": "hm", "reasoning_details": [SEALED], "content": "A", **called(0, "{}", id="call_1")}
    body = {"id": "chatcmpl-1", "model": "m", "choices": [{"message": message, "finish_reason": "tool_calls"}]}
    whole = json.loads(WIRE.whole(CompletedAnswer(body, b"", request=call), BILL))
    assert [block["type"] for block in blocks] == [block["type"] for block in whole["content"]] == kinds
    sealed = next(block for block in whole["content"] if block["type"] == "redacted_thinking")
    back = parsed({"role": "user", "content": "a"}, {"role": "assistant", "content": [sealed]})
    assert back.body["messages"][1]["reasoning_details"] == [SEALED]


def test_an_answer_without_calls_begins_with_its_text() -> None:
    blocks = blocks_of(streamed(parsed(), {"reasoning_details": [SEALED]}, {"content": "A"}))
    assert [block["type"] for block in blocks] == ["text"]
