"""Answers that were not streamed."""

import json
from typing import Any

import pytest

from domain.errors import ContextLengthExceeded, RequestInvalid, UpstreamError
from providers.base import WholeAnswer
from tests.support.doubles.openai_streams import ADAPTER, USAGE, call, chunk, stream


def answer(raw: bytes) -> WholeAnswer:
    return ADAPTER.answer(call(), raw)


def body(message: Any, **choice: Any) -> dict[str, Any]:
    return {"id": "u", "choices": [{"index": 0, "message": message, "finish_reason": "stop"} | choice], "usage": USAGE}


def complete(message: Any, **choice: Any) -> dict[str, Any]:
    (choice_,) = answer(json.dumps(body(message, **choice)).encode()).body["choices"]
    assert isinstance(choice_, dict)
    return choice_


def test_a_usual_answer() -> None:
    whole = answer(json.dumps(body({"role": "assistant", "content": "four"}) | {"provider": "SECRET"}).encode())
    assert whole.body == {
        "object": "chat.completion",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "four"}, "finish_reason": "stop", "logprobs": None}
        ],
    }
    assert whole.text == "four"
    assert whole.usage is not None
    assert (whole.usage.input_tokens, whole.usage.output_tokens) == (15, 4)


def test_what_is_left_out_is_completed() -> None:
    raw = json.dumps(
        {"choices": [{"message": {"content": "a"}}, {"message": {"content": None}, "index": None}]}
    ).encode()
    whole = answer(raw)
    assert whole.usage is None
    first, second = whole.body["choices"]
    assert (first["index"], first["finish_reason"], first["message"]) == (
        0,
        "stop",
        {"role": "assistant", "content": "a"},
    )
    assert (second["index"], second["message"]["content"]) == (1, None)


def test_tool_calls() -> None:
    given = [
        {"id": "", "function": {"name": "f", "arguments": {"a": 1}}},
        {"id": "c2", "type": "function", "index": 7, "function": {"name": "g", "arguments": "{}"}},
        {"type": "custom", "custom": {"name": "h", "input": "x"}, "id": "c3"},
    ]
    choice_ = complete({"tool_calls": given}, finish_reason=None)
    first, second, third = choice_["message"]["tool_calls"]
    assert choice_["finish_reason"] == "tool_calls"
    assert choice_["message"]["content"] is None
    assert first["id"].startswith("call_")
    assert first | {"id": 0} == {"id": 0, "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert second == {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}}
    assert third == {"id": "c3", "type": "custom", "custom": {"name": "h", "input": "x"}}
    assert "tool_calls" not in complete({"content": "a", "tool_calls": []})["message"]


def test_typed_parts() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    message = complete({"role": "assistant", "content": [thinking, {"type": "text", "text": "hi"}]})["message"]
    assert message == {"role": "assistant", "content": "hi", "reasoning_content": "hm"}


def test_halves_and_numbers_that_json_does_not_know() -> None:
    logprobs = rb'{"content":[{"token":"a","logprob":-Infinity}]}'
    raw = rb'{"choices":[{"message":{"content":"one \ud83d two"},"logprobs":' + logprobs + b"}]}"
    (choice,) = answer(raw).body["choices"]
    assert choice["message"]["content"] == "one \ufffd two"
    assert choice["logprobs"] == {"content": [{"token": "a", "logprob": None}]}


def test_what_a_filter_kept_back() -> None:
    raw = json.dumps({"choices": [{"index": 0, "finish_reason": "content_filter"}], "usage": USAGE}).encode()
    (choice,) = answer(raw).body["choices"]
    assert (choice["finish_reason"], choice["message"]) == ("content_filter", {"role": "assistant", "content": None})


MESSAGE: dict[str, Any] = {"role": "assistant", "content": "x"}
DEEP = json.loads("[" * 400 + "]" * 400)


@pytest.mark.parametrize(
    "given",
    [
        body(None),
        body("x"),
        body(MESSAGE | {"content": 5}),
        body(MESSAGE | {"tool_calls": 5}),
        body(MESSAGE | {"tool_calls": [{"index": 10**9}]}),
        body(MESSAGE, index=[0]),
        body(MESSAGE, error={"message": "SECRET"}),
        body(MESSAGE, finish_reason="error"),
        body(MESSAGE | {"extra": DEEP}),
        body(MESSAGE) | {"error": {"message": "SECRET at 10.0.0.7"}},
        *(
            {"choices": choices, "usage": USAGE}
            for choices in ([], None, "x", ["x"], [{"text": "a", "finish_reason": "stop"}])
        ),
        *({"error": "SECRET"}, {"detail": "SECRET"}, {}, [], None, 5),
    ],
)
def test_no_answer(given: Any) -> None:
    with pytest.raises(UpstreamError) as failure:
        answer(json.dumps(given).encode())
    assert "SECRET" not in str(failure.value)


@pytest.mark.parametrize("raw", [b"", b"<html>", b"{", b"[[],[]", b"[" + b"[]," * 600_000 + b"[]]"])
def test_no_json(raw: bytes) -> None:
    with pytest.raises(UpstreamError):
        answer(raw)


def test_an_error_that_came_with_200() -> None:
    filtered = {"message": "filtered", "param": "prompt", "code": "content_filter", "status": 400}
    with pytest.raises(RequestInvalid):
        answer(json.dumps({"error": filtered}).encode())
    with pytest.raises(ContextLengthExceeded):
        answer(json.dumps({"error": {"code": 400, "message": "maximum context length is 5 tokens"}}).encode())


def test_a_stream_that_nobody_asked_for() -> None:
    parts = [
        chunk({"role": "assistant", "content": "one "}, service_tier="default"),
        chunk({"content": "two", "reasoning_content": "hm"}),
        chunk({"tool_calls": [{"index": 1, "id": "c1", "function": {"name": "f", "arguments": ""}}]}),
        chunk({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]}),
        chunk({}, "tool_calls", usage=USAGE),
    ]
    for before in (b"", b": hi\n\n", b"\xef\xbb\xbf"):
        whole = answer(before + stream(*parts))
        (choice,) = whole.body["choices"]
        assert choice["message"] == {
            "role": "assistant",
            "content": "one two",
            "reasoning_content": "hm",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        }
        assert (choice["finish_reason"], whole.body["service_tier"]) == ("tool_calls", "default")
        assert sorted(whole.text) == sorted("one twohmf{}")
        assert whole.usage is not None
    with pytest.raises(UpstreamError):
        answer(stream(*parts[:2], done=False))
