"""Small answers on Gemini's wire: streams, whole answers and errors, as its servers write them."""

import json
from typing import Any

SECRET = "SECRET"


def event(value: Any, end: str = "\r\n\r\n") -> bytes:
    return f"data: {json.dumps(value)}{end}".encode()


def events(*values: Any, end: str = "\r\n\r\n") -> bytes:
    return b"".join(event(value, end) for value in values)


def report(prompt: int = 9, candidates: int = 2, **counts: Any) -> dict[str, Any]:
    total = prompt + candidates + counts.get("thoughtsTokenCount", 0) + counts.get("toolUsePromptTokenCount", 0)
    known = {"promptTokenCount": prompt, "candidatesTokenCount": candidates, "totalTokenCount": total}
    return {name: count for name, count in known.items() if count} | counts


def response(*parts: dict[str, Any], finish: str | None = None, **beside: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if not parts:
        candidate["content"] = {"role": "model"}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": SECRET, "responseId": "r1"} | beside


def text(words: str, **fields: Any) -> dict[str, Any]:
    return {"text": words, **fields}


def function(name: str, args: Any = None, call_id: str | None = None, **beside: Any) -> dict[str, Any]:
    call = {"name": name, "args": {} if args is None else args}
    return {"functionCall": call | ({"id": call_id} if call_id else {}), **beside}


def error(code: int, status: str, message: str = SECRET, *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def retry_info(delay: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


ENDED = response(finish="STOP", usageMetadata=report())
BLOCKED = {
    "promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": SECRET},
    "usageMetadata": {"trafficType": "ON_DEMAND"},
    "modelVersion": SECRET,
}
SIGNED_CALL = function("f", {"a": 1}, thoughtSignature="c2ln")
BOTH = {
    "candidates": [
        {"content": {"parts": [text("a")]}, "finishReason": "STOP", "index": 0},
        {"content": {"parts": [text("b")]}, "finishReason": "MAX_TOKENS", "index": 1},
    ],
    "usageMetadata": report(candidates=4),
}
IMAGE = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
NAN = (
    b'data: {"candidates":[{"content":{"parts":[{"text":"a\\ud83d"}]},"avgLogprobs":NaN,"finishReason":"STOP"}]}'
    b"\r\n\r\n"
)
SAFE_END = {
    "candidates": [{"content": {}, "finishReason": "SAFETY", "safetyRatings": []}],
    "usageMetadata": report(9, 0),
}

STREAMS: dict[str, tuple[bytes, str, int | None]] = {
    "usual": (
        events(response(text("one "), usageMetadata={"promptTokenCount": 9}), response(text("two")), ENDED),
        "one two",
        2,
    ),
    "a BOM, LF, comments, no index": (
        b"\xef\xbb\xbf: hi\n\n" + events({"candidates": [{"content": {"parts": [text("\u00e9")]}}]}, ENDED, end="\n\n"),
        "\u00e9",
        2,
    ),
    "usage in every event": (
        events(
            response(text("a"), usageMetadata=report(9, 1, thoughtsTokenCount=5)),
            response(text("b"), usageMetadata=report(9, 2, thoughtsTokenCount=5)),
            response(finish="STOP", usageMetadata=report(9, 2, thoughtsTokenCount=5)),
        ),
        "ab",
        7,
    ),
    "thoughts, and a signature at the end": (
        events(
            response(text("hm", thought=True)),
            response(text("a")),
            response(
                text("", thoughtSignature="c2ln"), finish="STOP", usageMetadata=report(9, 2, thoughtsTokenCount=7)
            ),
        ),
        "hma",
        9,
    ),
    "parallel calls without ids, the first is signed": (
        events(response(SIGNED_CALL, function("g"), finish="STOP", usageMetadata=report())),
        'f{"a":1}g{}',
        2,
    ),
    "a call, then an empty text": (
        events(response(function("f", call_id="c1")), response(text(""), finish="STOP", usageMetadata=report())),
        "f{}",
        2,
    ),
    "STOP in every event, as older Vertex": (
        events(response(text("a"), finish="STOP"), response(text("b"), finish="STOP"), ENDED),
        "ab",
        2,
    ),
    "cut by its limit while it thinks": (
        events(response(finish="MAX_TOKENS", usageMetadata=report(9, 0, thoughtsTokenCount=3))),
        "",
        3,
    ),
    "a blocked prompt": (events(BLOCKED), "", 0),
    "a blocked answer": (events(response(text("a")), SAFE_END), "a", 0),
    "an image, and one of a thought": (
        events(response(IMAGE | {"thought": True}), response(text("a"), IMAGE, finish="STOP", usageMetadata=report())),
        "a",
        2,
    ),
    "no usage": (events(response(text("a"), finish="STOP")), "a", None),
    "a report without the output that came": (
        events(response(text("a"), finish="STOP", usageMetadata=report(9, 0))),
        "a",
        None,
    ),
    "NaN and half a character": (NAN, "a\ufffd", None),
    "[DONE] and more, as of a proxy": (
        events(response(text("a")), ENDED) + b"data: [DONE]\n\ndata: {SECRET\n\n",
        "a",
        2,
    ),
    "an array, as without alt=sse": (json.dumps([response(text("a")), ENDED]).encode(), "a", 2),
}
BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "cut": events(response(text("a"))),
    "an error": events(response(text("a")), error(500, "INTERNAL")),
    "a busy one": events(error(429, "RESOURCE_EXHAUSTED", SECRET, retry_info("34.4s"))),
    "an error as plain JSON": events(response(text("a"), finish="STOP"))
    + json.dumps(error(499, "CANCELLED"), indent=2).encode(),
    "an error in an array": json.dumps([error(503, "UNAVAILABLE")]).encode(),
    "a malformed call": events(response(text("a")), response(finish="MALFORMED_FUNCTION_CALL", finishMessage=SECRET)),
    "garbage": events(response(text("a"))) + b"data: {SECRET\r\n\r\n",
    "no object": b"data: 7\r\n\r\n",
    "a page": b"<html>SECRET</html>",
    "deep": events(response(text("a"), deep=json.loads("[" * 200 + "]" * 200), finish="STOP")),
}
ANSWERS: dict[str, bytes] = {
    "usual": json.dumps(response(text("a"), finish="STOP", usageMetadata=report())).encode(),
    "as little as can be": b'{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}',
    "a call": json.dumps(response(SIGNED_CALL, finish="STOP", usageMetadata=report())).encode(),
    "a blocked prompt": json.dumps(BLOCKED).encode(),
    "a blocked answer": json.dumps(SAFE_END).encode(),
    "only thoughts": json.dumps(
        response(finish="MAX_TOKENS", usageMetadata=report(9, 0, thoughtsTokenCount=4))
    ).encode(),
}
NO_ANSWERS: dict[str, bytes] = {
    "nothing": b"",
    "a page": b"<html>SECRET</html>",
    "no candidates": json.dumps({"candidates": [], "usageMetadata": report()}).encode(),
    "an error": json.dumps(error(500, "INTERNAL")).encode(),
    "a call of no tool": json.dumps(
        response(SIGNED_CALL, finish="UNEXPECTED_TOOL_CALL", finishMessage=SECRET)
    ).encode(),
}
ERRORS: dict[str, tuple[int, bytes]] = {
    "bad key": (400, json.dumps(error(400, "INVALID_ARGUMENT", f"API key not valid. {SECRET}")).encode()),
    "bad value": (400, json.dumps(error(400, "INVALID_ARGUMENT", f"temperature {SECRET}")).encode()),
    "later": (429, json.dumps([error(429, "RESOURCE_EXHAUSTED", SECRET, retry_info("48s"))]).encode()),
    "broken": (500, b"<html>SECRET</html>"),
}
