"""What a single message may have on its way to a provider."""

from typing import Any

import pytest

from domain.request_fields import ABOUT_THE_CALLER
from providers.openai.messages import AllowList

EVERYTHING = frozenset({"*"})
PLAIN: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief.", "name": "rules"},
    {"role": "user", "content": [{"type": "text", "text": "See", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,", "detail": "low"}}]},
    {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]},
    {"role": "user", "content": [{"type": "file", "file": {"filename": "a.pdf", "file_data": "data:,"}}]},
    {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "reasoning_content": "hm",
        "reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "s", "format": "f", "index": 0}],
        "tool_calls": [
            {
                "id": "c",
                "type": "function",
                "function": {"name": "f", "arguments": "{}"},
                "extra_content": {"google": {"thought_signature": "s"}},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "c", "content": "4"},
]


@pytest.mark.parametrize("passes", [frozenset[str](), EVERYTHING])
def test_what_a_model_reads_arrives_as_it_is(passes: frozenset[str]) -> None:
    allowed = AllowList(passes)
    assert allowed.messages(PLAIN) == PLAIN
    assert allowed.dropped == []


def test_other_fields_are_left_out_and_named() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}", "by": "x"}, "user": "x"}
    given: list[dict[str, Any]] = [
        {"role": "user", "content": "a", "user": "x", "createdAt": "x", "id": None},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u", "owner": "x"}, "id": "x"}, "b"]},
        {"role": "assistant", "tool_calls": [call]},
    ]
    allowed = AllowList(frozenset())
    assert allowed.messages(given) == [
        {"role": "user", "content": "a"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}, "b"]},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
    ]
    assert allowed.dropped == [
        *("messages[0].user", "messages[0].createdAt", "messages[1].content[0].id"),
        *("messages[1].content[0].image_url.owner", "messages[2].tool_calls[0].user"),
        "messages[2].tool_calls[0].function.by",
    ]


def test_an_operators_own_server_gets_all_but_what_is_about_the_caller() -> None:
    given = [{"role": "user", "content": "a", "weight": 0, **dict.fromkeys(ABOUT_THE_CALLER, "x")}]
    assert AllowList(EVERYTHING).messages(given) == [{"role": "user", "content": "a", "weight": 0}]


def test_the_schema_of_a_tool_is_for_the_model_and_stays_whole() -> None:
    schema = {"type": "object", "properties": {"user": {"type": "string"}, "metadata": {}}, "x-any": 1}
    function = {"name": "f", "description": "d", "parameters": schema, "strict": True}
    allowed = AllowList(frozenset())
    assert allowed.tools([{"type": "function", "function": function, "owner": "x"}]) == [
        {"type": "function", "function": function}
    ]
    assert allowed.dropped == ["tools[0].owner"]
    assert allowed.tools(None) is None
