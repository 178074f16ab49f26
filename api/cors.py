"""CORS: pages of other origins may call `/v1/*` and `/api/*` with a key of their user.

Only a key in a header identifies a caller there, so every origin is allowed, and never with the browser's credentials
(cookies). `YOUT_CORS_ORIGINS` narrows the origins.

Pages of every origin may read an output by its signed link.
"""

from collections.abc import Iterable, Iterator, Sequence

Headers = list[tuple[bytes, bytes]]

METHODS = b"GET, HEAD, POST, PATCH, PUT, DELETE, OPTIONS"
EXPOSED = (
    *("allow", "location", "retry-after", "retry-after-ms", "x-request-id", "x-should-retry", "idempotent-replayed"),
    *("x-yout-balance", "x-yout-credits-charged", "x-yout-dropped-parameters", "x-yout-key-expires"),
    *("x-yout-job-id", "x-yout-privacy-class", "x-yout-route", "openai-poll-after-ms"),
    *("accept-ranges", "content-disposition", "content-length", "content-range", "etag"),
    *(f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")),
)
"""Headers of an answer that a page may read."""
_EXPOSED = ", ".join(EXPOSED).encode()
_MAX_AGE_SECONDS = b"7200"


class Cors:
    """The allowed origins, and the headers for them."""

    def __init__(self, origins: Sequence[str] = ("*",), codec_origins: Sequence[str] | None = None) -> None:
        """`codec_origins`: of Temporal's UI, for the codec alone."""
        self._any = "*" in origins
        self._origins = frozenset(origin.rstrip("/").encode() for origin in origins)
        self.of_codec = None if codec_origins is None else Cors(codec_origins)

    def headers(self, request: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        """Give the CORS headers for an answer, errors included."""
        if self._any:
            yield b"access-control-allow-origin", b"*"
        else:
            yield b"vary", b"origin"
            origin = _value(request, b"origin")
            if origin not in self._origins or origin is None:
                return
            yield b"access-control-allow-origin", origin
        yield b"access-control-expose-headers", _EXPOSED

    def preflight(self, request: Headers) -> Headers | None:
        """Return the headers of the answer to a preflight, beside those of `headers`. None for any other request."""
        if _value(request, b"origin") is None or _value(request, b"access-control-request-method") is None:
            return None
        wanted = _value(request, b"access-control-request-headers")
        answer = [
            (b"access-control-allow-methods", METHODS),
            (b"access-control-max-age", _MAX_AGE_SECONDS),
            (b"vary", b"access-control-request-headers"),
        ]
        return [*answer, (b"access-control-allow-headers", wanted)] if wanted else answer


_PUBLIC = Cors()


def of_path(path: str, api: Cors) -> Cors | None:
    """Return the rules of a path: `api`, all origins for outputs, Temporal's UI for the codec. None for any other."""
    if path.startswith(("/v1/", "/api/")):
        return api
    if path.startswith("/codec/"):
        return api.of_codec
    return _PUBLIC if path.startswith("/media/") else None


def _value(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> bytes | None:
    return next((value for name, value in headers if name == wanted), None)
