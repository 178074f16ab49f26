"""OpenAI's shapes: what is counted of them, what is refused in them, and what is told in them."""

from typing import Any

import pytest

from api.wire import openai_chat as wire
from api.wire.openai_chat import delta_text
from domain import usage
from domain.usage import Bounds

WORDS = "these are words"


@pytest.mark.parametrize(
    "said",
    [
        {"content": "", "reasoning_content": WORDS},
        {"content": "", "reasoning": WORDS},
        {"content": "", "tool_calls": [{"index": 0, "function": {"arguments": WORDS}}]},
        {"tool_calls": [{"index": 0, "type": "custom", "custom": {"input": WORDS}}]},
        {"function_call": {"arguments": WORDS}},
        {"content": [{"type": "text", "text": WORDS}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": WORDS}]},
    ],
    ids=["empty-content", "reasoning", "tools", "custom-tool", "function-call", "parts", "details"],
)
@pytest.mark.parametrize("place", ["delta", "message"])
def test_all_that_is_said_is_counted(place: str, said: dict[str, Any]) -> None:
    assert WORDS in delta_text([{"index": 0, place: said}])


def test_details_of_a_discarded_report_are_not_shown() -> None:
    report = {
        "prompt_tokens": -1,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 10**12},
        "completion_tokens_details": {"reasoning_tokens": 777},
    }
    billed = usage.billed(report, Bounds(1000, 1000), usage.counted(8, 1))
    assert set(wire.usage_object(billed, report)) == {"prompt_tokens", "completion_tokens", "total_tokens"}


def test_cached_tokens_are_shown_as_they_were_billed() -> None:
    report = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 9, "cache_write_tokens": 9},
    }
    billed = usage.billed(report, Bounds(1000, 1000), usage.counted(8, 1))
    shown = wire.usage_object(billed, report).get("prompt_tokens_details") or {}
    assert shown.get("cached_tokens", 0) == billed.cached_tokens
