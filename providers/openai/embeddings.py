"""The adapter of embeddings of a provider of kind `openai` or `openrouter`; `azure` has other addresses for it."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from domain.catalog import Provider
from domain.errors import ContextLengthExceeded, GatewayError, UpstreamError
from domain.pricing import Usage, UsageSource
from providers import fields, signals, upstream_json
from providers.base import EmbeddingCall, Embeddings, Headers, UpstreamRequest, Vector
from providers.headers import headers_of
from providers.openai import errors, unsupported, usage

ALLOWED = frozenset(
    {"input", "dimensions", "input_type", "truncate", "truncate_prompt_tokens", "add_special_tokens", "instruction"}
    | {"task", "normalized", "late_chunking"}
)
"""Fields that OpenAI documents, and the common ones of other servers."""
_OURS = ("encoding_format",)
"""Fields that this server acts on itself."""
MAX_VALUES_PER_INPUT = 16_384


class OpenAIEmbeddings:
    """Implements `providers.base.EmbeddingAdapter`."""

    def __init__(self, provider: Provider, *, referer: str = "", openrouter: bool = False) -> None:
        self._url = provider.base_url.rstrip("/") + "/embeddings"
        self._signal = signals.of("openrouter" if openrouter else provider.kind, frozenset())
        self._headers = {**headers_of(provider, referer=referer), "Accept": "application/json"}

    def request(self, call: EmbeddingCall) -> UpstreamRequest:
        body, dropped = self._payload(call)
        return signals.finished(self._address(call), self._headers, body, self._signal, dropped=dropped)

    def _address(self, call: EmbeddingCall) -> str:
        """Return where the call goes."""
        return self._url

    def _payload(self, call: EmbeddingCall) -> tuple[dict[str, Any], tuple[str, ...]]:
        given = {name: value for name, value in call.body.items() if name not in _OURS and value is not None}
        body, dropped = fields.split(given, ALLOWED, call.passes, call.drops)
        body["model"] = call.model
        if call.base64 and "encoding_format" not in call.drops:
            body["encoding_format"] = "base64"  # a fourth of the bytes; numbers are what every server answers without
        return body, dropped

    def answer(self, call: EmbeddingCall, body: bytes) -> Embeddings:
        value, _ = upstream_json.read(body, MAX_VALUES_PER_INPUT * (1 + len(call.inputs)))
        if not isinstance(value, dict):
            raise UpstreamError
        if errors.reports_failure(value) and "data" not in value:
            raise errors.within(value, call.body)
        data = value.get("data")
        if not isinstance(data, list) or not all(isinstance(each, dict) for each in data):
            raise UpstreamError
        return Embeddings([_vector(each.get("embedding")) for each in _in_order(data)], _usage(value.get("usage")))

    def error(self, call: EmbeddingCall, status: int, headers: Headers, body: bytes) -> GatewayError:
        error = errors.of(status, headers, body, call.body)
        if status in errors.OF_THE_CLIENT and not isinstance(error, ContextLengthExceeded):
            error.unsupported = unsupported.of(errors.value_of(body), call, self._payload(call)[0])
        return error


def _in_order(data: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the elements by their index. Some servers leave out the index 0, or number none of them."""
    given = [upstream_json.integer(each.get("index")) for each in data]
    indexes = list(range(len(data)))
    if not any(given):
        return data
    positions = [place if index is None and place == 0 else index for place, index in enumerate(given)]
    if sorted(positions, key=lambda index: -1 if index is None else index) != indexes:
        raise UpstreamError
    by_index = dict(zip(positions, data, strict=True))
    return [by_index[index] for index in indexes]


def _vector(value: object) -> Vector:
    if isinstance(value, list):
        return value
    if not isinstance(value, str):
        raise UpstreamError
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise UpstreamError from None


def _usage(report: object) -> Usage | None:
    """Read a report. Some vendors give the total only."""
    if not isinstance(report, Mapping):
        return None
    for name in ("prompt_tokens", "input_tokens", "total_tokens"):
        count = usage.tokens_of(report.get(name))
        if count is not None:
            return Usage(count, 0, UsageSource.PROVIDER)
    return None
