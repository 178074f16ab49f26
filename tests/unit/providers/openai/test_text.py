"""All that an answer says is counted, in whatever field a provider says it."""

from typing import Any

import pytest

from providers.openai import text

WORDS = "these are words"


@pytest.mark.parametrize(
    "fields",
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
def test_all_that_is_said_is_counted(fields: dict[str, Any]) -> None:
    assert WORDS in text.of_delta(fields)
