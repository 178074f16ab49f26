"""The adapter of a provider of kind `gemini` (AI Studio, by its key) or `vertex` (by an access token).

The key is in a header, never in the address. Google's texts, hosts and headers never leave this package.
"""

from collections.abc import Iterator
from urllib.parse import quote

from domain.catalog import Provider
from domain.errors import GatewayError
from providers import assembled, signals
from providers.base import ChatCall, Headers, ProviderEvent, UpstreamRequest, WholeAnswer
from providers.gemini import errors, request
from providers.gemini.decoder import GeminiDecoder


class GeminiAdapter:
    """Implements `providers.base.ChatAdapter`."""

    def __init__(
        self, provider: Provider, *, key_header: str = "x-goog-api-key", prefix: str = "", models: str
    ) -> None:
        """`models` is the path of the models below the base URL. `prefix` comes before the key in its header."""
        self._kind = provider.kind
        self._url = f"{provider.base_url.rstrip('/')}/{models}/"
        self._headers = {name: value.get_secret_value() for name, value in provider.headers.items()}
        if provider.api_key is not None and key_header:
            self._headers[key_header] = prefix + provider.api_key.get_secret_value()
        self._headers["Content-Type"] = "application/json"

    def request(self, call: ChatCall) -> UpstreamRequest:
        body, dropped = request.payload(call)
        method = "streamGenerateContent?alt=sse" if call.stream else "generateContent"
        url = f"{self._url}{quote(call.model, safe='/-._')}:{method}"
        headers = {**self._headers, "Accept": "text/event-stream" if call.stream else "application/json"}
        return signals.finished(url, headers, body, signals.of(self._kind, call.capabilities), dropped=dropped)

    def answer(self, call: ChatCall, body: bytes) -> WholeAnswer:
        return assembled.answer(_events(GeminiDecoder(call), body))

    def decoder(self, call: ChatCall) -> GeminiDecoder:
        return GeminiDecoder(call)

    def error(self, call: ChatCall, status: int, headers: Headers, body: bytes) -> GatewayError:
        return errors.of(status, headers, body, call.body)


def _events(decoder: GeminiDecoder, body: bytes) -> Iterator[ProviderEvent]:
    yield from decoder.feed(body)
    yield from decoder.eof()
