"""The headers of requests to providers of every kind."""

from domain.catalog import Provider


def headers_of(provider: Provider, key_header: str = "Authorization", *, referer: str = "") -> dict[str, str]:
    """Return what each request has. The key is a bearer token in `Authorization`, and bare in any other header.

    Without a `key_header` the transport authorizes requests. The catalog has made sure that all of them can be sent.
    """
    headers = {name: value.get_secret_value() for name, value in provider.headers.items()}
    if provider.api_key is not None and key_header:
        key = provider.api_key.get_secret_value()
        headers[key_header] = f"Bearer {key}" if key_header == "Authorization" else key
    if referer:
        headers.setdefault("HTTP-Referer", referer)
    headers["Content-Type"] = "application/json"
    return headers
