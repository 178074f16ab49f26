"""A paused answer keeps its blocks as they are, and its next part continues their numbers."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from providers.anthropic.adapter import AnthropicAdapter
from providers.base import ChatCall, Delta, Done, NativeRequest, Paused, ProviderEvent
from tests.support.adapter_case import provider
from tests.support.doubles.anthropic_rules import REDACTED, SIGNATURE
from tests.support.doubles.anthropic_server import CITATION, answer, events, text, usage

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "x"}], "web_search_options": {}, "tools": [TOOL]}
CALL = ChatCall("claude-haiku-4-5", BODY, 100, stream=True)
ADAPTER = AnthropicAdapter(provider("anthropic"))
CONTENT: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "I search é", "signature": SIGNATURE},
    {"type": "redacted_thinking", "data": REDACTED},
    text("I look: "),
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": ["a", {"b": 1}]}},
    {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "web_search_result"}]},
    text("Four.", citations=[CITATION, CITATION]),
    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
]
PAUSED = answer(CONTENT, usage(), "pause_turn")
LAST = answer([text("Done."), {"type": "tool_use", "id": "toolu_2", "name": "f", "input": {"a": 1}}], usage())


def decoded(call: ChatCall, message: dict[str, Any], size: int) -> list[ProviderEvent]:
    decoder, raw = ADAPTER.decoder(call), b"".join(events(message))
    given: list[ProviderEvent] = []
    parts: Iterable[bytes] = (raw[at : at + size] for at in range(0, len(raw), size))
    for part in parts:
        given += decoder.feed(part)
    return [*given, *decoder.eof()]


@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_the_blocks_are_kept_as_they_are_and_nothing_ends(size: int) -> None:
    given = decoded(CALL, PAUSED, size)
    assert given[-1] == Paused(tuple(CONTENT))
    assert not [event for event in given if isinstance(event, Delta) and event.finished]
    assert "search" not in repr(given[-1])


def test_the_next_part_continues_the_numbers_and_has_one_role_less() -> None:
    given = decoded(replace(CALL, continues=tuple(CONTENT)), LAST, 50)
    deltas = [choice["delta"] for event in given if isinstance(event, Delta) for choice in event.chunk["choices"]]
    assert not any("role" in delta for delta in deltas)
    assert "".join(delta.get("content") or "" for delta in deltas) == "Done."
    assert {call["index"] for delta in deltas for call in delta.get("tool_calls", ())} == {1}
    assert given[-1] == Done()


@pytest.mark.parametrize("streamed", [False, True])
def test_a_whole_answer_has_all_parts_also_if_it_is_streamed(streamed: bool) -> None:
    def whole(call: ChatCall, message: dict[str, Any]) -> Any:
        return ADAPTER.answer(call, b"".join(events(message)) if streamed else orjson.dumps(message))

    call = replace(CALL, stream=False)
    first = whole(call, PAUSED)
    assert first.paused == Paused(tuple(CONTENT))
    assert first.body["choices"][0]["finish_reason"] == "length"
    second = whole(replace(call, continues=first.paused.content), LAST)
    message = second.body["choices"][0]["message"]
    assert (message["content"], second.paused) == ("I look: Four.Done.", None)
    assert [call["id"] for call in message["tool_calls"]] == ["toolu_1", "toolu_2"]
    again = whole(replace(call, continues=first.paused.content), PAUSED)
    assert again.paused == Paused((*CONTENT, *CONTENT))


def test_other_answers_end_as_before() -> None:
    without = replace(CALL, body={"messages": BODY["messages"]})
    native = replace(CALL, native=NativeRequest("anthropic", {}))
    for call in (without, native):
        given = decoded(call, PAUSED, 50)
        assert given[-1] == Done()
        (last,) = [event for event in given if isinstance(event, Delta) and event.finished]
        assert last.chunk["choices"][0]["finish_reason"] == "length"


def test_the_request_has_the_blocks_after_the_same_messages() -> None:
    before, after = (
        orjson.loads(ADAPTER.request(call).body) for call in (CALL, replace(CALL, continues=tuple(CONTENT)))
    )
    assert after.pop("messages") == [*before.pop("messages"), {"role": "assistant", "content": CONTENT}]
    assert after == before
