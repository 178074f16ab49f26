"""Whatever shape a provider's output has, it is text that was produced: it is covered, counted and billed."""

from typing import Any

import pytest

from api.wire.chat import delta_text

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
