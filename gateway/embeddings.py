"""Embeddings: what a request may cost, and the answer in the form that its client wants, whatever the provider gave."""

import base64
import math
import struct
from array import array
from collections.abc import Mapping
from typing import Any

import orjson

from domain import tokens
from domain.catalog import Modality, Model
from domain.errors import ContextLengthExceeded, RequestInvalid, UpstreamError
from domain.pricing import Usage
from domain.tokens import CountText, InputTokens
from gateway.wire import CompletedAnswer, EmbeddingRequest, Head, ModelCall
from providers.base import Embeddings, Vector

MAX_TOKENS = 300_000
"""Of all inputs of one request together, as at OpenAI."""
MAX_ANSWER_BYTES = 96 * 1024 * 1024
_TEXTS = (str, list, dict)
_NO_PROMPT = frozenset({"model", "input", "encoding_format", "dimensions", "user", "metadata"})
_NOTHING: Mapping[str, Any] = {}
ANSWER_BYTES_PER_INPUT = 128 * 1024
"""The most bytes of one vector in an answer: 4,096 numbers of up to 25 characters, with white space."""

USUAL_DIMENSIONS = 1536
"""Of the vectors of a model that has answered nothing yet."""
BASE64_BYTES, TEXT_BYTES = 6, 20
"""Of one number in an answer."""


def require_modality(model: Model, request: ModelCall) -> None:
    """Raise `RequestInvalid` for a model that does not make what the request asks for."""
    if request.embedding is not None and model.modality is not Modality.EMBEDDING:
        raise RequestInvalid(
            f"The model '{model.id}' makes {model.modality}, no embeddings. GET /v1/models lists the models of the "
            "modality embedding.",
            param="model",
        )
    if request.embedding is None and model.modality is Modality.EMBEDDING:
        raise RequestInvalid(
            f"The model '{model.id}' does not chat: it makes embeddings. POST /v1/embeddings takes it.", param="model"
        )


def input_tokens(
    request: EmbeddingRequest, model: Model, count: CountText, beside: Mapping[str, Any] = _NOTHING
) -> InputTokens:
    """Count all inputs. Raises `ContextLengthExceeded` that names one which does not fit into the model's window.

    `beside` is the body: a text in it, such as an instruction, may be read before each input.
    """
    each = tokens.of_inputs(request.inputs, count)
    texts = [value for name, value in beside.items() if name not in _NO_PROMPT and isinstance(value, _TEXTS)]
    before = sum(tokens.bound_of(value, count) for value in texts)
    window = model.context_window
    for place, counted in enumerate(each):
        if window is not None and counted.least > window:
            where = "input" if len(each) == 1 else f"input[{place}]"
            raise ContextLengthExceeded(
                f"'{where}' has about {counted.count} tokens; this model reads {window} tokens of each input "
                "(context_length_exceeded)."
            )
    total = InputTokens(
        sum(counted.count for counted in each),
        sum(counted.bound + before for counted in each),
        sum(counted.least for counted in each),
        max(counted.count for counted in each),
    )
    if total.least > MAX_TOKENS:
        raise ContextLengthExceeded(
            f"'input' has about {total.count} tokens; a request may have {MAX_TOKENS}. Send it in several requests "
            "(context_length_exceeded)."
        )
    return total


def max_answer_bytes(request: EmbeddingRequest) -> int:
    return min(MAX_ANSWER_BYTES, (1 + len(request.inputs)) * ANSWER_BYTES_PER_INPUT)


def expected_answer_bytes(request: EmbeddingRequest, dimensions: int = USUAL_DIMENSIONS) -> int:
    """Return what the vectors take, where the model makes those of so many dimensions by itself."""
    numbers = len(request.inputs) * (request.dimensions or dimensions)
    return min(numbers * (BASE64_BYTES if request.base64 else TEXT_BYTES), max_answer_bytes(request))


def completed(head: Head, embeddings: Embeddings, usage: Usage) -> CompletedAnswer:
    """Write the answer. Raises `UpstreamError` for vectors that are not those of the request."""
    request = head.request.embedding
    assert request is not None  # noqa: S101  # only a request for embeddings has such an answer
    if len(embeddings.vectors) != len(request.inputs):
        raise UpstreamError
    write = _as_base64 if request.base64 else _as_numbers
    data = [
        {"object": "embedding", "index": index, "embedding": write(vector)}
        for index, vector in enumerate(embeddings.vectors)
    ]
    _check_sizes({size(vector) for vector in embeddings.vectors}, request)
    body: Mapping[str, Any] = {
        "object": "list",
        "data": data,
        "model": head.request.model,
        "usage": {"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens},
        "id": head.id,
        "created": head.created,
    }
    return CompletedAnswer(dict(body), orjson.dumps(body))


def size(vector: Vector) -> int:
    """Return its dimensions."""
    return len(vector) // 4 if isinstance(vector, bytes) else len(vector)


def _check_sizes(sizes: set[int], request: EmbeddingRequest) -> None:
    if len(sizes) != 1 or 0 in sizes:
        raise UpstreamError
    if request.dimensions is not None and request.dimensions not in sizes:
        raise RequestInvalid(
            "The provider of this model does not make vectors of so many 'dimensions'. Nothing was charged.",
            param="dimensions",
            code="unsupported_parameter",
        )


def _as_base64(vector: Vector) -> str:
    if not isinstance(vector, bytes):
        try:
            vector = struct.pack(f"<{len(vector)}f", *vector)
        except (struct.error, OverflowError):
            raise UpstreamError from None
    _numbers(vector)
    return base64.b64encode(vector).decode()


def _as_numbers(vector: Vector) -> list[float]:
    if isinstance(vector, bytes):
        return _numbers(vector)
    try:
        _require_finite(sum(array("d", vector)))
    except (TypeError, OverflowError):
        raise UpstreamError from None
    return vector


def _numbers(vector: bytes) -> list[float]:
    try:
        numbers = list(struct.unpack(f"<{len(vector) // 4}f", vector))
    except struct.error:
        raise UpstreamError from None
    _require_finite(sum(numbers))
    return numbers


def _require_finite(total: float) -> None:
    """A sum is finite if all of its numbers are, and of numbers of 32 bits only then."""
    if not math.isfinite(total):
        raise UpstreamError
