"""Answers with whole pages, and the headers that keep them from doing anything else."""

import gzip
from collections.abc import Mapping
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from web import assets

_FOR_EVER = "public, max-age=31536000, immutable"
HTML = "text/html; charset=utf-8"
STILL = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""The policy of a page without scripts and forms."""
LIVE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; require-trusted-types-for 'script'; trusted-types yout-code"
)
"""The policy of the web app's pages: their own scripts and forms, no script in their text, and no other host."""
GUARDS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": (
        "accelerometer=(), autoplay=(self), camera=(), display-capture=(), encrypted-media=(), fullscreen=(self), "
        "geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()"
    ),
}
"""Headers of every page."""
UNLISTED = {
    "x-robots-tag": "noindex, nofollow, noarchive, nosnippet",
    "cache-control": "private, no-store",
}
"""Headers of a page that nobody but its readers should find or keep."""
STILL_PAGE = {"content-security-policy": STILL} | GUARDS | UNLISTED
"""Headers of a page that has no scripts and that nobody indexes or keeps."""


def policy(media_origin: str) -> str:
    """Return the policy of a page that shows pictures and films of one more origin: the operator's object store."""
    own = ("img-src 'self' blob:", "media-src 'self' blob:")
    written = LIVE
    for directive in own if media_origin else ():
        written = written.replace(directive, f"{directive} {media_origin}")
    return written


def live(
    content: str | bytes, *, status: int = 200, secret: bool = False, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a page of the web app. It is its reader's own; a `secret` one is kept by no browser."""
    caching = "no-store" if secret or status >= HTTPStatus.BAD_REQUEST else "private, no-cache"
    own = {"content-security-policy": LIVE, "cache-control": caching, "vary": "cookie"}
    written = content.encode(errors="replace") if isinstance(content, str) else content  # forms may have halves
    return Response(written, status, own | GUARDS | dict(headers or {}), HTML)


def answer(content: str | bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(content, status, STILL_PAGE | dict(headers or {}), HTML)


def takes_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


def asset(request: Request) -> Response | None:
    """Return the answer to a request for a static file. None if there is no such file.

    The version of another release gets the present file, for the moment in which both are running.
    """
    known = assets.load()
    file = known.files.get(request.path_params["name"])
    if file is None:
        return None
    current = request.path_params["version"] == known.version
    headers = {
        "cache-control": _FOR_EVER if current else "no-cache",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
        "content-security-policy": "default-src 'none'",
        "vary": "accept-encoding",
    }
    content = file.content
    if file.packed is not None and takes_gzip(request):
        content, headers["content-encoding"] = file.packed, "gzip"
    return Response(content, headers=headers, media_type=file.content_type)


def packed(response: Response, request: Request) -> Response:
    """Return the answer with gzip, if the browser takes it. One with a secret is not compressed: RFC 9110, 17.6."""
    secret = response.headers.get("cache-control") == "no-store"
    if isinstance(response, StreamingResponse):
        return response
    if secret or not response.body or not takes_gzip(request) or "content-encoding" in response.headers:
        return response
    response.body = gzip.compress(bytes(response.body), compresslevel=5, mtime=0)
    response.headers["content-encoding"] = "gzip"
    response.headers["content-length"] = str(len(response.body))
    response.headers.append("vary", "accept-encoding")
    return response
