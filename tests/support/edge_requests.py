"""One good request to each endpoint that takes a body, and how its errors look; and how to send bytes to a server.

A test of the edge sends the same bad bytes to all of them.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tests.support.wire_requests import MESSAGES, TEXT, anthropic_error, openai_error

MODEL = "test-plain"
PICTURE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
RECORDING = "data:audio/wav;base64,UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA=="
TIMEOUT = 60.0
"""Seconds for an answer: longer than the server waits for anything."""


@dataclass(frozen=True, eq=False)
class Endpoint:
    path: str
    fields: Mapping[str, Any]
    whole_numbers: tuple[str, ...] = ()
    """Fields that are whole numbers above 0."""
    is_error: Callable[[Any], bool] = openai_error
    method: str = "POST"

    def __str__(self) -> str:
        return self.path

    def body(self, **changes: Any) -> dict[str, Any]:
        return {**self.fields, **changes}

    def head(self, key: str, *lines: bytes, path: str | None = None) -> bytes:
        """A head up to its empty line, which the caller writes."""
        begin = f"{self.method} {path or self.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        return begin.encode() + b"".join(line + b"\r\n" for line in lines)

    def request(self, key: str, body: bytes | None = None, *lines: bytes) -> bytes:
        raw = orjson.dumps(self.fields) if body is None else body
        return self.head(key, *lines, b"Content-Length: %d" % len(raw)) + b"\r\n" + raw


WIRES = (
    Endpoint(
        "/v1/chat/completions", {"model": MODEL, "messages": MESSAGES}, ("max_tokens", "max_completion_tokens", "n")
    ),
    Endpoint("/v1/responses", {"model": MODEL, "input": TEXT}, ("max_output_tokens",)),
    Endpoint("/v1/responses/input_tokens", {"model": MODEL, "input": TEXT}, ("max_output_tokens",)),
    Endpoint(
        "/v1/messages", {"model": MODEL, "messages": MESSAGES, "max_tokens": 500}, ("max_tokens",), anthropic_error
    ),
    Endpoint("/v1/messages/count_tokens", {"model": MODEL, "messages": MESSAGES}, (), anthropic_error),
    Endpoint("/v1/completions", {"model": MODEL, "prompt": TEXT}, ("max_tokens", "n", "best_of")),
    Endpoint("/v1/embeddings", {"model": "test-embed", "input": TEXT}, ("dimensions",)),
    Endpoint("/api/chat/stream/", {"model": MODEL, "message": TEXT}, ("max_tokens",)),
    Endpoint("/api/billing/quote/", {"model": MODEL, "messages": MESSAGES}, ("max_tokens", "n")),
)
"""Every endpoint that takes the request of a call."""
CONTROL = (
    Endpoint("/api/media/image/", {"model": "demo-image", "prompt": TEXT}, ("n",)),
    Endpoint("/v1/videos", {"model": "demo-video", "prompt": TEXT}),
    Endpoint("/api/media/transcription/", {"model": "demo-transcription", "audio": RECORDING}),
    Endpoint("/api/chat/keys/", {"name": "edge"}),
    Endpoint("/api/chat/conversations/", {"title": "edge", "messages": MESSAGES}),
    Endpoint("/api/chat/share/", {"messages": MESSAGES}, ("expires_in",)),
    Endpoint("/api/webhooks/", {"url": "https://receiver.example/edge"}),
    Endpoint("/api/webhooks/settings/", {"credits_low": None}, method="PATCH"),
    Endpoint("/api/chat/settings/", {"keep_history": False}, method="PATCH"),
)
"""Endpoints of the account itself, with small bodies."""
WAITING = (
    Endpoint("/v1/images/generations", {"model": "demo-image", "prompt": TEXT}, ("n",)),
    Endpoint("/v1/audio/speech", {"model": "demo-speech", "input": TEXT}),
    Endpoint("/v1/images/edits", {"model": "demo-image", "prompt": TEXT, "image": PICTURE}, ("n",)),
    Endpoint("/v1/audio/transcriptions", {"model": "demo-transcription", "file": RECORDING}),
)
"""Endpoints that wait for a job: without a worker they do not answer a good request."""
AT_ONCE = (*WIRES, *CONTROL)
ALL = (*AT_ONCE, *WAITING)
UPLOADS = Endpoint("/api/media/uploads/", {})
"""Its body is a file, and no JSON: any bytes that are no file are wrong."""


@dataclass(frozen=True)
class RawAnswer:
    status: int
    head: bytes
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


async def send(port: int, *parts: bytes, close: bool = False) -> RawAnswer | None:
    """The first answer to these bytes. None if the server only closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    try:
        return await asyncio.wait_for(_exchange(reader, writer, parts, close), TIMEOUT)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, parts: tuple[bytes, ...], close: bool
) -> RawAnswer | None:
    with contextlib.suppress(OSError):  # it may refuse before it has read all
        for part in parts:
            writer.write(part)
            await writer.drain()
        if close:
            writer.write_eof()
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    status = int(head.split(b" ", 2)[1])
    length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
    body = await reader.readexactly(int(length)) if length and not parts[0].startswith(b"HEAD ") else b""
    return RawAnswer(status, head, body)
