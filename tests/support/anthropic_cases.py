"""Answers in Anthropic's words, as its recorded ones: padding, pings anywhere, counts beside each other."""

import json
from typing import Any

from providers.anthropic.adapter import AnthropicAdapter
from providers.base import UpstreamRequest
from tests.support.adapter_case import SECRET, AdapterCases, Stream, provider, written

PAGE = b"<html>SECRET</html>"


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}    \n\n".encode()


def begin(**usage: Any) -> bytes:
    counts = {"input_tokens": 9, "output_tokens": 1, **usage}
    message = {"id": SECRET, "type": "message", "role": "assistant", "model": SECRET, "content": [], "usage": counts}
    return event("message_start", message=message)


def start(index: int, kind: str, **fields: Any) -> bytes:
    return event("content_block_start", index=index, content_block={"type": kind, **fields})


def delta(index: int, kind: str, **fields: Any) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind, **fields})


def stop(index: int) -> bytes:
    return event("content_block_stop", index=index)


def text(index: int, *words: str) -> bytes:
    return start(index, "text", text="") + b"".join(delta(index, "text_delta", text=w) for w in words) + stop(index)


def end(reason: str = "end_turn", **usage: Any) -> bytes:
    counts = {"output_tokens": 2, **usage}
    ending = {"stop_reason": reason, "stop_sequence": None}
    return event("message_delta", delta=ending, usage=counts) + event("message_stop")


def tool(index: int, name: str, *parts: str, own: str = "toolu_1", **fields: Any) -> bytes:
    opened = start(index, "tool_use", id=own, name=name, input={}, **fields)
    return opened + b"".join(delta(index, "input_json_delta", partial_json=part) for part in parts) + stop(index)


PING = event("ping")
THINKING = (
    start(0, "thinking", thinking="", signature="")
    + delta(0, "thinking_delta", thinking="hm")
    + PING
    + delta(0, "signature_delta", signature="sig")
    + stop(0)
)
SEARCH_RESULT = start(
    1, "web_search_tool_result", tool_use_id="s1", content=[{"type": "web_search_result", "title": SECRET}]
)
UNKNOWN = (
    event("of_tomorrow", text=SECRET) + start(7, "hologram", shape=SECRET) + delta(7, "x_delta", x=SECRET) + stop(7)
)
CUT_CALL = start(0, "tool_use", id="t", name="f", input={}) + delta(0, "input_json_delta", partial_json='{"a')
MESSAGE = {
    "id": SECRET,
    "type": "message",
    "role": "assistant",
    "model": SECRET,
    "content": [{"type": "text", "text": "a"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 9, "output_tokens": 2},
}
CALLED = [
    {"type": "thinking", "thinking": "hm", "signature": "sig"},
    {"type": "redacted_thinking", "data": "xyz"},
    {"type": "text", "text": "a"},
    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
    {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {"a": 1}},
]
STREAMS = {
    "usual": Stream(begin() + PING + text(0, "one ", "two") + end(), "one two", 2),
    "no name of the event": Stream((begin() + text(0, "é😀") + end()).replace(b"event: message", b"x: "), "é😀", 2),
    "thinks, with a signature": Stream(begin() + THINKING + text(1, "a") + end(output_tokens=70), "hma", 70),
    "thinks in secret": Stream(
        begin() + start(0, "redacted_thinking", data="xyz") + stop(0) + text(1, "a") + end(), "a", 2
    ),
    "two tools, one without arguments": Stream(
        begin() + text(0, "a") + tool(1, "f", "", '{"a"', ": 1}") + tool(2, "g", "", own="toolu_2") + end("tool_use"),
        'af{"a": 1}g{}',
        2,
    ),
    "ends within a tool's arguments": Stream(begin() + CUT_CALL + end("max_tokens"), 'f{"a', 2),
    "searches": Stream(begin() + SEARCH_RESULT + stop(1) + text(2, "a") + end(input_tokens=900), "a", 2),
    "two passes": Stream(
        begin()
        + start(0, "compaction", content=None)
        + delta(0, "compaction_delta", content=SECRET)
        + stop(0)
        + text(1, "a")
        + end(iterations=[{"input_tokens": 9, "output_tokens": 80}, {"input_tokens": 5, "output_tokens": 2}]),
        "a",
        82,
    ),
    "what is not known yet": Stream(begin() + UNKNOWN + text(0, "a") + end("of_tomorrow"), "a", 2),
    "no usage at all": Stream(begin(input_tokens=None) + text(0, "a") + end(output_tokens=None), "a"),
    "nothing": Stream(begin() + end(), "", 2),
    "no last event": Stream((begin() + text(0, "a") + end()).partition(b"event: message_stop")[0], "a", 2),
    "a whole answer": Stream(written(MESSAGE), "a", 2, headers={}),
}
FAILURE = {"error": {"type": "overloaded_error", "message": SECRET}, "request_id": SECRET}
BROKEN = {
    "nothing": b"",
    "cut": begin() + start(0, "text", text="") + delta(0, "text_delta", text="a"),
    "an error event": begin() + text(0, "a") + event("error", **FAILURE),
    "an error without a name": begin()
    + text(0, "a")
    + f"data: {json.dumps({'type': 'error', **FAILURE})}\n\n".encode(),
    "an end before a beginning": event("message_stop"),
    "no block": begin() + event("content_block_start", index=0),
    "an index that is none": begin() + event("content_block_start", index="x", content_block={"type": "text"}),
    "garbage": begin() + b"data: {SECRET\n\n",
    "a page": PAGE,
    "an error alone": written({"type": "error", **FAILURE}),
}


def failure(kind: str, message: str = SECRET) -> bytes:
    return written({"type": "error", "error": {"type": kind, "message": message}, "request_id": SECRET})


ERRORS = {
    "bad key": (401, failure("authentication_error", f"invalid x-api-key {SECRET}")),
    "bad value": (400, failure("invalid_request_error", f"messages.0.content: {SECRET}")),
    "too long": (400, failure("invalid_request_error", f"prompt is too long: {SECRET}")),
    "too large": (413, failure("request_too_large")),
    "later": (429, failure("rate_limit_error")),
    "overloaded": (529, failure("overloaded_error")),
    "broken": (500, PAGE),
}


def _sent(request: UpstreamRequest) -> tuple[str, int]:
    body = json.loads(request.body)
    return body["model"], body["max_tokens"]


ANTHROPIC_CASES = AdapterCases(
    adapter=AnthropicAdapter(provider("anthropic")),
    streams=STREAMS,
    broken=BROKEN,
    answers={
        "usual": written(MESSAGE),
        "thinks and calls": written(MESSAGE | {"content": CALLED, "stop_reason": "tool_use"}),
        "as little as can be": b'{"content":[{"type":"text","text":"a"}]}',
        "nothing": written(MESSAGE | {"content": []}),
        "streamed": STREAMS["usual"].raw,
    },
    no_answers={
        "nothing": b"",
        "a page": PAGE,
        "no content": written(MESSAGE | {"content": None}),
        "an error": failure("api_error"),
    },
    errors=ERRORS,
    sent=_sent,
)
