"""Asking our own API whether it answers, without importing an HTTP client first."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

PATIENCE = 5.0


async def status(url: str, bearer: str | None = None) -> int | None:
    """The status of a GET over plain HTTP; None when there is no answer."""
    target = urlsplit(url)
    lines = [f"GET {target.path or '/'} HTTP/1.1", f"Host: {target.netloc}", "Connection: close"]
    if bearer is not None:
        lines.append(f"Authorization: Bearer {bearer}")
    with suppress(OSError, ValueError, IndexError, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(target.hostname, target.port or 80)
            try:
                writer.write("\r\n".join([*lines, "", ""]).encode())
                return int((await reader.readline()).split()[1])
            finally:
                writer.close()
    return None
