"""A replayed stream says all that the stream said."""

from typing import Any

import pytest

from gateway.assembly import Assembly, deltas


def replayed(delta: dict[str, Any]) -> dict[str, Any]:
    assembly = Assembly()
    assembly.add({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}, "")
    assembly.add({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, "")
    first: dict[str, Any] = next(deltas({"choices": assembly.choices})).chunk["choices"][0]["delta"]
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


def test_what_vendors_add_to_a_choice_is_what_they_said_last() -> None:
    """Their states are no texts that grow: OpenRouter tells its reason to finish twice."""
    filters = [{"hate": {"severity": severity}} for severity in ("safe", "high")]
    assembly = Assembly()
    for filtered, reason, ids in zip(filters, ("end_turn", "end_turn"), ([1], [2]), strict=True):
        beside = {"native_finish_reason": reason, "content_filter_results": filtered, "token_ids": ids}
        assembly.add({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None, **beside}]}, "a")
    assembly.add({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "native_finish_reason": None}]}, "")
    (choice,) = assembly.choices
    assert choice["native_finish_reason"] == "end_turn"
    assert (choice["content_filter_results"], choice["token_ids"]) == (filters[1], [1, 2])


def test_tool_calls_keep_the_indexes_that_they_had() -> None:
    assembly = Assembly()
    for arguments in ("{", "}"):
        part = {"index": 1, "id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
        if arguments == "}":
            part = {"index": 1, "function": {"arguments": arguments}}
        assembly.add({"choices": [{"index": 0, "delta": {"tool_calls": [part]}, "finish_reason": None}]}, "")
    (call,) = next(deltas({"choices": assembly.choices})).chunk["choices"][0]["delta"]["tool_calls"]
    assert call == {"index": 1, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_a_replay_says_what_the_chunks_said_beside_their_choices() -> None:
    assembly = Assembly()
    chunk_ = {"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}], "system_fingerprint": "fp"}
    assembly.add(chunk_ | {"account": "SECRET"}, "x")
    chunks = [delta.chunk for delta in deltas({"choices": assembly.choices, **assembly.beside})]
    assert [set(chunk) for chunk in chunks] == [{"choices", "system_fingerprint"}, {"choices"}]
