"""Bounds the bytes of large contents in a process, from before each is read until its call has ended.

They are request bodies, and what a small request brings in: a saved conversation, input files of a job.
"""

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from types import TracebackType
from typing import Self

from domain.errors import GatewayError, RateLimited, ServiceUnavailable
from gateway.arrivals import Arrival, Arrivals

TIMEOUT = timedelta(seconds=10)
"""How long one waits. The edge's time for a body runs meanwhile."""
PARTS = 2
"""An account has at most the whole, divided by this: one leaves room to the others."""
_LOOK_SECONDS = 0.5
"""Between two looks for slow bodies, by whoever waits."""
_RETRY_AFTER = timedelta(seconds=2)


class BodyBudget:
    """Whoever uses least is first, when several wait; the claims of one owner are taken in their order."""

    def __init__(self, whole: int, timeout: timedelta = TIMEOUT) -> None:
        """`whole`: bytes of all owners together. What is above an owner's part of it fits where it is alone."""
        self._whole, self._part, self._timeout = whole, whole // PARTS, timeout
        self._used: Counter[Hashable] = Counter()
        self._waiting: OrderedDict[Hashable, deque[BodyClaim]] = OrderedDict()
        self.arrivals = Arrivals()

    @property
    def used(self) -> int:
        return self._used.total()

    def claim(self) -> "BodyClaim":
        """Return the claim of a request, which has nothing yet. As a block, it ends with that."""
        return BodyClaim(self)

    async def wait(self, claim: "BodyClaim") -> None:
        """Raises `RateLimited` if the owner's part stays used up, and `ServiceUnavailable` if the whole does."""
        self._waiting.setdefault(claim.owner, deque()).append(claim)
        self._grant()
        until = time.monotonic() + self._timeout.total_seconds()
        try:
            while not claim.granted.done() and (left := until - time.monotonic()) > 0:
                self._end_slow(claim)
                await asyncio.wait([claim.granted], timeout=min(left, _LOOK_SECONDS))
        finally:
            if not claim.granted.done():
                self._remove(claim)
                self._grant()  # a smaller one behind it may fit
        if not claim.granted.done():
            raise self._error(claim)

    def give_back(self, owner: Hashable, size: int) -> None:
        self._used[owner] -= size
        if not self._used[owner]:
            del self._used[owner]
        self._grant()

    def _end_slow(self, claim: "BodyClaim") -> None:
        """Make room for a claim, where slow bodies of owners can who use as much as its own would, or more."""
        least, missing = self._used[claim.owner] + claim.wanted, self.used + claim.wanted - self._whole
        slow = [each for each in self.arrivals.slow() if self._used[each.claim.owner] >= least]
        if not self._fits_part(claim) or sum(each.claim.size for each in slow) < missing:
            return
        for each in slow:
            if not claim.granted.done():
                each.end()

    def _grant(self) -> None:
        """Let in whoever fits. One that does not keeps nobody else waiting."""
        while fitting := [claims[0] for claims in self._waiting.values() if self._fits(claims[0])]:
            claim = min(fitting, key=lambda each: self._used[each.owner])
            self._remove(claim)
            self._used[claim.owner] += claim.wanted
            claim.grant()

    def _fits(self, claim: "BodyClaim") -> bool:
        return self._fits_part(claim) and _fits(self.used, claim, self._whole)

    def _fits_part(self, claim: "BodyClaim") -> bool:
        return _fits(self._used[claim.owner], claim, self._part)

    def _remove(self, claim: "BodyClaim") -> None:
        claims = self._waiting[claim.owner]
        claims.remove(claim)
        if not claims:
            del self._waiting[claim.owner]

    def _error(self, claim: "BodyClaim") -> GatewayError:
        if self._fits_part(claim):
            return ServiceUnavailable("Too many large requests are under way here. Wait a moment, and try again.")
        message = f"Your large requests under way can have {self._part:,} bytes together. Wait until some have ended."
        return RateLimited(message, retry_after=_RETRY_AFTER)


def _fits(used: int, claim: "BodyClaim", most: int) -> bool:
    """Whether a claim may have what it wants. One alone may: what never fits would be refused for ever."""
    return used + claim.wanted <= most or used == claim.size


class BodyClaim:
    """What the contents of one request have of the budget, until all who hold the claim have left."""

    __slots__ = ("_budget", "_holders", "granted", "owner", "size", "wanted")

    def __init__(self, budget: BodyBudget) -> None:
        self._budget, self.size, self._holders = budget, 0, 1
        self.owner: Hashable = None
        self.wanted = 0
        self.granted: asyncio.Future[None]

    async def take(self, owner: Hashable, size: int) -> None:
        """Wait until so many bytes more are free for the owner, who stays the same.

        Raises what `BodyBudget.wait` raises.
        """
        self.owner, self.wanted, self.granted = owner, size, asyncio.get_running_loop().create_future()
        await self._budget.wait(self)

    def arriving(self) -> AbstractAsyncContextManager[Arrival]:
        """Have a body of the request arrive within the block. Raises `ServiceUnavailable` if it had to give way."""
        return self._budget.arrivals.begun(self)

    def grant(self) -> None:
        self.size += self.wanted
        self.granted.set_result(None)

    def shrink(self, size: int) -> None:
        """Give back what is claimed above so many bytes."""
        if self.size > size:
            more, self.size = self.size - size, size
            self._budget.give_back(self.owner, more)

    def shared(self) -> Callable[[], None]:
        """Have one holder more, who leaves by calling what is returned, once."""
        self._holders += 1
        return self._leave

    def _leave(self) -> None:
        self._holders -= 1
        if not self._holders:
            self.shrink(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._leave()
