"""Bodies that arrive. One that is sent for minutes costs its sender nothing, and others its memory: it gives way."""

import asyncio
import time
from collections.abc import AsyncIterator, Hashable, Iterable
from contextlib import asynccontextmanager
from typing import Protocol

from domain.errors import ServiceUnavailable

SLOW_RATE = 256 * 1024
"""Bytes a second. What arrives more slowly gives way."""
GRACE_SECONDS = 3.0
"""How long a body may arrive before it is called slow."""
_GAVE_WAY = "This request arrived slowly while others waited for its room. Nothing was charged; send it again."


class Claim(Protocol):
    """What a body has of the budget."""

    owner: Hashable
    size: int

    def shrink(self, size: int) -> None: ...


class Arrival:
    """A body of which a part is still to come."""

    def __init__(self, claim: Claim) -> None:
        self.claim, self.bytes = claim, 0
        self.ended = False
        self.limit = asyncio.timeout(None)
        self._begun: float | None = None

    def begin(self) -> None:
        """Call it once its bytes are claimed."""
        self._begun = time.monotonic()

    @property
    def rate(self) -> float:
        """Bytes a second. Without an end in its first moments."""
        seconds = 0.0 if self._begun is None else time.monotonic() - self._begun
        return self.bytes / seconds if seconds > GRACE_SECONDS else float("inf")

    def end(self) -> None:
        """Give its bytes back now. Whoever reads it learns that next."""
        self.ended = True
        self.limit.reschedule(asyncio.get_running_loop().time())
        self.claim.shrink(0)


class Arrivals:
    def __init__(self) -> None:
        self._arriving = set[Arrival]()

    @asynccontextmanager
    async def begun(self, claim: Claim) -> AsyncIterator[Arrival]:
        """Have a body arrive within the block. Raises `ServiceUnavailable` if it had to give way."""
        arrival = Arrival(claim)
        self._arriving.add(arrival)
        try:
            async with arrival.limit:
                yield arrival
        except TimeoutError:
            if not arrival.ended:
                raise
        finally:
            self._arriving.discard(arrival)
        if arrival.ended:
            raise ServiceUnavailable(_GAVE_WAY)

    def slow(self) -> Iterable[Arrival]:
        """Return those that are slow, the slowest first."""
        slow = [each for each in self._arriving if not each.ended and each.rate < SLOW_RATE]
        return sorted(slow, key=lambda each: each.rate)
