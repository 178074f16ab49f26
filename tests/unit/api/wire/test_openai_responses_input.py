"""What is wrong about the items and tools of a request is named by its place, and not quoted."""

from typing import Any

import pytest

from api.wire import openai_responses
from domain.errors import RequestInvalid

CUSTOM = {"type": "custom", "name": "own"}
ALLOWED = {"type": "allowed_tools", "mode": "auto"}


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"input": [{"type": {"a": 1}, "role": "user", "content": "x"}]}, "input[0].type"),
        ({"input": [{"type": ["message"], "role": "user", "content": "x"}]}, "input[0].type"),
        ({"tools": [{**CUSTOM, "description": {"a": 1}}]}, "tools[0].description"),
    ],
)
def test_a_wrong_type_is_named(wrong: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        openai_responses.parse({"model": "m", "input": "x", **wrong})
    assert (caught.value.param, caught.value.code) == (param, "invalid_type")


def test_allowed_tools_without_a_name_allow_nothing() -> None:
    allowed = [{"type": "custom", "name": name} for name in ({"a": 1}, ["own"], None)]
    call = openai_responses.parse(
        {"model": "m", "input": "x", "tools": [CUSTOM], "tool_choice": {**ALLOWED, "tools": allowed}}
    )
    assert "tools" not in call.body
