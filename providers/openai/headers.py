"""The headers of a request on OpenAI's wire."""

from collections.abc import Mapping

from domain.catalog import Provider


def headers_of(provider: Provider, referer: str) -> Mapping[str, str]:
    """The catalog has made sure that they can be sent."""
    headers = {name: value.get_secret_value() for name, value in provider.headers.items()}
    if provider.api_key is not None:
        headers["Authorization"] = f"Bearer {provider.api_key.get_secret_value()}"
    if referer:
        headers.setdefault("HTTP-Referer", referer)
    headers["Content-Type"] = "application/json"
    return headers
