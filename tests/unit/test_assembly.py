"""A replayed stream says all that the stream said."""

from typing import Any

import pytest

from gateway.pulled_assembly import Assembly, deltas


def replayed(delta: dict[str, Any]) -> dict[str, Any]:
    assembly = Assembly()
    assembly.add({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}, "")
    assembly.add({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, "")
    first: dict[str, Any] = next(iter(deltas(assembly.choices)))["delta"]
    return first


@pytest.mark.parametrize(
    "delta",
    [
        {"function_call": {"name": "f", "arguments": "{}"}},
        {"tool_calls": [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
        {"annotations": [{"type": "url_citation"}]},
    ],
    ids=["function-call", "custom-tool", "reasoning-details", "annotations"],
)
def test_nothing_is_lost(delta: dict[str, Any]) -> None:
    assert replayed(delta).items() >= delta.items()


def test_a_chunk_that_is_kept_is_not_changed() -> None:
    """One with a finish reason is held back until it is paid for, while others may still come."""
    held_back, later = (
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "logprobs": {"content": [n]}}]} for n in (1, 2)
    )
    assembly = Assembly()
    assembly.add(held_back, "")
    assembly.add(later, "")
    assert held_back["choices"][0]["logprobs"] == {"content": [1]}
    assert assembly.choices[0]["logprobs"] == {"content": [1, 2]}
