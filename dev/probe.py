"""Sends GET requests to servers on this machine, without importing an HTTP client."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

TIMEOUT = 5.0


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


async def get(url: str, bearer: str | None = None) -> Answer | None:
    """Return the answer to a GET, or None when there is none."""
    target = urlsplit(url)
    lines = [f"GET {target.path or '/'} HTTP/1.0", f"Host: {target.netloc}"]  # 1.0: the body ends with the connection
    if bearer is not None:
        lines.append(f"Authorization: Bearer {bearer}")
    with suppress(OSError, ValueError, IndexError, TimeoutError):
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(target.hostname, target.port or 80)
            try:
                writer.write("\r\n".join([*lines, "", ""]).encode())
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
                return Answer(int(head.split()[1]), body)
            finally:
                writer.close()
    return None


async def status(url: str, bearer: str | None = None) -> int | None:
    answer = await get(url, bearer)
    return answer.status if answer else None
