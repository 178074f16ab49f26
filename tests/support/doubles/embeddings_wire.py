"""OpenAI's embeddings, as a provider answers them over HTTP. The model's name chooses its faults."""

import base64
import struct
from typing import Any

SECRET = "SECRET upstream text about your input"
PROMPT_TOKENS = 1000
USAGE = {"prompt_tokens": PROMPT_TOKENS, "total_tokens": PROMPT_TOKENS}
STATUSES = {"embed-busy": 429, "embed-broken": 500, "embed-lost": 404}
FAULTS = (
    *("embed-fewer", "embed-more", "embed-garbled", "embed-cut", "embed-empty", "embed-uneven", "embed-text"),
    *("embed-infinite", "embed-twice", "embed-page", "embed-error-inside", "embed-no-data"),
)
"""Answers with status 200 that are none."""
USAGES: dict[str, Any] = {
    "embed-unmetered": None,
    "embed-absurd": {"prompt_tokens": 10**12, "total_tokens": 10**12},
    "embed-negative": {"prompt_tokens": -4, "total_tokens": -4},
    "embed-total": {"total_tokens": 7},
    "embed-above": {"prompt_tokens": 8193, "total_tokens": 8193},
}
MODELS = ("embed", "embed-numbers", "embed-picky", "embed-backwards", "embed-unnumbered", *STATUSES, *FAULTS, *USAGES)


def inputs_of(body: dict[str, Any]) -> list[Any]:
    given = body["input"]
    return given if isinstance(given, list) and not isinstance(given[0], int) else [given]


def vector(given: Any, size: int = 4) -> list[float]:
    """Numbers that 32 bits hold exactly, and that tell what they are of."""
    return [len(given) / 8, *[0.5] * (size - 1)]


def packed(numbers: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def answer(body: dict[str, Any]) -> tuple[int, Any]:
    """Return the status and the body: JSON, or a text."""
    model = body["model"]
    if model in STATUSES:
        return STATUSES[model], {"error": {"message": SECRET, "type": "x", "param": None, "code": "y"}}
    if model == "embed-picky" and "encoding_format" in body:
        error = {"message": f"Unknown parameter: encoding_format. {SECRET}", "param": "encoding_format"}
        return 400, {"error": error | {"code": "unknown_parameter"}}
    if model == "embed-page":
        return 200, f"<html>{SECRET}</html>"
    if model == "embed-error-inside":
        return 200, {"error": {"message": SECRET}}
    as_text = body.get("encoding_format") == "base64" and model != "embed-numbers"
    data = [_element(each, place, body, as_text=as_text) for place, each in enumerate(inputs_of(body))]
    usage = USAGES.get(model, USAGE)
    listed = {"object": "list", "data": _faulty(model, data), "model": model, "usage": usage}
    return 200, {"object": "list", "usage": USAGE} if model == "embed-no-data" else listed


def _element(given: Any, place: int, body: dict[str, Any], *, as_text: bool) -> dict[str, Any]:
    numbers = vector(given, body.get("dimensions") or 4)
    return {"object": "embedding", "index": place, "embedding": packed(numbers) if as_text else numbers}


def _faulty(model: str, data: list[dict[str, Any]]) -> list[dict[str, Any]]:
    first = data[0]
    match model:
        case "embed-backwards":
            return data[::-1]
        case "embed-unnumbered":
            return [{"embedding": each["embedding"]} for each in data]
        case "embed-fewer":
            return data[:-1]
        case "embed-more":
            return [*data, {**first, "index": len(data)}]
        case "embed-twice":
            return [{**each, "index": 1} for each in data]
        case "embed-uneven":
            return [*data[:-1], {**data[-1], "embedding": [1.0]}]
    broken = {
        "embed-garbled": "%%%not base64%%%",
        "embed-cut": packed([1.0, 2.0])[:-4],
        "embed-empty": [],
        "embed-text": [SECRET, "1"],
        "embed-infinite": packed([float("inf"), float("nan")]),
    }
    return [{**first, "embedding": broken[model]}, *data[1:]] if model in broken else data


def gemini_answer(model: str, body: dict[str, Any]) -> tuple[int, Any]:
    """The same as Google answers it."""
    if model == "embed-busy":
        return 429, {"error": {"code": 429, "message": SECRET, "status": "RESOURCE_EXHAUSTED"}}
    vectors = [
        {"values": vector(each["content"]["parts"][0]["text"], each.get("outputDimensionality") or 4)}
        for each in body["requests"]
    ]
    usage = {"usageMetadata": {"promptTokenCount": PROMPT_TOKENS}} if model == "embed-metered" else {}
    return 200, {"embeddings": vectors[:-1] if model == "embed-fewer" else vectors} | usage
