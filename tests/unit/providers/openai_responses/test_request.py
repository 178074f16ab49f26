"""A chat for OpenAI's Responses: what is of another type than it should be is named, and no fault of ours."""

from typing import Any

import pytest

from domain.errors import RequestInvalid
from providers.base import ChatCall
from providers.openai_responses import request

FUNCTION = {"name": "f", "arguments": "{}"}


def sent(*messages: Any, **fields: Any) -> dict[str, Any]:
    return request.payload(ChatCall("m", {"messages": list(messages), **fields}, 100))[0]


def called(**fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": FUNCTION, **fields}]}


@pytest.mark.parametrize(
    ("messages", "fields", "param"),
    [
        ([called(function=True)], {}, "messages[0].tool_calls[0].function"),
        ([called(id=["c"])], {}, "messages[0].tool_calls[0].id"),
        ([called(id={}, custom={"name": "f"})], {}, None),
        ([called(), {"role": "tool", "tool_call_id": ["c"], "content": "x"}], {}, "messages[1].tool_call_id"),
        ([], {"tools": [{"type": "function", "function": "f"}]}, "tools[0].function"),
    ],
)
def test_a_wrong_type_is_named(messages: list[Any], fields: dict[str, Any], param: str | None) -> None:
    if param is None:
        assert sent(*messages, **fields)["input"][0]["call_id"] == ""
        return
    with pytest.raises(RequestInvalid) as error:
        sent(*messages, **fields)
    assert error.value.param == param


@pytest.mark.parametrize("details", [7, "x", [7], [{"format": "openai-responses-v1", "id": [], "data": "x"}]])
def test_reasoning_that_is_none_is_left_out(details: object) -> None:
    items = sent({"role": "assistant", "content": "a", "reasoning_details": details})["input"]
    assert [item["type"] for item in items] == ["message"]
