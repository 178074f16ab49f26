"""The adapter of a provider of kind `openai_responses`: writes requests, reads events and answers.

The provider gets the prompt and nothing about the caller. Its texts, hosts and headers never leave this package.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from domain.catalog import Provider
from domain.errors import GatewayError, UpstreamError
from providers import assembled, signals, upstream_json
from providers.base import ChatCall, Headers, ProviderEvent, UpstreamRequest, WholeAnswer
from providers.openai_responses import errors, native, request
from providers.openai_responses.decoder import ResponsesDecoder
from providers.openai_responses.native import WIRE, is_native


class ResponsesAdapter:
    """Implements `providers.base.ChatAdapter`."""

    def __init__(self, provider: Provider, *, referer: str = "") -> None:
        self._url = provider.base_url.rstrip("/") + "/responses"
        self._headers = _headers(provider, referer)

    def request(self, call: ChatCall) -> UpstreamRequest:
        body, dropped = _payload(call)
        headers = {**self._headers, "Accept": "text/event-stream" if call.stream else "application/json"}
        signal = signals.of(WIRE, call.capabilities)
        return signals.finished(self._url, headers, body, signal, dropped=dropped, native=is_native(call))

    def answer(self, call: ChatCall, body: bytes) -> WholeAnswer:
        decoder = ResponsesDecoder(call)
        if body[:64].lstrip(b" \t\r\n\xef\xbb\xbf").startswith((b"data:", b"event:", b"id:", b":")):
            return assembled.answer(_events(decoder, body))
        response: Any = upstream_json.read_whole(body)
        whole = assembled.answer(decoder.answer(response))
        if not whole.body["choices"]:
            raise UpstreamError
        return replace(whole, native=response) if is_native(call) else whole

    def decoder(self, call: ChatCall) -> ResponsesDecoder:
        return ResponsesDecoder(call)

    def error(self, call: ChatCall, status: int, headers: Headers, body: bytes) -> GatewayError:
        return errors.of(call, status, headers, body, _payload(call)[0])


def _payload(call: ChatCall) -> tuple[dict[str, Any], tuple[str, ...]]:
    return native.payload(call) if is_native(call) else request.payload(call)


def _events(decoder: ResponsesDecoder, body: bytes) -> Iterator[ProviderEvent]:
    yield from decoder.feed(body)
    yield from decoder.eof()


def _headers(provider: Provider, referer: str) -> Mapping[str, str]:
    """The catalog has made sure that they can be sent."""
    headers = {name: value.get_secret_value() for name, value in provider.headers.items()}
    if provider.api_key is not None:
        headers["Authorization"] = f"Bearer {provider.api_key.get_secret_value()}"
    if referer:
        headers.setdefault("HTTP-Referer", referer)
    headers["Content-Type"] = "application/json"
    return headers
