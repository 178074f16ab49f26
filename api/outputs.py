"""`GET /media/<object>`: serves a finished output to every caller with a signed link."""

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Scope

from api import errors
from api.wire.base import ErrorAnswer
from domain.errors import LinkInvalid, NotFound
from domain.signed_urls import SignedUrls
from storage.base import Storage, Stored

INLINE = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/webp",
        "image/gif",
        "video/mp4",
        "video/webm",
        "audio/mpeg",
        "audio/wav",
        "audio/ogg",
        "audio/flac",
        "audio/aac",
        "audio/mp4",
    }
)
"""Content types that a browser may show. Any other file is a download of type `application/octet-stream`."""

MAX_CACHE_SECONDS = 300

# Exactly the query that we sign, in this order, with nothing added.
_QUERY = re.compile(r"exp=([0-9]{1,11})&sig=([A-Za-z0-9_-]{43})")
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")

_GUARDS = {
    "x-content-type-options": "nosniff",
    # The last three let a browser show the file in its own viewer, which is a page around the file.
    "content-security-policy": (
        "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"
    ),
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex",
}

_ELSEWHERE = {"cache-control": "no-store", "referrer-policy": "no-referrer", "x-robots-tag": "noindex"}

_ANSWERS: dict[int | str, dict[str, object]] = {
    200: {"description": "The whole file", "content": {"application/octet-stream": {}}},
    206: {"description": "The range that was asked for", "content": {"application/octet-stream": {}}},
    302: {"description": "The file is read at the object store, where the operator wants that"},
    403: {"description": "The link is not valid, or no longer"},
    404: {"description": "The output is gone"},
    416: {"description": "The range lies outside of the file"},
}


@dataclass(frozen=True, slots=True)
class Outputs:
    """The storage of outputs, and the checks of their links."""

    storage: Storage
    urls: SignedUrls
    live: Callable[[str], Awaitable[bool]]
    """Tells whether the object may still be served: a link ends when the output expires, before its file is deleted."""
    link: Callable[[str, timedelta], Awaitable[str | None]] | None = None
    """Makes a link of the object store for at most a time, where outputs are read there. None: they are read here."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Span:
    """The bytes to send: `start` inclusive, `end` exclusive."""

    start: int
    end: int
    partial: bool


def router(outputs: Callable[[Request], Outputs]) -> APIRouter:
    """Return the route. `outputs` is called per request, because its resources exist only after the start."""
    routes = APIRouter(tags=["media"])

    async def serve(request: Request) -> Response:
        return await _serve(request, outputs(request))

    path = "/media/{object:path}"
    routes.add_api_route(path, serve, methods=["HEAD"], include_in_schema=False)
    routes.add_api_route(
        path,
        serve,
        methods=["GET"],
        summary="The output behind a signed link",
        response_class=Response,
        responses=_ANSWERS,
        openapi_extra={"parameters": [_parameter("object", "path"), _parameter("exp"), _parameter("sig")]},
    )
    return routes


def _parameter(name: str, location: str = "query") -> dict[str, object]:
    return {"name": name, "in": location, "required": True, "schema": {"type": "string"}}


async def _serve(request: Request, outputs: Outputs) -> Response:
    key = str(request.path_params["object"])
    now = outputs.clock()
    expires_at = _permitted(request, outputs.urls, key, now)
    stored = await outputs.storage.head(key) if await outputs.live(key) else None
    if stored is None:
        raise NotFound("There is no such output, or no longer.")
    if elsewhere := await _elsewhere(request, outputs, stored, expires_at - now):
        return Response(status_code=302, headers=_ELSEWHERE | {"location": elsewhere})
    return answer(request, outputs.storage, stored, min(MAX_CACHE_SECONDS, int((expires_at - now).total_seconds())))


def answer(request: Request, storage: Storage, stored: Stored, max_age: int = 0) -> Response:
    """Answer with the file, or with the range of it that was asked for."""
    headers = _headers(stored, max_age)
    if _matches(request.headers.get("if-none-match"), headers["etag"]):
        return Response(status_code=304, headers=headers)
    span = _span(request, stored, headers["etag"])
    if span is None:
        return _unsatisfiable(stored, request.scope)
    return _bytes(request, storage, stored, span, headers)


async def _elsewhere(request: Request, outputs: Outputs, stored: Stored, left: timedelta) -> str | None:
    """Return where the file is read, if not here. Only what a browser may show: of the rest we make it a download."""
    if outputs.link is None or request.method != "GET" or stored.content_type not in INLINE:
        return None
    return await outputs.link(stored.key, left)


def _permitted(request: Request, urls: SignedUrls, key: str, now: datetime) -> datetime:
    signed = _QUERY.fullmatch(request.url.query)
    if signed is None:
        raise LinkInvalid
    return urls.check(key, signed[1], signed[2], now)


def _headers(stored: Stored, max_age: int) -> dict[str, str]:
    inline = stored.content_type in INLINE
    name = "-".join(stored.key.split("/")[-2:])
    written = f"{stored.key}\n{stored.version}\n{stored.bytes}"
    return _GUARDS | {
        "content-type": stored.content_type if inline else "application/octet-stream",
        "content-disposition": f'{"inline" if inline else "attachment"}; filename="{name}"',
        "cache-control": f"private, max-age={max_age}",
        "accept-ranges": "bytes",
        "etag": f'"{hashlib.sha256(written.encode()).hexdigest()[:32]}"',
    }


def _matches(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    return header.strip() == "*" or etag in {tag.strip().removeprefix("W/") for tag in header.split(",")}


def _span(request: Request, stored: Stored, etag: str) -> _Span | None:
    """Return the requested range, else the whole. None if the range is outside of the object.

    A malformed range, several ranges, and a range of another version are ignored, as a server may do.
    """
    whole = _Span(0, stored.bytes, partial=False)
    requested = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if request.method != "GET" or requested is None or request.headers.get("if-range", etag) != etag:
        return whole
    first, last = requested[1], requested[2]
    if not first and not last:
        return whole
    if not first:
        start, end = max(0, stored.bytes - int(last)), stored.bytes
    else:
        start, end = int(first), min(stored.bytes, int(last) + 1) if last else stored.bytes
        if last and int(last) < start:
            return whole
    return _Span(start, end, partial=True) if start < end else None


def _unsatisfiable(stored: Stored, scope: Scope) -> Response:
    message = f"The range lies outside of this output of {stored.bytes} bytes."
    headers = _GUARDS | {"content-range": f"bytes */{stored.bytes}"}
    return errors.written(ErrorAnswer(416, message, code="invalid_value", headers=headers), scope)


def _bytes(request: Request, storage: Storage, stored: Stored, span: _Span, headers: dict[str, str]) -> Response:
    headers = headers | {"content-length": str(span.end - span.start)}
    if span.partial:
        headers["content-range"] = f"bytes {span.start}-{span.end - 1}/{stored.bytes}"
    status = 206 if span.partial else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    body: AsyncIterator[bytes] = storage.read(stored.key, span.start, span.end)
    return StreamingResponse(body, status_code=status, headers=headers)
