"""Answers as real providers have given them, byte for byte, by the name of the model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

USAGE = {"prompt_tokens": 15, "completion_tokens": 4, "total_tokens": 19}
EVENTS = "text/event-stream"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Raw:
    body: bytes
    content_type: str | None = JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def part(delta: Any, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"id": "u", "choices": [{"index": 0, "delta": delta, "finish_reason": finish} | fields]}


def events(*parts: dict[str, Any] | bytes) -> bytes:
    written = [each if isinstance(each, bytes) else b"data: " + json.dumps(each).encode() + b"\n\n" for each in parts]
    return b"".join(written) + b"data: [DONE]\n\n"


ONE, TWO = part({"role": "assistant", "content": "one "}), part({"content": "two"})
END = (part({}, "stop"), {"choices": [], "usage": USAGE})
USUAL = events(ONE, TWO, *END)
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
HALF = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n'


def streamed(*parts: dict[str, Any] | bytes) -> Raw:
    return Raw(events(*parts), EVENTS)


STREAMS: Mapping[str, Raw] = {
    "raw-usual": Raw(USUAL, EVENTS),
    "raw-empty-event": streamed(ONE, b"data:\n\n", TWO, *END),
    "raw-as-text": Raw(USUAL, "text/plain"),
    "raw-as-nothing": Raw(USUAL, None),
    "raw-as-upper": Raw(USUAL, "Text/Event-Stream;charset=UTF-8"),
    "raw-bom": Raw(b"\xef\xbb\xbf" + USUAL.replace(b"\n", b"\r\n"), EVENTS),
    "raw-long-header": Raw(USUAL, EVENTS, headers={"X-Long": "a" * 9000}),
    "raw-eos": streamed(ONE, TWO, part({}, "eos"), END[1]),
    "raw-parts": streamed(part({"content": [{"type": "text", "text": "one "}]}), TWO, *END),
    "raw-whole": Raw(json.dumps({"choices": [{"message": {"content": "one two"}}], "usage": USAGE}).encode()),
}
"""Each says `one two`, and costs the same."""
TOOLS: Mapping[str, Raw] = {
    "raw-tool-bare": streamed(part({"tool_calls": [CALL]}), part({}, "tool_calls"), END[1]),
    "raw-tool-null": streamed(part({"tool_calls": [CALL | {"index": None}]}), part({}, "tool_calls"), END[1]),
    "raw-tool-first-is-one": streamed(part({"tool_calls": [CALL | {"index": 1}]}), part({}, "tool_calls"), END[1]),
}
HALVES = streamed(ONE, HALF % rb"\ud83d", HALF % rb"\ude00", *END)
BROKEN: Mapping[str, Raw] = {
    "raw-error-event": streamed(ONE, TWO, b'event: error\ndata: {"message": "SECRET"}\n\n'),
    "raw-bare-error": Raw(events(ONE, TWO)[:-14] + b'{\n "error": {\n  "message": "SECRET"\n }\n}\n', EVENTS),
    "raw-deep": streamed(ONE, TWO, part({"x": json.loads("[" * 300 + "]" * 300)})),
}
NO_ANSWERS: Mapping[str, Raw] = {
    "raw-no-message": Raw(json.dumps({"choices": [{"index": 0, "message": None}], "usage": USAGE}).encode()),
    "raw-legacy": Raw(json.dumps({"choices": [{"index": 0, "text": "a"}], "usage": USAGE}).encode()),
    "raw-nested": Raw(b'{"choices":' + b"[" * 300 + b"]" * 300 + b"}"),
    "raw-lists": Raw(b"[" + b"[]," * 2_000_000 + b"[]]"),
    "raw-bad-key": Raw(b'{"code":"invalid-argument","error":"Incorrect API key provided: SECRET"}', status=400),
    "raw-no-model": Raw(b'{"error":{"message":"The model SECRET does not exist","param":"model"}}', status=400),
}
WHOLE: Mapping[str, Raw] = {
    "raw-half": Raw(b'{"choices":[{"message":{"content":"one \\ud83d two"}}],"usage":%b}' % json.dumps(USAGE).encode()),
    "raw-infinity": Raw(
        b'{"choices":[{"message":{"content":"a"},"logprobs":{"content":[{"token":"a","logprob":-Infinity}]}}]}'
    ),
    "raw-hidden-reasoning": Raw(
        json.dumps(
            {
                "choices": [{"message": {"content": "a"}}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 515},
            }
        ).encode()
    ),
}
TOO_LONG: Mapping[str, Raw] = {
    "raw-long-vllm": Raw(
        b'{"object":"error","message":"This model\'s maximum context length is 4096 tokens.","code":400}', status=400
    ),
    "raw-long-llama": Raw(b'{"error":{"code":400,"type":"exceed_context_size_error","n_ctx":4096}}', status=400),
}
ANSWERS: Mapping[str, Raw] = {
    **STREAMS,
    **TOOLS,
    "raw-halves": HALVES,
    **BROKEN,
    **NO_ANSWERS,
    **WHOLE,
    **TOO_LONG,
}
