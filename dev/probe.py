"""Asks servers on this machine, without importing an HTTP client."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

TIMEOUT = 5.0


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = field(repr=False)


async def get(url: str, bearer: str | None = None) -> Answer | None:
    """Return the answer to a GET, or None when there is none."""
    return await _ask("GET", url, [] if bearer is None else [f"Authorization: Bearer {bearer}"])


async def post(url: str, body: object) -> Answer | None:
    """Return the answer to a POST of JSON, or None when there is none."""
    content = json.dumps(body).encode()
    return await _ask("POST", url, ["Content-Type: application/json", f"Content-Length: {len(content)}"], content)


async def _ask(method: str, url: str, headers: list[str], content: bytes = b"") -> Answer | None:
    target = urlsplit(url)
    # 1.0: the body ends with the connection
    lines = [f"{method} {target.path or '/'} HTTP/1.0", f"Host: {target.netloc}", *headers]
    with suppress(OSError, ValueError, IndexError, TimeoutError):
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(target.hostname, target.port or 80)
            try:
                writer.write("\r\n".join([*lines, "", ""]).encode() + content)
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
                return Answer(int(head.split()[1]), body)
            finally:
                writer.close()
    return None


async def status(url: str, bearer: str | None = None) -> int | None:
    answer = await get(url, bearer)
    return answer.status if answer else None
