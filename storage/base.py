"""What the gateway asks of an object store."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Stored:
    """What lies under a key."""

    key: str
    bytes: int
    content_type: str
    version: str | None = None
    """Changes whenever the object is written again, where the store can tell."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing shows it."""

    key: str
    bytes: int
    modified_at: datetime


class Storage(Protocol):
    async def put(self, key: str, chunks: AsyncIterator[bytes], *, content_type: str, max_bytes: int) -> Stored:
        """Write the object, all of it or none. Writing again replaces it. Raises `OutputTooLarge` above `max_bytes`."""

    async def head(self, key: str) -> Stored | None: ...

    def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes `start` (inclusive) to `end` (exclusive), in small chunks. Raises `NotFound` before the first."""

    async def delete(self, key: str) -> None:
        """Safe to do twice."""

    async def delete_prefix(self, prefix: str) -> int:
        """Delete every object below `prefix/`, and tell how many there were. Safe to do twice.

        An object that cannot be deleted keeps no other; then `ServiceUnavailable` is raised at the end.
        """

    async def listed(self, after: str, limit: int) -> list[Listed]:
        """The next objects behind the key `after`, in an order that stays the same. Fewer than `limit`: the last."""
