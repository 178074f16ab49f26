"""What compatible providers write in place of what OpenAI writes: read as any SDK reads it, and completed."""

import json
from typing import Any

import pytest

from domain.errors import UpstreamError
from providers import upstream_json
from tests.support.doubles.openai_streams import chunk, decoded, deltas, events_of, finishes, reports, text_of

STOP = chunk({}, "stop")


@pytest.mark.parametrize("index", ["0", 0.0, None])
def test_an_index_in_other_forms(index: object) -> None:
    events = events_of({"choices": [{"index": index, "delta": {"content": "a"}, "finish_reason": "stop"}]})
    assert (text_of(events), finishes(events)) == ("a", [(0, "stop")])


NO_REASONS: tuple[object, ...] = ("null", "None", "", {}, False)
REASONS: dict[str, tuple[object, ...]] = {
    "length": ("length ", "MAX_TOKENS", "max_length", *NO_REASONS),  # what is no reason ends nothing: the next says it
    "stop": ("STOP", "END_TURN", 1, {"type": "stop"}, ["stop"], "eos_token"),
    "content_filter": ("ContentFilter", "PROHIBITED_CONTENT"),
}


@pytest.mark.parametrize(
    ("expected", "reason"), [(expected, reason) for expected, words in REASONS.items() for reason in words]
)
def test_how_a_choice_ends_in_other_words(reason: object, expected: str) -> None:
    ended = {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": reason}]}
    assert finishes(events_of(ended, chunk({}, "length"))) == [(0, expected)]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"type": "text", "text": "a"}, "a"),
        ([{"text": "a"}, None, "b"], "ab"),
    ],
)
def test_content_in_other_forms(content: object, text: str) -> None:
    assert text_of(events_of(chunk({"content": content}), STOP)) == text


CALL = {"index": 0, "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    "calls",
    [
        [{"function": {"name": "f", "arguments": "{}"}}],
        {"function": {"name": "f", "arguments": {}}},
        [None, {"name": "f", "arguments": "{}"}, {}],
        [{"index": "3", "function": {"name": "f", "arguments": {}}}],
        [{"index": 0.0, "id": 5, "function": {"name": "f", "arguments": "{}"}}],
    ],
)
def test_tool_calls_in_other_forms(calls: object) -> None:
    events = events_of(chunk({"tool_calls": calls}), STOP)
    (call,) = [each for delta in deltas(events) for each in delta.get("tool_calls", [])]
    assert call.pop("id").startswith("call_")
    assert call == CALL


@pytest.mark.parametrize("calls", [{}, [], [None], [{}], ""])
def test_tool_calls_that_say_nothing_are_none(calls: object) -> None:
    events = events_of(chunk({"content": "a", "tool_calls": calls}), STOP)
    assert all("tool_calls" not in delta for delta in deltas(events))


def test_counts_with_a_fraction_of_nothing() -> None:
    usage = {"prompt_tokens": 9.0, "completion_tokens": 2.0, "total_tokens": 11.0}
    (report,) = reports(events_of(chunk({"content": "a"}, "stop"), {"choices": [], "usage": usage}))
    assert (report.usage.input_tokens, report.usage.output_tokens) == (9, 2)


@pytest.mark.parametrize("error", [[], "", False, 0, {}, {"message": ""}, {"code": 0, "message": None}])
def test_an_error_that_is_none(error: object) -> None:
    assert text_of(events_of(chunk({"content": "a"}, "stop") | {"error": error})) == "a"


def line(value: Any) -> bytes:
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n"


@pytest.mark.parametrize("done", [b"[DONE]", b"[done]", b"DONE", b'"[DONE]"'])
def test_events_without_a_line_between_them(done: bytes) -> None:
    raw = line(chunk({"content": "a"})) + line(chunk({"content": "b"})) + line(STOP) + line(done)
    for part in (raw, raw + b"\n"):
        assert text_of(events_of(part, done=False)) == "ab"
    assert text_of(events_of(line(chunk({"content": "a"}, "stop")) + b"\n" + line(done), done=False)) == "a"


def test_garbage_on_several_lines_is_a_failure() -> None:
    _, failure = decoded([line(chunk({"content": "a"})) + line(b"{garbage") + b"\n"])
    assert isinstance(failure, UpstreamError)


@pytest.mark.parametrize(
    ("value", "number"),
    [(3, 3), (3.0, 3), ("3", 3), (-1, -1), (3.5, None), (True, None), ("x", None), ("²", None), ("9" * 30, None)],
)
def test_whole_numbers(value: object, number: int | None) -> None:
    assert upstream_json.integer(value) == number
