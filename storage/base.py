"""The Protocol of an object store."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Stored:
    """An object's metadata."""

    key: str = field(repr=False)
    bytes: int
    content_type: str
    version: str | None = None
    """Changes when the object is written again, if the store supports it."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry of a listing."""

    key: str = field(repr=False)
    bytes: int
    modified_at: datetime


class Storage(Protocol):
    async def put(self, key: str, chunks: AsyncIterator[bytes], *, content_type: str, max_bytes: int) -> Stored:
        """Write the object, all of it or none. Writing again replaces it. Raises `OutputTooLarge` above `max_bytes`."""

    async def head(self, key: str) -> Stored | None: ...

    def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield bytes `start` (inclusive) to `end` (exclusive) in small chunks. Raises `NotFound` before the first."""

    async def delete(self, key: str) -> None:
        """Delete the object. Idempotent."""

    async def delete_prefix(self, prefix: str) -> int:
        """Delete every object below `prefix/`, and return their number. Idempotent.

        If one object cannot be deleted, the others are; `ServiceUnavailable` is raised at the end.
        """

    async def listed(self, after: str, limit: int) -> list[Listed]:
        """Return the next objects after the key `after`, in a stable order. Fewer than `limit` are the last ones."""
