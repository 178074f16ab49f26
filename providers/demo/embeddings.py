"""Demo embeddings: a text's words and letter groups, hashed into a vector of length 1. Similar texts are near."""

import base64
import math
import re
import struct
import zlib
from collections.abc import Iterable
from typing import Any

from domain.errors import RequestInvalid, UpstreamError, UpstreamRefused
from providers.demo import tokens

MODELS = frozenset({"embedding", "embedding-fail"})
DIMENSIONS = 512
_WORD = re.compile(r"\w+")
_WHOLE_WORD, _PART = 2.0, 1.0
"""The weights of a word, and of each group of three letters in it."""

Features = Iterable[tuple[str, float]]


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """Answer as OpenAI does. Raises what the provider would answer with an error."""
    if body["model"] not in MODELS:
        raise UpstreamRefused("The provider does not know this model.")
    if body["model"] == "embedding-fail":
        raise UpstreamError
    given, dimensions = body["input"], body.get("dimensions") or DIMENSIONS
    if dimensions > DIMENSIONS:
        raise RequestInvalid(f"'dimensions' must be between 1 and {DIMENSIONS}.", param="dimensions")
    several = isinstance(given, list) and not isinstance(given[0], int)
    inputs = given if several else [given]
    packed = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _written(vector(each, dimensions), packed=packed)}
        for index, each in enumerate(inputs)
    ]
    count = sum(_count(each) for each in inputs)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


def vector(given: str | list[int], dimensions: int = DIMENSIONS) -> list[float]:
    """Return a vector of length 1. A shorter one is the beginning of the longest, made as long again."""
    sums = [0.0] * DIMENSIONS
    for feature, weight in _of_text(given) if isinstance(given, str) else _of_tokens(given):
        hashed = zlib.crc32(feature.encode("utf-8", "replace"))
        sums[hashed % DIMENSIONS] += weight if hashed & 0x8000_0000 else -weight
    begun = sums[:dimensions]
    length = math.sqrt(sum(number * number for number in begun))
    return [number / length for number in begun] if length else [1.0, *begun[1:]]


def _of_text(text: str) -> Features:
    for word in _WORD.findall(text.lower()):
        yield word, _WHOLE_WORD
        framed = f" {word} "
        for at in range(len(framed) - 2):
            yield framed[at : at + 3], _PART


def _of_tokens(ids: list[int]) -> Features:
    return ((f"#{token}", 1.0) for token in ids)


def _count(given: str | list[int]) -> int:
    return max(1, len(tokens.split(given))) if isinstance(given, str) else len(given)


def _written(numbers: list[float], *, packed: bool) -> str | list[float]:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode() if packed else numbers
