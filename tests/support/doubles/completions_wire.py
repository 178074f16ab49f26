"""OpenAI's text completions, as a provider answers them over HTTP. The model's name chooses its faults."""

import json
from collections.abc import Iterator
from typing import Any

SECRET = "SECRET upstream text about your prompt"
TEXT = (" there", " was", " one")
USAGE = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}
STATUSES = {"text-busy": 429, "text-broken": 500}
MODELS = ("text", "text-unmetered", "text-garbled", "text-cut", *STATUSES)


def prompts_of(body: dict[str, Any]) -> list[Any]:
    given = body["prompt"]
    return given if isinstance(given, list) and not isinstance(given[0], int) else [given]


def _choices(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "text": _text(body, prompt),
            "index": place * (body.get("n") or 1) + n,
            **_beside(body),
            "finish_reason": _end(body),
        }
        for place, prompt in enumerate(prompts_of(body))
        for n in range(body.get("n") or 1)
    ]


def _text(body: dict[str, Any], prompt: Any) -> str:
    written = "" if body["max_tokens"] == 0 else "".join(TEXT)
    return f"{prompt}{written}" if body.get("echo") else written


def _end(body: dict[str, Any]) -> str:
    return "length" if body["max_tokens"] < len(TEXT) else "stop"


def _beside(body: dict[str, Any]) -> dict[str, Any]:
    if body.get("logprobs") is None:
        return {"logprobs": None}
    count = len(TEXT)
    top = [{token: -0.5} for token in TEXT]
    offsets = [sum(map(len, TEXT[:n])) for n in range(count)]
    return {
        "logprobs": {"tokens": [*TEXT], "token_logprobs": [-0.5] * count, "top_logprobs": top, "text_offset": offsets}
    }


def whole(body: dict[str, Any]) -> tuple[int, Any]:
    """Return the status and the body."""
    model = body["model"]
    if model in STATUSES:
        return STATUSES[model], {"error": {"message": SECRET, "type": "x", "param": None, "code": "y"}}
    if model in ("text-garbled", "text-cut"):
        return 200, {
            "object": "text_completion",
            "choices": [{"index": 0} | ({"text": 7} if model != "text-cut" else {})],
        }
    usage = None if model == "text-unmetered" else USAGE
    frame = {"id": "cmpl-upstream", "object": "text_completion", "created": 1, "model": model}
    return 200, {**frame, "choices": _choices(body), "usage": usage, "service_host": SECRET}


def events(body: dict[str, Any]) -> Iterator[bytes]:
    frame = {"id": "cmpl-upstream", "object": "text_completion", "created": 1, "model": body["model"]}
    for choice in _choices(body):
        text, shown = choice["text"], 0
        while shown < len(text):
            part = {**choice, "text": text[shown : shown + 4], "logprobs": None, "finish_reason": None}
            shown += 4
            yield _event({**frame, "choices": [part]})
        if body["model"] == "text-cut":
            return
        yield _event({**frame, "choices": [{**choice, "text": ""}]})
    if body["model"] != "text-unmetered":
        yield _event({**frame, "choices": [], "usage": USAGE})
    yield b"data: [DONE]\n\n"


def _event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"
