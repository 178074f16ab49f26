"""Answers of an upstream that never end. Each is written until its reader closes the connection."""

import zlib
from collections.abc import Awaitable, Callable, Mapping

from tests.support.doubles.raw_server import Visit, answer

EVENTS, JSON = "Content-Type: text/event-stream", "Content-Type: application/json"
PART = 65_536
MAX_BYTES = 64 * 1024 * 1024
"""Of one answer. Who reads all of it has no limit."""
Script = Callable[[Visit, bool], Awaitable[bool]]


async def _endless(visit: Visit, head: bytes, part: bytes) -> bool:
    """Write until the reader closes the connection. True if it never does."""
    await visit.write(head)
    try:
        for _ in range(MAX_BYTES // len(part)):
            await visit.write(part)
    except OSError:
        return False
    return True


def _body(begin: bytes, part: bytes, *fields: str, status: str = "200 OK") -> Script:
    many = part * (PART // len(part))

    async def script(visit: Visit, stream: bool) -> bool:
        kind = EVENTS if stream else JSON
        head = answer(b"", kind, "Connection: close", *fields, status=status, length=False)
        return await _endless(visit, head + begin, many)

    return script


async def _headers(visit: Visit, _: bool) -> bool:
    return await _endless(visit, b"HTTP/1.1 200 OK\r\n", b"X-Pad: xxxxxxxxxxxxxxxxxxxxxxx\r\n" * 2048)


async def _interim(visit: Visit, _: bool) -> bool:
    return await _endless(visit, b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2048)


async def _trailers(visit: Visit, stream: bool) -> bool:
    head = answer(b"", EVENTS if stream else JSON, "Transfer-Encoding: chunked", length=False)
    return await _endless(visit, head + b"0\r\n", b"X-Pad: xxxxxxxxxxxxxxxxxxxxxxx\r\n" * 2048)


async def _packed(visit: Visit, stream: bool) -> bool:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    part = packer.compress(b"\n" * 16 * 1024 * 1024) + packer.flush(zlib.Z_SYNC_FLUSH)
    head = answer(b"", EVENTS if stream else JSON, "Content-Encoding: gzip", "Connection: close", length=False)
    return await _endless(visit, head + part, part)


ENDLESS: Mapping[str, Script] = {
    "one line": _body(b"data: ", b"x"),
    "one event of many lines": _body(b"", b"data: x\n"),
    "comments": _body(b"", b": keep-alive\n\n"),
    "empty lines": _body(b"", b"\n"),
    "events without data": _body(b"", b"event: ping\n\n"),
    "pings": _body(b"", b'event: ping\ndata: {"type":"ping"}\n\n'),
    "one string": _body(b'{"a":"', b"x"),
    "brackets": _body(b'{"choices":[', b"[],"),
    "an error": _body(b'{"error":{"message":"', b"x", status="500 Internal Server Error"),
    "a refusal": _body(b'{"error":{"message":"', b"x", status="400 Bad Request"),
    "headers": _headers,
    "interim answers": _interim,
    "trailers": _trailers,
    "a bomb in gzip": _packed,
}
