"""The headers of a request on OpenAI's wire."""

from collections.abc import Mapping

from domain.catalog import Provider


def headers_of(provider: Provider, referer: str, key_header: str | None = None) -> Mapping[str, str]:
    """The catalog has made sure that they can be sent. `key_header` takes the key bare, in place of `Authorization`."""
    headers = {name: value.get_secret_value() for name, value in provider.headers.items()}
    if provider.api_key is not None:
        key = provider.api_key.get_secret_value()
        headers |= {key_header: key} if key_header else {"Authorization": f"Bearer {key}"}
    if referer:
        headers.setdefault("HTTP-Referer", referer)
    headers["Content-Type"] = "application/json"
    return headers
