"""Tries an object store: its objects are listed, a small one is written, read and deleted again."""

import os
from collections.abc import AsyncIterator

from domain.errors import ServiceUnavailable
from storage.base import Storage

PREFIX = "doctor"
"""No account's: maintenance leaves what is below it alone."""
CONTENT = b"yout doctor"


async def probe(storage: Storage) -> None:
    """Raises `GatewayError` when a step fails; deletes the object in any case."""
    key = f"{PREFIX}/{os.urandom(8).hex()}.txt"

    async def content() -> AsyncIterator[bytes]:
        yield CONTENT

    await storage.listed("", 1)  # first: a store that is away, or refuses our key, is one line in the log
    try:
        await storage.put(key, content(), content_type="text/plain", max_bytes=len(CONTENT))
        read = b"".join([chunk async for chunk in storage.read(key, 0, len(CONTENT))])
    finally:
        await storage.delete(key)
    if read != CONTENT:
        raise ServiceUnavailable
