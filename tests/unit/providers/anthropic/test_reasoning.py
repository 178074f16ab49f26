"""How much a model may think, and thinking that goes back as it came."""

import json
from typing import Any

import pytest

from tests.support.anthropic_requests import BOTH, HELLO, NEW, OLD, request_of, sent, turns

TOOLS = [{"type": "function", "function": {"name": "f"}}]
CALL = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "t1", "content": "x"}
CALLED = [*HELLO, {"role": "assistant", "content": None, "tool_calls": [CALL]}, RESULT]
THOUGHT = {"type": "reasoning.text", "text": "hm", "signature": "sig", "format": "anthropic-claude-v1", "index": 0}
SECRET = {"type": "reasoning.encrypted", "data": "xyz", "format": "anthropic-claude-v1", "index": 1}
BLOCKS = [
    {"type": "thinking", "thinking": "hm", "signature": "sig"},
    {"type": "redacted_thinking", "data": "xyz"},
]
SHOWN = {"type": "adaptive", "display": "summarized"}
FORCED = {"tools": TOOLS, "tool_choice": "required"}


def budget(tokens: int) -> dict[str, Any]:
    return {"type": "enabled", "budget_tokens": tokens}


@pytest.mark.parametrize(
    ("model", "limit", "given", "thinking", "effort"),
    [
        (OLD, 4000, {}, None, None),
        (OLD, 4000, {"reasoning_effort": "medium"}, budget(2000), None),
        (OLD, 4000, {"reasoning_effort": "minimal"}, budget(1024), None),
        (OLD, 64_000, {"reasoning_effort": "high"}, budget(32_000), None),
        (OLD, 1025, {"reasoning_effort": "high"}, budget(1024), None),
        (OLD, 4000, {"reasoning": {"max_tokens": 9000}}, budget(3999), None),
        (OLD, 4000, {"reasoning": {"max_tokens": 5}}, budget(1024), None),
        (OLD, 4000, {"reasoning": {"enabled": True}}, budget(2000), None),
        (OLD, 4000, {"reasoning": {"enabled": False, "effort": "high"}}, None, None),
        (OLD, 4000, {"reasoning_effort": "none"}, None, None),
        (OLD, 4000, {"thinking": {"type": "enabled", "budget_tokens": 1500}}, budget(1500), None),
        (BOTH, 4000, {"reasoning_effort": "xhigh"}, {"type": "adaptive"}, "high"),
        (BOTH, 4000, {"reasoning": {"max_tokens": 2000}}, budget(2000), None),
        (BOTH, 1000, {"reasoning": {"max_tokens": 2000}}, {"type": "adaptive"}, None),
        (BOTH, 4000, {"reasoning": {"max_tokens": 2000}, "messages": CALLED}, {"type": "adaptive"}, None),
        (NEW, 4000, {"reasoning_effort": "minimal"}, SHOWN, "low"),
        (NEW, 4000, {"reasoning": {"effort": "xhigh"}}, SHOWN, "xhigh"),
        (
            NEW,
            4000,
            {"reasoning": {"enabled": True, "exclude": True}},
            {"type": "adaptive", "display": "omitted"},
            None,
        ),
        (NEW, 4000, {"reasoning": {"max_tokens": 2000}}, SHOWN, None),
        (NEW, 4000, {"reasoning_effort": "none"}, {"type": "disabled"}, None),
        (NEW, 4000, {"thinking": {"type": "disabled"}}, {"type": "disabled"}, None),
        (NEW, 10, {"reasoning_effort": "high"}, SHOWN, "high"),
        (NEW, 4000, {"reasoning_effort": "high", **FORCED}, None, "high"),
    ],
)
def test_how_much(model: str, limit: int, given: dict[str, Any], thinking: Any, effort: str | None) -> None:
    request = request_of(given, model, limit)
    body = json.loads(request.body)
    assert (body.get("thinking"), body.get("output_config", {}).get("effort")) == (thinking, effort)
    assert body["max_tokens"] == limit
    assert request.dropped == ()


@pytest.mark.parametrize(
    ("model", "limit", "given"),
    [
        (OLD, 1024, {"reasoning_effort": "high"}),
        (OLD, 4000, {"reasoning_effort": "high", **FORCED}),
        (OLD, 4000, {"reasoning_effort": "high", "messages": [*HELLO, {"role": "assistant", "content": "It"}]}),
        (
            OLD,
            4000,
            {"reasoning_effort": "high", "messages": CALLED},
        ),
    ],
)
def test_where_it_may_not_think_that_is_named(model: str, limit: int, given: dict[str, Any]) -> None:
    request = request_of(given, model, limit)
    assert ("thinking" in json.loads(request.body), request.dropped) == (False, ("reasoning_effort",))


def test_a_turn_that_began_with_thinking_goes_on_with_it() -> None:
    called = {"role": "assistant", "content": "So.", "tool_calls": [CALL], "reasoning_details": [THOUGHT, SECRET]}
    body = sent({"messages": [*HELLO, called, RESULT], "reasoning_effort": "high", "tools": TOOLS})
    assert body["messages"][1]["content"][:2] == BLOCKS
    assert [block["type"] for block in body["messages"][1]["content"][2:]] == ["text", "tool_use"]
    assert body["thinking"]["type"] == "enabled"


@pytest.mark.parametrize(
    "message",
    [
        {"content": "a", "reasoning_details": [THOUGHT, SECRET]},
        {"content": "a", "reasoning_content": "hm", "reasoning_details": [THOUGHT, SECRET]},
        {
            "content": "a",
            "reasoning_details": [
                THOUGHT | {"text": "h", "signature": ""},
                THOUGHT | {"text": "m", "signature": None},
                THOUGHT | {"text": ""},
                SECRET,
            ],
        },
        {"content": [*BLOCKS, {"type": "text", "text": "a"}]},
    ],
)
def test_thinking_goes_back_as_it_came(message: dict[str, Any]) -> None:
    content = turns(*HELLO, {"role": "assistant", **message}, *HELLO)[1]["content"]
    assert content == [*BLOCKS, {"type": "text", "text": "a"}]


@pytest.mark.parametrize(
    "details",
    [
        [THOUGHT | {"signature": None}],
        [THOUGHT | {"format": "google-gemini-v1"}],
        [{"type": "reasoning.summary", "summary": "hm"}],
        [SECRET | {"data": ""}, "x"],
    ],
)
def test_thinking_without_a_signature_or_of_another_vendor_is_left_out(details: list[Any]) -> None:
    content = turns(*HELLO, {"role": "assistant", "content": "a", "reasoning_details": details}, *HELLO)[1]["content"]
    assert content == [{"type": "text", "text": "a"}]
