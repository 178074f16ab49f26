"""The adapter of a provider of kind `openai_responses`: writes requests, reads events and answers.

The provider gets the prompt and nothing about the caller. Its texts, hosts and headers never leave this package.
"""

from dataclasses import replace
from typing import Any

from domain.catalog import Provider
from domain.errors import GatewayError, UpstreamError
from providers import assembled, signals, upstream_json
from providers.base import ChatCall, Headers, UpstreamRequest, WholeAnswer
from providers.headers import headers_of
from providers.openai_responses import errors, native, request
from providers.openai_responses.decoder import ResponsesDecoder
from providers.openai_responses.native import WIRE, is_native


class ResponsesAdapter:
    """Implements `providers.base.ChatAdapter`."""

    def __init__(self, provider: Provider, *, referer: str = "") -> None:
        self._url = provider.base_url.rstrip("/") + "/responses"
        self._headers = headers_of(provider, referer=referer)

    def request(self, call: ChatCall) -> UpstreamRequest:
        body, dropped = _payload(call)
        headers = {**self._headers, "Accept": "text/event-stream" if call.stream else "application/json"}
        signal = signals.of(WIRE, call.capabilities)
        return signals.finished(self._url, headers, body, signal, dropped=dropped, native=is_native(call))

    def answer(self, call: ChatCall, body: bytes) -> WholeAnswer:
        decoder = ResponsesDecoder(call)
        if assembled.is_streamed(body):
            return assembled.decoded(decoder, body)
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
