"""Gemini's embeddings at AI Studio: `batchEmbedContents`, which takes texts only, and often reports no usage."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from domain.catalog import Provider
from domain.errors import GatewayError, RequestInvalid, UpstreamError
from domain.pricing import Usage, UsageSource
from providers import fields, signals, upstream_json
from providers.base import EmbeddingCall, Embeddings, Headers, UpstreamRequest, Vector
from providers.gemini import errors
from providers.gemini.adapter import KEY_HEADER
from providers.headers import headers_of
from providers.openai.usage import tokens_of

MAX_INPUTS = 100
"""Of one batch."""
MAX_VALUES_PER_INPUT = 16_384
_TRANSLATED = frozenset({"input", "dimensions", "input_type", "encoding_format"})
_TASKS = {
    "query": "RETRIEVAL_QUERY",
    "search_query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "passage": "RETRIEVAL_DOCUMENT",
    "search_document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}
"""What other vendors call `input_type`, and Google `taskType`."""


class GeminiEmbeddings:
    """Implements `providers.base.EmbeddingAdapter`."""

    def __init__(self, provider: Provider) -> None:
        self._url = f"{provider.base_url.rstrip('/')}/models/"
        self._headers = {**headers_of(provider, KEY_HEADER), "Accept": "application/json"}

    def request(self, call: EmbeddingCall) -> UpstreamRequest:
        given = {name: value for name, value in call.body.items() if value is not None}
        sent, dropped = fields.split(given, _TRANSLATED, drops=call.drops)
        beside: dict[str, Any] = {}
        if call.dimensions is not None:
            beside["outputDimensionality"] = call.dimensions
        kind = sent.get("input_type")
        if kind is not None:
            if not isinstance(kind, str) or kind.lower() not in _TASKS:
                raise RequestInvalid(f"'input_type' must be one of {', '.join(_TASKS)}.", param="input_type")
            beside["taskType"] = _TASKS[kind.lower()]
        model = f"models/{call.model}"
        requests = [{"model": model, "content": {"parts": [{"text": text}]}, **beside} for text in _texts(call)]
        url = f"{self._url}{quote(call.model, safe='-._')}:batchEmbedContents"
        return signals.finished(url, self._headers, {"requests": requests}, signals.NONE, dropped=dropped)

    def answer(self, call: EmbeddingCall, body: bytes) -> Embeddings:
        value, _ = upstream_json.read(body, MAX_VALUES_PER_INPUT * (1 + len(call.inputs)))
        if not isinstance(value, dict):
            raise UpstreamError
        if errors.reports_failure(value):
            raise errors.within(value, call.body)
        listed = value.get("embeddings")
        if not isinstance(listed, list):
            raise UpstreamError
        return Embeddings([_vector(each) for each in listed], _usage(value.get("usageMetadata")))

    def error(self, call: EmbeddingCall, status: int, headers: Headers, body: bytes) -> GatewayError:
        return errors.of(status, headers, body, call.body)


def _texts(call: EmbeddingCall) -> list[str]:
    texts = [given for given in call.inputs if isinstance(given, str)]
    if len(texts) < len(call.inputs):
        raise RequestInvalid(
            "The provider of this model takes texts, no tokens, as 'input'.",
            param="input",
            code="unsupported_parameter",
        )
    if len(texts) > MAX_INPUTS:
        raise RequestInvalid(
            f"The provider of this model takes at most {MAX_INPUTS} elements of 'input'.", param="input"
        )
    return texts


def _vector(element: object) -> Vector:
    values = element.get("values") if isinstance(element, Mapping) else None
    if not isinstance(values, list):
        raise UpstreamError
    return values


def _usage(report: object) -> Usage | None:
    count = tokens_of(report.get("promptTokenCount")) if isinstance(report, Mapping) else None
    return None if count is None else Usage(count, 0, UsageSource.PROVIDER)
