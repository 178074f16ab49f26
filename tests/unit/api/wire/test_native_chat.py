"""The native stream's events: one for each kind of thing that a model says, and the start before all of them."""

import json
from typing import Any

import pytest

from api.wire.native_chat import NativeChat
from domain.errors import InsufficientCredits, UpstreamBusy
from domain.pricing import Usage, UsageSource
from gateway import replays
from gateway.answers import completed
from gateway.replays import Replayed
from gateway.wire import Bill, Head
from providers.base import Delta

WIRE = NativeChat()
BILL = Bill(Usage(3, 2, UsageSource.COUNTED), charged=10, balance=90, held=120)


def head(held: int = 100) -> Head:
    return Head("chatcmpl-1", 7, WIRE.parse({"model": "m", "message": "x"}), held)


def events(written: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in written.decode().splitlines() if line]


def delta(**fields: Any) -> Delta:
    return Delta({"choices": [{"index": 0, "delta": fields, "finish_reason": None}]}, "x")


@pytest.mark.parametrize(
    ("fields", "event"),
    [
        ({"content": "word"}, {"type": "delta", "text": "word"}),
        ({"refusal": "no"}, {"type": "delta", "text": "no"}),
        ({"reasoning_content": "hm"}, {"type": "reasoning", "text": "hm"}),
        ({"reasoning": "hm", "reasoning_content": None}, {"type": "reasoning", "text": "hm"}),
        (
            {"tool_calls": [{"index": 1, "id": "c", "function": {"name": "f", "arguments": ""}}]},
            {"type": "tool_call", "index": 1, "id": "c", "name": "f"},
        ),
        (
            {"tool_calls": [{"index": 0, "custom": {"input": "x"}}]},
            {"type": "tool_call", "index": 0, "arguments": "x"},
        ),
    ],
)
def test_what_is_said_is_an_event(fields: dict[str, Any], event: dict[str, Any]) -> None:
    start, written = events(WIRE.writer(head()).delta(delta(**fields)))
    assert start == {"type": "start", "id": "chatcmpl-1", "model": "m", "held": 100}
    assert written == event


def test_a_hold_that_grew_before_the_start_is_told_in_it() -> None:
    writer = WIRE.writer(head())
    assert writer.held(110) == b""
    assert events(writer.delta(delta(content="a")))[0]["held"] == 110
    assert events(writer.held(120)) == [{"type": "hold", "held": 120}]


def test_an_end_without_any_words_has_a_start_too() -> None:
    last = Delta({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}, finished=(0,))
    start, done = events(WIRE.writer(head()).end([last], BILL))
    assert start["type"] == "start"
    assert (done["finish_reason"], done["credits_charged"], done["balance"], done["held"]) == ("length", 10, 90, 120)
    assert done["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_an_error_says_its_code_and_what_was_charged() -> None:
    writer = WIRE.writer(head())
    writer.delta(delta(content="a"))
    (error,) = events(writer.fail(UpstreamBusy("later"), BILL))
    assert (error["type"], error["code"], error["message"]) == ("error", "rate_limit_exceeded", "later")
    assert error["credits_charged"] == 10
    (unknown,) = events(writer.fail(InsufficientCredits(5, 4, 0), None))
    assert (unknown["required"], unknown["available"]) == (5, 4)
    assert "credits_charged" not in unknown


def test_fields_of_this_wire_are_not_sent_on() -> None:
    call = WIRE.parse(
        {"model": "m", "message": "x", "save": False, "conversation_id": None, "n": 1, "stream": False, "max_tokens": 5}
    )
    assert call.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "x"}],
        "max_tokens": 5,
    }
    assert call.output_limit == 5


def test_a_replay_tells_what_was_held_at_the_start_and_then_in_the_end() -> None:
    choices = [{"index": 0, "message": {"role": "assistant", "content": "a b"}, "finish_reason": "stop"}]
    answer = completed(head(), choices, {}, BILL.usage)
    request = WIRE.parse({"model": "m", "message": "x"})
    start, words, hold, done = events(replays.stream(WIRE.writer, request, Replayed(answer, BILL, 100, ())))
    assert start == {"type": "start", "id": "chatcmpl-1", "model": "m", "held": 100}
    assert words == {"type": "delta", "text": "a b"}
    assert hold == {"type": "hold", "held": 120}
    assert (done["type"], done["credits_charged"], done["held"]) == ("done", 10, 120)
