"""Which fields of messages, parts and tools go upstream."""

from typing import Any

import pytest

from domain.request_fields import ABOUT_THE_CALLER
from providers import fields

ALLOWED = frozenset({"messages", "tools"})
CALLED = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
DETAILS = [{"type": "reasoning.encrypted", "data": "x", "id": "r1", "format": "f", "index": 0}]


def sent(message: dict[str, Any], passes: tuple[str, ...] = (), drops: tuple[str, ...] = ()) -> tuple[Any, Any]:
    body, dropped = fields.split({"messages": [message]}, ALLOWED, passes, drops)
    return body["messages"][0], dropped


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "Hello", "name": "ann"},
        {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}}]},
        {"role": "user", "content": [{"type": "file", "file": {"file_data": "data:x", "filename": "a.pdf"}}]},
        {"role": "assistant", "content": None, "tool_calls": [CALLED], "reasoning_details": DETAILS},
        {"role": "assistant", "content": "a", "reasoning_content": "hm", "refusal": None, "audio": {"id": "a"}},
        {"role": "tool", "tool_call_id": "c1", "content": "4"},
    ],
)
def test_what_is_known_is_sent_as_it_is(message: dict[str, Any]) -> None:
    assert sent(message) == (message, ())
    assert sent(message)[0] is message


def test_what_is_not_known_is_left_out_at_every_depth_and_named() -> None:
    message = {
        "role": "user",
        "content": [
            {"type": "image_url", "image_url": {"url": "data:x", "session": "SECRET"}, "beside": "SECRET"},
            {"type": "text", "text": "a", "metadata": {"a": "SECRET"}},
        ],
        "tool_calls": [{**CALLED, "trace": "SECRET", "function": {"name": "f", "arguments": "{}", "ip": "SECRET"}}],
        "user": "SECRET",
        "odd": None,
        "reasoning": "kept",
    }
    given, dropped = sent(message)
    assert "SECRET" not in str(given)
    assert given["content"][0] == {"type": "image_url", "image_url": {"url": "data:x"}}
    assert given["tool_calls"] == [CALLED]
    assert given["reasoning"] == "kept"
    assert set(dropped) == {"messages.session", "messages.beside", "messages.trace", "messages.ip"}


@pytest.mark.parametrize("passes", [("vendor_field",), ("messages.vendor_field",), ("*",)])
def test_passes_allows_a_field(passes: tuple[str, ...]) -> None:
    about = dict.fromkeys(ABOUT_THE_CALLER, "SECRET")
    given, _ = sent({"role": "user", "content": "a", "vendor_field": 1, **about}, passes)
    assert given == {"role": "user", "content": "a", "vendor_field": 1}


def test_drops_names_a_field_of_messages() -> None:
    message = {"role": "assistant", "content": [{"type": "text", "text": "a", "cache_control": {}}], "reasoning": "b"}
    given, dropped = sent(message, drops=("messages.reasoning", "messages.cache_control", "reasoning_effort"))
    assert given == {"role": "assistant", "content": [{"type": "text", "text": "a"}]}
    assert set(dropped) == {"messages.reasoning", "messages.cache_control"}


def test_tools_have_known_fields_only() -> None:
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": {"x": {"metadata": 1}}, "strict": True}}
    spoilt = {**tool, "owner": "SECRET", "function": {**tool["function"], "metadata": "SECRET"}}
    body, dropped = fields.split({"tools": [spoilt]}, ALLOWED)
    assert (body["tools"], dropped) == ([tool], ("tools.owner",))
