"""Chunks as OpenAI's clients read them: complete, with nothing of the provider's, and the cost in the last one."""

import json
from typing import Any

import pytest

from api.wire.openai_chat import OpenAIChat
from domain.errors import UpstreamError
from domain.pricing import Usage, UsageSource
from gateway import replays
from gateway.answers import completed
from gateway.replays import Replayed
from gateway.wire import Bill, Head, ModelCall, StreamWriter
from providers.base import Delta

WIRE = OpenAIChat()
BILL = Bill(Usage(3, 2, UsageSource.COUNTED), charged=10, balance=90, held=120)
YOUT = {"credits_charged": 10, "balance": 90}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def call(*, usage: bool) -> ModelCall:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}
    return WIRE.parse(body | ({"stream_options": {"include_usage": True}} if usage else {}))


def writer(*, usage: bool = False) -> StreamWriter:
    return WIRE.writer(Head("chatcmpl-1", 7, call(usage=usage), 100))


def events(written: bytes) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in written.decode().splitlines() if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def delta(text: str = "word", finish: str | None = None, **beside: Any) -> Delta:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return Delta({"choices": [choice], **beside}, text, (0,) if finish else ())


@pytest.mark.parametrize("usage", [False, True])
def test_a_chunk_is_complete_and_says_nothing_of_its_provider(usage: bool) -> None:
    vendor_chunk = delta(id="SECRET", model="SECRET", account="SECRET", system_fingerprint="fp", obfuscation="xx")
    (chunk,) = events(writer(usage=usage).delta(vendor_chunk))
    assert chunk == {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 7,
        "model": "m",
        "choices": vendor_chunk.chunk["choices"],
        "system_fingerprint": "fp",
        "obfuscation": "xx",
        **({"usage": None} if usage else {}),
    }


def test_the_last_chunk_says_what_it_cost() -> None:
    first, last, done = events(writer().end([delta("", "stop"), delta("", "length", service_tier="default")], BILL))
    assert "yout" not in first
    assert (last["yout"], last["service_tier"], done) == (YOUT, "default", "[DONE]")


def test_usage_is_a_chunk_of_its_own_where_it_was_asked_for() -> None:
    last, usage, done = events(writer(usage=True).end([delta("", "stop")], BILL))
    assert last["usage"] is None
    assert "yout" not in last
    assert (usage["choices"], usage["usage"], usage["yout"], done) == ([], USAGE, YOUT, "[DONE]")


@pytest.mark.parametrize("bill", [None, BILL])
def test_a_failed_stream_ends_with_an_error_and_without_done(bill: Bill | None) -> None:
    (chunk,) = events(writer(usage=True).fail(UpstreamError("broke"), bill))
    assert chunk["error"]["message"] == "broke"
    assert chunk["choices"][0]["finish_reason"] == "error"
    assert (chunk.get("yout"), chunk.get("usage")) == ((None, None) if bill is None else (YOUT, USAGE))


@pytest.mark.parametrize("usage", [False, True])
def test_a_replay_goes_through_the_same_writer(usage: bool) -> None:
    request = call(usage=usage)
    calls = [{"index": 1, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    choices = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    answer = completed(Head("chatcmpl-1", 7, request, 100), choices, {"system_fingerprint": "fp", "x": 1}, BILL.usage)
    *chunks, done = events(replays.stream(WIRE.writer, request, Replayed(answer, BILL, 100, ())))
    assert chunks[0]["choices"][0]["delta"] == message
    assert chunks[0]["system_fingerprint"] == "fp"
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:2]] == [None, "tool_calls"]
    assert (chunks[-1]["yout"], done) == (YOUT, "[DONE]")
