"""What compatible providers stream, and what is made of it: complete, in order, once."""

import json
from typing import Any

import orjson
import pytest

from domain.errors import ContextLengthExceeded, UpstreamError
from providers.base import Accepted, Delta, Done
from tests.support.doubles.openai_streams import (
    USAGE,
    call,
    chunk,
    decoded,
    deltas,
    events_of,
    finishes,
    reports,
    stream,
    text_of,
)

ROLE = chunk({"role": "assistant", "content": ""})
USUAL = (ROLE, chunk({"content": "one "}), chunk({"content": "two"}), chunk({}, "stop"))
REPORT: dict[str, Any] = {"choices": [], "usage": USAGE}


def tool(**fields: Any) -> dict[str, Any]:
    return chunk({"tool_calls": [fields]})


def called(events: list[Any]) -> list[dict[str, Any]]:
    return [each for delta in deltas(events) for each in delta.get("tool_calls", [])]


def test_a_usual_stream() -> None:
    events = events_of(*USUAL, REPORT)
    assert events[0] == Accepted()
    assert (text_of(events), finishes(events)) == ("one two", [(0, "stop")])
    assert [event.finished for event in events if isinstance(event, Delta)] == [(), (), (), (0,)]
    (report,) = reports(events)
    assert (report.usage.input_tokens, report.usage.output_tokens) == (15, 4)
    assert sum(isinstance(event, Accepted) for event in events) == 1


@pytest.mark.parametrize(
    "headers", [{}, {"content-type": "text/plain"}, {"content-type": "Text/Event-Stream;charset=UTF-8"}]
)
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b": hello\n\n", b"\r\n"])
def test_a_stream_is_judged_by_what_it_holds(headers: dict[str, str], before: bytes) -> None:
    events, failure = decoded([before + stream(*USUAL)], headers=headers)
    assert failure is None
    assert events[0] == Accepted()
    assert text_of(events) == "one two"


def test_empty_events_say_nothing() -> None:
    events = events_of(*USUAL[:2], b"data:\n\n", b"data: \n\n", b"data: null\n\n", b"data: {}\n\n", *USUAL[2:])
    assert text_of(events) == "one two"


@pytest.mark.parametrize("index", [0, None])
def test_a_choice_without_an_index(index: object) -> None:
    parts = [chunk({"content": "a"}, index=index), chunk({}, "stop", index=index)]
    for part in parts:
        if index == 0:
            del part["choices"][0]["index"]
    events = events_of(*parts)
    assert (text_of(events), finishes(events)) == ("a", [(0, "stop")])


@pytest.mark.parametrize("index", [[0], "x", -1, 10**9, True, 0.5])
def test_an_index_that_is_none(index: object) -> None:
    events, failure = decoded([stream(ROLE, chunk({"content": "x"}, index=index))])
    assert type(failure) is UpstreamError
    assert text_of(events) == ""


def test_a_role_is_told_once_and_always() -> None:
    events = events_of(
        chunk({"content": "a", "role": "assistant"}), chunk({"content": "b", "role": "assistant"}), chunk({}, "stop")
    )
    assert [delta.get("role") for delta in deltas(events)] == ["assistant", None, None]
    assert deltas(events_of(chunk({"content": "a"}, "stop")))[0] == {"role": "assistant", "content": "a"}


@pytest.mark.parametrize("given", [{}, {"index": None}, {"index": 1}, {"index": 7}])
def test_a_tool_call_has_an_index(given: dict[str, Any]) -> None:
    first = tool(**given, id="c1", type="function", function={"name": "f", "arguments": "{}"})
    (tool_call,) = called(events_of(first, chunk({}, "tool_calls")))
    assert tool_call == {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_pieces_of_a_tool_call_belong_together() -> None:
    """By index; by id; or to the last one. Ids, names and types are told once."""
    for first, later in (({"index": 3}, {"index": 3}), ({}, {}), ({}, {"id": "c1"})):
        events = events_of(
            tool(**({"id": "c1", "type": "function", "function": {"name": "f"}} | first)),
            tool(**({"function": {"name": None, "arguments": '{"a"'}} | later)),
            tool(**({"id": "", "type": None, "function": {"arguments": ":1}"}} | later | first)),
            chunk({}, "tool_calls"),
        )
        assert called(events) == [
            {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}},
            {"index": 0, "function": {"arguments": '{"a"'}},
            {"index": 0, "function": {"arguments": ":1}"}},
        ]


def test_an_id_and_a_name_in_every_delta() -> None:
    again = {"index": 0, "id": "0", "type": "function"}
    events = events_of(
        tool(**again, function={"name": "f", "arguments": ""}),
        tool(**again, function={"name": "f", "arguments": "{}"}),
        chunk({}, "tool_calls"),
    )
    first, second = called(events)
    assert first["id"].startswith("call_")
    assert second == {"index": 0, "function": {"arguments": "{}"}}


def test_parallel_calls_that_share_an_index_or_have_none() -> None:
    for places in ({"index": 0}, {}, {"index": None}):
        events = events_of(
            tool(**places, id="a1", function={"name": "f", "arguments": "{}"}),
            tool(**places, id="b2", function={"name": "f", "arguments": '{"x":1}'}),
            chunk({}, "tool_calls"),
        )
        assert [(each["index"], each["id"]) for each in called(events)] == [(0, "a1"), (1, "b2")]


def test_ids_that_a_provider_leaves_out_are_made_and_differ() -> None:
    parts = [tool(id="", function={"name": "f", "arguments": {"x": [1]}}), tool(function={"name": "f"})]
    calls = called(events_of(*parts, chunk({}, "stop")))
    assert len({each["id"] for each in calls}) == 2
    assert calls[0]["function"] == {"name": "f", "arguments": '{"x":[1]}'}
    assert calls[0]["type"] == "function"


@pytest.mark.parametrize("calls", [5, ["x"], [{"index": 10**9}], [{"index": "x"}], [{"index": -1}], [[5]]])
def test_tool_calls_that_are_none(calls: object) -> None:
    assert type(decoded([stream(ROLE, chunk({"tool_calls": calls}))])[1]) is UpstreamError


def test_halves_of_a_character_are_joined() -> None:
    halves = [
        rb'data: {"choices":[{"index":0,"delta":{"content":"a \ud83d"}}]}' + b"\n\n",
        rb'data: {"choices":[{"index":0,"delta":{"content":"\ude00 b"}}]}' + b"\n\n",
    ]
    events = events_of(ROLE, *halves, chunk({}, "stop"))
    assert text_of(events) == "a 😀 b"
    assert text_of(events_of(ROLE, halves[0], chunk({"content": " b"}), chunk({}, "stop"))) == "a \ufffd b"
    assert text_of(events_of(ROLE, halves[0], chunk({}, "stop"))) == "a \ufffd"
    for event in events:
        if isinstance(event, Delta):
            orjson.dumps(event.chunk)


def test_halves_in_arguments_and_beside() -> None:
    def part(arguments: bytes) -> bytes:
        written = b'{"index":0,"id":"c1","function":{"name":"f","arguments":"' + arguments + b'"}}'
        return b'data: {"service_tier":"\\ud83d","choices":[{"index":0,"delta":{"tool_calls":[' + written + b"]}}]}\n\n"

    events = events_of(part(rb"\ud83d"), part(rb"\ude00"), chunk({}, "stop"))
    assert "".join(each["function"]["arguments"] for each in called(events)) == "😀"
    assert [orjson.dumps(event.chunk) for event in events if isinstance(event, Delta)]


def test_what_follows_a_finish_is_said_in_order() -> None:
    events = events_of(ROLE, chunk({"content": "a "}, "stop"), chunk({"content": "b "}), chunk({}, "stop"))
    assert (text_of(events), finishes(events)) == ("a b ", [(0, "stop")])
    ending = [event for event in events if isinstance(event, Delta) and event.finished]
    assert [event.text for event in ending] == [""]


@pytest.mark.parametrize(
    ("reason", "then"),
    [("eos", "stop"), ("STOP", "stop"), ("MAX_TOKENS", "length"), ("tool_use", "tool_calls"), ("zzz", "stop")],
)
def test_finish_reasons_of_others(reason: str, then: str) -> None:
    assert finishes(events_of(*USUAL[:2], chunk({}, reason))) == [(0, then)]


@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource"])
def test_a_choice_that_broke(reason: str) -> None:
    events, failure = decoded([stream(*USUAL[:2], chunk({}, reason))])
    assert (type(failure), text_of(events)) == (UpstreamError, "one ")


def test_a_finish_reason_that_was_left_out() -> None:
    assert finishes(events_of(*USUAL[:3])) == [(0, "stop")]
    tool_call = tool(id="c1", function={"name": "f", "arguments": "{}"})
    assert finishes(events_of(tool_call)) == [(0, "tool_calls")]


def test_typed_parts_are_text_and_reasoning() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "closed": True}
    events = events_of(chunk({"content": [thinking, {"type": "text", "text": "hi"}]}), chunk({"content": []}, "stop"))
    assert (text_of(events), text_of(events, "reasoning_content")) == ("hi", "hm")
    assert sorted("".join(event.text for event in events if isinstance(event, Delta))) == sorted("hihm")


def test_reasoning_is_counted_once() -> None:
    events = events_of(chunk({"reasoning": "abc", "reasoning_details": [{"type": "t", "text": "abc"}]}, "stop"))
    assert [event.text for event in events if isinstance(event, Delta)] == ["abc", ""]


def test_several_choices() -> None:
    parts = [chunk({"content": letter}, index=n) for n, letter in ((0, "a"), (1, "x"), (0, "b"), (1, "y"))]
    ends = [chunk({}, "stop", index=0), chunk({}, "length", index=1)]
    events = events_of(*parts, *ends, of=call(2), done=False)
    assert (text_of(events), text_of(events, index=1)) == ("ab", "xy")
    assert finishes(events) == [(0, "stop"), (1, "length")]
    assert type(decoded([stream(*parts, ends[0], done=False)], call(2))[1]) is UpstreamError


def test_reports_grow() -> None:
    """Usage in each chunk, one that comes late, and the same again."""
    used = [{**USAGE, "completion_tokens": n, "total_tokens": 15 + n} for n in (1, 3, 2)]
    parts = [chunk({"content": "a"}, usage=each) for each in used]
    events = events_of(*parts, chunk({}, "stop", usage=used[1]))
    assert [report.usage.output_tokens for report in reports(events)] == [1, 3, 3]


def test_the_service_tier_that_served() -> None:
    parts = [part | {"service_tier": "priority"} for part in USUAL]
    (report,) = reports(events_of(*parts, REPORT))
    assert report.usage.service_tier == "priority"
    (report,) = reports(events_of(*parts, REPORT | {"service_tier": "flex"}))
    assert report.usage.service_tier == "flex"


FAILURES = [
    b'data: {"error": {"message": "SECRET", "code": 500}}\n\n',
    b'data: {"error": "SECRET"}\n\n',
    b'data: {"object": "error", "message": "SECRET", "code": 500}\n\n',
    b'data: {"type": "error", "error": {"type": "overloaded_error", "message": "SECRET"}}\n\n',
    b'data: {"detail": "SECRET"}\n\n',
    b'data: {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": null}], "error": {"code": 1}}\n\n',
    b'data: {"choices": [{"index": 0, "delta": {}, "error": {"message": "SECRET"}}]}\n\n',
    b'event: error\ndata: {"message": "SECRET"}\n\n',
    b"event: error\ndata: SECRET\n\n",
    b'{\n  "error": {\n    "code": 503\n  }\n}\n',
    b"data: {not json\n\n",
    b"data: 5\n\n",
    b'data: {"choices": "x"}\n\n',
    b'data: {"choices": ["x"]}\n\n',
    b'data: {"choices": [{"index": 0, "delta": {"content": 5}}]}\n\n',
    b'data: {"choices": [{"index": 0, "text": "legacy"}]}\n\n',
    b"data: "
    + json.dumps({"choices": [{"index": 0, "delta": {"x": json.loads("[" * 80 + "]" * 80)}}]}).encode()
    + b"\n\n",
]


@pytest.mark.parametrize("failing", FAILURES)
def test_a_failure_in_the_middle(failing: bytes) -> None:
    """What came before it was said all the same, even when all of it came at once."""
    events, failure = decoded([stream(*USUAL[:3], failing)])
    assert (type(failure), text_of(events)) == (UpstreamError, "one two")
    assert "SECRET" not in str(failure)
    assert not finishes(events)


@pytest.mark.parametrize("failing", FAILURES)
def test_a_failure_at_the_beginning(failing: bytes) -> None:
    events, failure = decoded([stream(failing)])
    assert isinstance(failure, UpstreamError)
    assert not [event for event in events if isinstance(event, Delta | Done)]


def test_a_failure_comes_with_what_was_used() -> None:
    failing = chunk({"content": ""}, error={"code": 400, "message": "Token limit reached"}, usage=USAGE)
    events, failure = decoded([stream(*USUAL, failing)])
    assert isinstance(failure, UpstreamError)
    assert [report.usage.output_tokens for report in reports(events)] == [4]


def test_too_long_an_input_is_the_callers_as_long_as_nothing_was_said() -> None:
    error = {"error": {"code": 400, "message": "This model's maximum context length is 10 tokens."}}
    assert type(decoded([stream(error)])[1]) is ContextLengthExceeded
    assert type(decoded([stream(ROLE, error)])[1]) is UpstreamError


@pytest.mark.parametrize("cut", [(), USUAL[:1], USUAL[:3]])
def test_a_stream_that_was_cut(cut: tuple[dict[str, Any], ...]) -> None:
    assert type(decoded([stream(*cut, done=False)])[1]) is UpstreamError


def test_done_without_an_answer() -> None:
    assert type(decoded([stream(REPORT)])[1]) is UpstreamError


@pytest.mark.parametrize("end", [b"data:[DONE]\n\n", b"data:  [DONE] \n\n", b'data: "[DONE]"\n\n', b"data: [DONE]"])
def test_the_end_in_other_forms(end: bytes) -> None:
    events, failure = decoded([stream(*USUAL, done=False) + end])
    assert (failure, events[-1]) == (None, Done())


def test_what_comes_after_done_is_not_read() -> None:
    events, failure = decoded([stream(*USUAL), b"data: {not json\n\n"])
    assert (failure, events[-1]) == (None, Done())


def whole(**message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "choices": [choice], "usage": USAGE}


@pytest.mark.parametrize("headers", [{}, {"content-type": "application/json"}, {"content-type": "text/event-stream"}])
def test_a_whole_answer_to_a_streamed_request(headers: dict[str, str]) -> None:
    tool_call = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    body = json.dumps(whole(content="one two", tool_calls=tool_call)).encode()
    for parts in ([body], [body[n : n + 1] for n in range(len(body))], [b"\xef\xbb\xbf", b"\n", body]):
        events, failure = decoded(parts, headers=headers)
        assert failure is None
        assert (events[0], events[-1]) == (Accepted(), Done())
        assert (text_of(events), finishes(events), len(reports(events))) == ("one two", [(0, "stop")], 1)
        assert [each["index"] for each in called(events)] == [0]


@pytest.mark.parametrize("body", [b'{"error": {"code": 500}}', b'{"choices": []}', b"{", b"<html></html>", b"[]", b""])
def test_no_answer_to_a_streamed_request(body: bytes) -> None:
    events, failure = decoded([body], headers={"content-type": "application/json"})
    assert (events, type(failure)) == ([], UpstreamError)


def test_nothing_about_the_provider_is_told() -> None:
    about = {"account": "org-SECRET", "provider": "SECRET", "x_groq": {"id": "SECRET"}, "service_tier": "default"}
    events = events_of(*[part | about for part in USUAL])
    chunks = [event.chunk for event in events if isinstance(event, Delta)]
    assert all(set(each) == {"choices", "service_tier"} for each in chunks)


@pytest.mark.parametrize(
    ("first", "last", "tier"), [("flex", None, "flex"), ("flex", "default", "default"), (None, "priority", "priority")]
)
def test_a_report_names_the_service_tier_that_the_stream_named_last(
    first: str | None, last: str | None, tier: str
) -> None:
    events = events_of(ROLE | {"service_tier": first}, *USUAL[1:], REPORT | {"service_tier": last})
    assert [report.usage.service_tier for report in reports(events)] == [tier]


WHOLE = {"role": "assistant", "content": "one two"}


@pytest.mark.parametrize("delta", [{}, {"content": ""}, {"role": "assistant", "content": ""}, None])
def test_a_message_that_tells_the_whole_again_is_not_said_twice(delta: object) -> None:
    """As Perplexity does: in every chunk, or in the last one."""
    again: dict[str, Any] = {"index": 0, "delta": delta, "message": WHOLE, "finish_reason": "stop"}
    growing = {"index": 0, "delta": {"content": "one "}, "message": {"content": "one "}, "finish_reason": None}
    for before in (USUAL[:3], (ROLE, {"choices": [growing]}, USUAL[2])):
        events = events_of(*before, {"choices": [again]}, REPORT)
        assert text_of(events) == "one two"
        assert all("message" not in choice for choice in _choices(events))


@pytest.mark.parametrize("delta", [{}, {"role": "assistant", "content": ""}])
def test_a_message_that_alone_says_something_is_the_answer(delta: dict[str, Any]) -> None:
    events = events_of({"choices": [{"index": 0, "delta": delta, "message": WHOLE, "finish_reason": "stop"}]})
    assert text_of(events) == "one two"


def test_messages_in_place_of_deltas() -> None:
    parts = [{"choices": [{"index": 0, "message": {"content": text}}]} for text in ("one ", "two")]
    assert text_of(events_of(*parts, chunk({}, "stop"))) == "one two"


def _choices(events: list[Any]) -> list[dict[str, Any]]:
    return [choice for event in events if isinstance(event, Delta) for choice in event.chunk["choices"]]
