"""The adapter of a provider of kind `openai` or `openrouter`: writes requests, reads events and answers.

The provider gets the prompt and nothing about the caller. Its texts, hosts and headers never leave this package.
"""

from typing import Any

from domain.catalog import Capability, Provider
from domain.errors import ContextLengthExceeded, GatewayError
from providers import assembled, signals, upstream_json
from providers.base import ChatCall, Headers, StreamDecoder, UpstreamRequest, WholeAnswer
from providers.headers import headers_of
from providers.openai import completions, errors, request, think_tags, unsupported, whole
from providers.openai.completions import CompletionsDecoder
from providers.openai.decoder import OpenAIDecoder


class OpenAIAdapter:
    """Implements `providers.base.ChatAdapter`."""

    def __init__(self, provider: Provider, *, referer: str = "", openrouter: bool = False) -> None:
        self._base = provider.base_url.rstrip("/")
        self._kind = "openrouter" if openrouter else provider.kind
        self._renames = provider.renames
        self._headers = headers_of(provider, referer=referer)

    def request(self, call: ChatCall) -> UpstreamRequest:
        native = completions.is_native(call)
        body, dropped = self._payload(call)
        headers = {**self._headers, "Accept": "text/event-stream" if call.stream else "application/json"}
        url = self._address(call, "completions" if native else "chat/completions")
        signal = signals.of(self._kind, frozenset() if native else call.capabilities)  # completions have no `store`
        return signals.finished(url, headers, body, signal, dropped=dropped, native=native)

    def _payload(self, call: ChatCall) -> tuple[dict[str, Any], tuple[str, ...]]:
        if completions.is_native(call):
            return completions.payload(call)
        return request.payload(call, self._renames, openrouter=self._kind == "openrouter")

    def _address(self, call: ChatCall, endpoint: str) -> str:
        return f"{self._base}/{endpoint}"

    def answer(self, call: ChatCall, body: bytes) -> WholeAnswer:
        if assembled.is_streamed(body):
            return assembled.decoded(self.decoder(call), body)
        if completions.is_native(call):
            return completions.answer(call, upstream_json.read_whole(body))
        answer = whole.answer(call, upstream_json.read_whole(body))
        return think_tags.split(answer) if Capability.THINK_TAGS in call.capabilities else answer

    def decoder(self, call: ChatCall) -> StreamDecoder:
        if completions.is_native(call):
            return CompletionsDecoder(call)
        decoder = OpenAIDecoder(call)
        return think_tags.ThinkTags(decoder) if Capability.THINK_TAGS in call.capabilities else decoder

    def error(self, call: ChatCall, status: int, headers: Headers, body: bytes) -> GatewayError:
        native = call.native.body if call.native is not None and completions.is_native(call) else None
        error = errors.of(status, headers, body, call.body if native is None else native)
        if status in errors.OF_THE_CLIENT and not isinstance(error, ContextLengthExceeded):
            error.unsupported = unsupported.of(errors.value_of(body), call, self._payload(call)[0])
        return error
