"""The adapter of a provider of kind `gemini` (AI Studio, by its key) or `vertex` (by an access token).

The key is in a header, never in the address. Google's texts, hosts and headers never leave this package.
"""

from urllib.parse import quote

from domain.catalog import Provider
from domain.errors import GatewayError
from providers import assembled, signals
from providers.base import ChatCall, Headers, UpstreamRequest, WholeAnswer
from providers.gemini import errors, request
from providers.gemini.decoder import GeminiDecoder
from providers.headers import headers_of

KEY_HEADER = "x-goog-api-key"


class GeminiAdapter:
    """Implements `providers.base.ChatAdapter`."""

    def __init__(self, provider: Provider, *, key_header: str = KEY_HEADER, models: str) -> None:
        """`models` is the path of the models below the base URL."""
        self._kind = provider.kind
        self._url = f"{provider.base_url.rstrip('/')}/{models}/"
        self._headers = headers_of(provider, key_header)

    def request(self, call: ChatCall) -> UpstreamRequest:
        body, dropped = request.payload(call)
        method = "streamGenerateContent?alt=sse" if call.stream else "generateContent"
        url = f"{self._url}{quote(call.model, safe='/-._')}:{method}"
        headers = {**self._headers, "Accept": "text/event-stream" if call.stream else "application/json"}
        return signals.finished(url, headers, body, signals.of(self._kind, call.capabilities), dropped=dropped)

    def answer(self, call: ChatCall, body: bytes) -> WholeAnswer:
        return assembled.decoded(GeminiDecoder(call), body)

    def decoder(self, call: ChatCall) -> GeminiDecoder:
        return GeminiDecoder(call)

    def error(self, call: ChatCall, status: int, headers: Headers, body: bytes) -> GatewayError:
        return errors.of(status, headers, body, call.body)
