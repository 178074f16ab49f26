"""What the engine relies on, of every adapter: however its vendor speaks, and however the bytes are cut."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import orjson
import pytest

from domain.errors import GatewayError, UpstreamError
from domain.pricing import Usage
from providers.base import Accepted, ChatCall, Delta, Done, ProviderEvent, Report
from providers.registry import KINDS
from tests.support.adapter_case import SECRET, AdapterCases, Stream
from tests.support.adapter_cases import OURS
from tests.support.toy_provider import TOY_CASES

ADAPTERS: Mapping[str, AdapterCases] = {**OURS, "toy": TOY_CASES}

STREAMS = [(name, case) for name, cases in ADAPTERS.items() for case in cases.streams]
BROKEN = [(name, case) for name, cases in ADAPTERS.items() for case in cases.broken]


def test_every_kind_with_an_adapter_is_among_them() -> None:
    assert {name for name, kind in KINDS.items() if kind.chat is not None} <= set(ADAPTERS)


def call(choices: int = 1) -> ChatCall:
    return ChatCall(
        "m", {"messages": [{"role": "user", "content": "Hello"}], "n": choices}, 50, stream=True, choices=choices
    )


def decoded(
    cases: AdapterCases, parts: Iterable[bytes], choices: int = 1, headers: Mapping[str, str] | None = None
) -> tuple[list[ProviderEvent], GatewayError | None]:
    decoder = cases.adapter.decoder(call(choices))
    events: list[ProviderEvent] = []
    try:
        events.extend(decoder.begin(cases.headers if headers is None else headers))
        for part in parts:
            events.extend(decoder.feed(part))
        events.extend(decoder.eof())
    except GatewayError as failure:
        return events, failure
    return events, None


def case_of(name: str, case: str) -> tuple[AdapterCases, Stream]:
    return ADAPTERS[name], ADAPTERS[name].streams[case]


def events_of(name: str, case: str) -> list[ProviderEvent]:
    cases, stream = case_of(name, case)
    events, failure = decoded(cases, [stream.raw], stream.choices, stream.headers)
    assert failure is None
    return events


def text_of(delta: Mapping[str, Any]) -> str:
    """What a client puts together of a delta."""
    calls = [each.get("function", {}) for each in delta.get("tool_calls", [])]
    tools = "".join((function.get("name") or "") + (function.get("arguments") or "") for function in calls)
    return (delta.get("reasoning_content") or "") + (delta.get("content") or "") + tools


def check_usage(usage: Usage) -> None:
    cache = usage.cached_tokens + usage.cache_write_tokens + usage.cache_write_1h_tokens
    assert cache + usage.audio_input_tokens + usage.image_input_tokens <= usage.input_tokens
    output = usage.reasoning_tokens + usage.audio_output_tokens + usage.image_output_tokens
    assert output <= usage.output_tokens
    counts = {name: count for name, count in asdict(usage).items() if name not in ("source", "service_tier")}
    assert counts.pop("web_searches") in (None, *range(100))
    assert all(type(count) is int and count >= 0 for count in counts.values())


@pytest.mark.parametrize(("name", "case"), STREAMS)
def test_a_stream_is_accepted_once_and_first_and_is_done_once_and_last(name: str, case: str) -> None:
    events = events_of(name, case)
    assert [n for n, event in enumerate(events) if event == Accepted()] == [0]
    assert [n for n, event in enumerate(events) if event == Done()] == [len(events) - 1]


@pytest.mark.parametrize(("name", "case"), STREAMS)
def test_all_text_is_told_and_counted_once(name: str, case: str) -> None:
    _, stream = case_of(name, case)
    deltas = [event for event in events_of(name, case) if isinstance(event, Delta)]
    assert "".join(delta.text for delta in deltas) == stream.text
    for delta in deltas:
        assert sorted(delta.text) == sorted("".join(text_of(choice["delta"]) for choice in delta.chunk["choices"]))


@pytest.mark.parametrize(("name", "case"), STREAMS)
def test_reports_are_cumulative_and_exact(name: str, case: str) -> None:
    _, stream = case_of(name, case)
    reports = [event.usage for event in events_of(name, case) if isinstance(event, Report)]
    for usage in reports:
        check_usage(usage)
    outputs = [usage.output_tokens for usage in reports]
    assert outputs == sorted(outputs)
    assert (outputs[-1] if outputs else None) == stream.output_tokens


@pytest.mark.parametrize(("name", "case"), STREAMS)
def test_chunks_are_complete(name: str, case: str) -> None:
    """As OpenAI's own: nothing that a client relies on is missing, and nothing of the provider's own is in them."""
    _, stream = case_of(name, case)
    begun, ended, calls = set[int](), list[int](), set[tuple[int, int]]()
    for delta in (event for event in events_of(name, case) if isinstance(event, Delta)):
        assert SECRET.encode() not in orjson.dumps(delta.chunk)
        assert "usage" not in delta.chunk
        finished = []
        for choice in delta.chunk["choices"]:
            index = choice["index"]
            assert choice["finish_reason"] in (None, "stop", "length", "tool_calls", "content_filter", "function_call")
            assert choice["delta"].get("role") == (None if index in begun or choice["finish_reason"] else "assistant")
            begun.add(index)
            if choice["finish_reason"]:
                finished.append(index)
            for each in choice["delta"].get("tool_calls", []):
                place = (index, each["index"])
                assert each["index"] == sum(other == index for other, _ in calls - {place})
                assert (place in calls) or (each["id"] and each["type"] and each["function"]["name"])
                assert (place not in calls) or ("id" not in each and "name" not in each["function"])
                calls.add(place)
        assert delta.finished == tuple(finished)
        ended += finished
    assert sorted(ended) == list(range(stream.choices))


@pytest.mark.parametrize(("name", "case"), STREAMS)
def test_the_same_events_however_the_bytes_are_cut(name: str, case: str) -> None:
    cases, stream = case_of(name, case)
    events = events_of(name, case)
    bytewise = [stream.raw[at : at + 1] for at in range(len(stream.raw))]
    assert decoded(cases, bytewise, stream.choices, stream.headers) == (events, None)
    for at in range(len(stream.raw) + 1):
        halves = (stream.raw[:at], stream.raw[at:])
        assert decoded(cases, halves, stream.choices, stream.headers) == (events, None)


@pytest.mark.parametrize(("name", "case"), BROKEN)
def test_a_broken_stream_fails_in_our_words_wherever_it_is_cut(name: str, case: str) -> None:
    cases = ADAPTERS[name]
    raw = cases.broken[case]
    events, failure = decoded(cases, [raw])
    assert isinstance(failure, UpstreamError)
    assert SECRET not in repr(failure)
    assert Done() not in events
    for parts in ([raw[at : at + 1] for at in range(len(raw))], *((raw[:at], raw[at:]) for at in range(len(raw)))):
        cut, again = decoded(cases, parts)
        assert (cut, type(again), str(again)) == (events, type(failure), str(failure))


@pytest.mark.parametrize("name", ADAPTERS)
def test_whole_answers(name: str) -> None:
    cases = ADAPTERS[name]
    for raw in cases.answers.values():
        answer = cases.adapter.answer(call(), raw)
        orjson.dumps(answer.body)
        assert "usage" not in answer.body
        for index, choice in enumerate(answer.body["choices"]):
            assert (choice["index"], choice["message"]["role"]) == (index, "assistant")
            assert choice["finish_reason"]
        assert answer.text == "".join(text_of(choice["message"]) for choice in answer.body["choices"])
        if answer.usage is not None:
            check_usage(answer.usage)


@pytest.mark.parametrize("name", ADAPTERS)
def test_what_is_no_answer(name: str) -> None:
    cases = ADAPTERS[name]
    for raw in cases.no_answers.values():
        with pytest.raises(UpstreamError) as failure:
            cases.adapter.answer(call(), raw)
        assert SECRET not in repr(failure.value)


@pytest.mark.parametrize("name", ADAPTERS)
def test_errors_are_in_our_words(name: str) -> None:
    cases = ADAPTERS[name]
    for status, raw in cases.errors.values():
        error = cases.adapter.error(call(), status, {"x-host": SECRET}, raw)
        assert isinstance(error, GatewayError)
        assert SECRET not in repr(error) + str(vars(error))


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_request_tells_the_provider_what_it_needs_and_nobody_else_anything(name: str) -> None:
    cases = ADAPTERS[name]
    private = {"user": "PRIVATE", "metadata": {"a": "PRIVATE"}, "end_user": "PRIVATE", "fallbacks": ["PRIVATE"]}
    chat_call = ChatCall("theirs", {**call().body, **private, "max_credits": 5}, 50, stream=True)
    request = cases.adapter.request(chat_call)
    assert b"PRIVATE" not in request.body
    assert SECRET not in repr(request).replace(request.url, "")
    assert {"end_user", "fallbacks"} <= set(request.dropped)
    assert cases.sent(request) == ("theirs", 50)


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_field_is_sent_or_named_as_dropped(name: str) -> None:
    given = {"temperature": 0.875, "seed": 98765, "top_k": 43210, "stop": ["STOP"], "unheard_of": "NEW"}
    request = ADAPTERS[name].adapter.request(ChatCall("theirs", {**call().body, **given}, 50))
    for field, marks in zip(given, (b"0.875", b"98765", b"43210", b"STOP", b"NEW"), strict=True):
        assert (marks in request.body) != (field in request.dropped), field
