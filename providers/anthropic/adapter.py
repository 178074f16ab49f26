"""The adapter of a provider of kind `anthropic`: writes requests, reads events and answers.

The provider gets the prompt and nothing about the caller. Its texts, hosts and headers never leave this package.
"""

from dataclasses import replace
from typing import Any

from domain.catalog import Provider
from domain.errors import GatewayError, UpstreamError
from providers import assembled, signals, upstream_json
from providers.anthropic import errors, native, request
from providers.anthropic.decoder import WIRE, AnthropicDecoder
from providers.base import ChatCall, Headers, UpstreamRequest, WholeAnswer
from providers.headers import headers_of

VERSION_OPTION = "version"
"""The setting of a provider that names its `anthropic-version`."""
_HOUR = b'"ttl":"1h"'
"""A mark for the cache that costs more. The hold covers it if the request in OpenAI's shape has one."""


class AnthropicAdapter:
    """Implements `providers.base.ChatAdapter`."""

    def __init__(self, provider: Provider, *, referer: str = "") -> None:
        self._url = provider.base_url.rstrip("/") + "/messages"
        self._version = provider.options.get(VERSION_OPTION, request.VERSION)
        self._headers = {
            **headers_of(provider, "x-api-key", referer=referer),
            "anthropic-version": self._version,
        }

    def request(self, call: ChatCall) -> UpstreamRequest:
        headers = {**self._headers, "Accept": "text/event-stream" if call.stream else "application/json"}
        is_native = _is_native(call)
        if is_native:
            body, dropped = native.payload(call)
            if features := native.features(body):
                headers["anthropic-beta"] = features
            if _HOUR in upstream_json.written(body) and _HOUR not in upstream_json.written(call.body):
                body = native.bounded_lifetimes(body)
        else:
            body, dropped = request.payload(call, self._version)
        signal = signals.of("anthropic", call.capabilities)
        return signals.finished(self._url, headers, body, signal, dropped=dropped, native=is_native)

    def answer(self, call: ChatCall, body: bytes) -> WholeAnswer:
        decoder = AnthropicDecoder(call)
        if assembled.is_streamed(body):
            return assembled.decoded(decoder, body)
        message: Any = upstream_json.read_whole(body)
        whole = assembled.answer(decoder.answer(message, body))
        if not whole.body["choices"]:
            raise UpstreamError
        return replace(whole, native=message) if _is_native(call) else whole

    def decoder(self, call: ChatCall) -> AnthropicDecoder:
        return AnthropicDecoder(call)

    def error(self, call: ChatCall, status: int, headers: Headers, body: bytes) -> GatewayError:
        return errors.of(call, status, headers, body)


def _is_native(call: ChatCall) -> bool:
    return call.native is not None and call.native.wire == WIRE
