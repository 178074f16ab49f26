"""Tries an object store: its objects are listed, a small one is written, read and deleted again."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from domain.errors import ServiceUnavailable
from storage.base import Storage

PREFIX = "doctor"
"""No account's: maintenance leaves what is below it alone."""
CONTENT = b"yout doctor"
LEFT_AFTER = timedelta(hours=1)
"""An object that is so old is of a process that was killed in the middle: the next one deletes it."""
MAX_LEFT = 100
"""Objects that are looked at for it."""


async def probe(storage: Storage) -> None:
    """Raises `GatewayError` when a step fails; deletes the object in any case."""
    key = f"{PREFIX}/{os.urandom(8).hex()}.txt"

    async def content() -> AsyncIterator[bytes]:
        yield CONTENT

    await _clear(storage)  # first: a store that is away, or refuses our key, is one line in the log
    try:
        await storage.put(key, content(), content_type="text/plain", max_bytes=len(CONTENT))
        read = b"".join([chunk async for chunk in storage.read(key, 0, len(CONTENT))])
    finally:
        await storage.delete(key)
    if read != CONTENT:
        raise ServiceUnavailable


async def _clear(storage: Storage) -> None:
    """Delete what killed processes have left."""
    left_before = datetime.now(UTC) - LEFT_AFTER
    for one in await storage.listed(f"{PREFIX}/", MAX_LEFT):
        if one.key.startswith(f"{PREFIX}/") and one.modified_at < left_before:
            await storage.delete(one.key.partition("#")[0])  # with the file of a write that did not end
