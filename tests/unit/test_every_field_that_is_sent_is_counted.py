"""What goes upstream as a part of the prompt is held for, wherever in the body its caller puts it."""

from typing import Any

import pytest

from domain import tokens
from providers import tokenizer

TEXT = "foo bar " * 5000
USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "assistant", "content": "x", "reasoning_content": TEXT}, USER]},
        {"messages": [{"role": "assistant", "content": None, "refusal": TEXT}, USER]},
        {"messages": [USER | {"name": TEXT}]},
        {"messages": [USER], "prediction": {"type": "content", "content": TEXT}},
        {"messages": [USER], "documents": [{"text": TEXT}]},
    ],
    ids=["reasoning", "refusal", "name", "prediction", "documents"],
)
def test_the_bound_has_all_of_it(body: dict[str, Any]) -> None:
    assert tokens.of_request(body, tokenizer.count, family="openai").bound >= tokenizer.count(TEXT)
