"""Whatever a provider sends, in whatever order: the events of `/v1/responses` are in theirs, and make its output."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.wire import openai_responses
from api.wire.openai_responses_stream import ResponseStream
from domain.errors import UpstreamError
from domain.pricing import Usage, UsageSource
from gateway.wire import Bill, Head
from providers.base import Delta
from tests.support.responses_rules import problems

BILL = Bill(Usage(9, 2, UsageSource.PROVIDER), 5, 95, 5)
BODY: dict[str, Any] = {
    "model": "m",
    "input": "x",
    "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "g"}],
}
TEXT = st.sampled_from(["", "a", "b c", "é😀", '{"input": "x'])
DETAIL = st.fixed_dictionaries(
    {"type": st.sampled_from(["reasoning.text", "reasoning.summary", "reasoning.encrypted", "odd"])},
    optional={
        "text": TEXT,
        "summary": TEXT,
        "data": TEXT,
        "signature": TEXT,
        "index": st.integers(0, 2),
        "id": st.sampled_from(["rs_1", "rs_2", None]),
        "format": st.sampled_from(["openai-responses-v1", "anthropic-claude-v1"]),
    },
)
CALL = st.fixed_dictionaries(
    {
        "index": st.integers(0, 2),
        "function": st.fixed_dictionaries({}, optional={"name": st.sampled_from("fgh"), "arguments": TEXT}),
    },
    optional={"id": st.sampled_from(["c1", "c2", ""])},
)
CITED = st.just({"type": "url_citation", "url_citation": {"url": "https://x.test/", "start_index": 0, "end_index": 1}})
LOGPROB = st.fixed_dictionaries({"token": TEXT, "logprob": st.none() | st.floats(-9, 0)}, optional={"bytes": st.none()})
DELTA = st.fixed_dictionaries(
    {},
    optional={
        "content": st.none() | TEXT,
        "refusal": st.none() | TEXT,
        "reasoning_content": TEXT,
        "reasoning_details": st.lists(DETAIL, max_size=2),
        "annotations": st.lists(CITED, max_size=2),
        "tool_calls": st.lists(CALL, max_size=2),
    },
)
CHOICE = st.fixed_dictionaries(
    {"delta": DELTA}, optional={"logprobs": st.fixed_dictionaries({"content": st.lists(LOGPROB, max_size=2)})}
)


@given(
    st.lists(CHOICE, max_size=6),
    st.sampled_from(["stop", "length", "content_filter", "tool_calls", None]),
    st.booleans(),
    st.sampled_from([{}, {"reasoning": {"summary": "auto"}}]),
)
def test_events_are_in_order(choices: list[Any], finish: str | None, fails: bool, more: dict[str, Any]) -> None:
    writer = ResponseStream(Head("chatcmpl-" + "0" * 32, 1, openai_responses.parse({**BODY, **more}), 5))
    deltas = [Delta({"choices": [choice]}) for choice in choices]
    last = Delta({"choices": [{"delta": {}, "finish_reason": finish}]})
    written = b"".join([writer.delta(delta) for delta in deltas])
    written += writer.fail(UpstreamError(), BILL) if fails else writer.end([last], BILL)
    events = [json.loads(frame.partition(b"data: ")[2]) for frame in written.split(b"\n\n")[:-1]]
    assert problems(events) == []


@pytest.mark.parametrize("response", [{}, {"status": []}, {"status": "in_progress"}, {"status": "incomplete"}])
def test_the_event_that_ends_a_providers_stream_tells_its_status(response: dict[str, Any]) -> None:
    writer = ResponseStream(Head("chatcmpl-" + "0" * 32, 7, openai_responses.parse(BODY), 5, None, 9))
    odd = {"type": "response.created", "response": True}
    for event in (odd, {"type": "response.completed", "response": response}):
        writer.delta(Delta({"choices": []}, "", (), json.dumps(event).encode()))
    assert b'"status":"completed"' in writer.end([], BILL)


@pytest.mark.parametrize(
    ("delta", "beside"),
    [
        ({"annotations": True}, {}),
        ({"reasoning_details": 7}, {}),
        ({"tool_calls": 1}, {}),
        ({}, {"logprobs": {"content": True}}),
    ],
)
def test_what_is_no_list_is_left_out(delta: dict[str, Any], beside: dict[str, Any]) -> None:
    writer = ResponseStream(Head("chatcmpl-" + "0" * 32, 7, openai_responses.parse(BODY), 5, None, 9))
    choice = {"index": 0, "delta": {"content": "abc", **delta}, "finish_reason": None, **beside}
    assert b'"delta":"abc"' in writer.delta(Delta({"choices": [choice]}, "abc"))
