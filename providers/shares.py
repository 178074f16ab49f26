"""How many places of a provider one account may take, so that its long calls leave some for others.

An account alone may take all of them. As soon as there are others, it takes its equal share, and of the rest as long as
a fourth of the places stays free.
"""

from collections import Counter, OrderedDict
from collections.abc import Hashable

MEMORY_SECONDS = 600.0
"""An owner counts as one of the others for so long after its last call."""
MAX_OWNERS = 1024
FREE_PART = 4
"""One of so many places stays free of accounts that have their share."""


class Shares:
    """The places that each owner has now. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._running: Counter[Hashable] = Counter()
        self._taken = 0
        """The sum of `_running`: it is needed for each owner that waits."""
        self._seen: OrderedDict[Hashable, float] = OrderedDict()

    def see(self, owner: Hashable, now: float) -> None:
        """A call of this owner has come."""
        self._seen[owner] = now
        self._seen.move_to_end(owner)
        while len(self._seen) > MAX_OWNERS or now - next(iter(self._seen.values())) > MEMORY_SECONDS:
            self._seen.popitem(last=False)

    def may_take(self, owner: Hashable, places: int) -> bool:
        """Tell whether the owner may take one more of so many places. Whether one is free is not asked here."""
        others = len(self._seen) - (owner in self._seen)
        if not others or places == 1:
            return True
        free = places - self._taken
        return self._running[owner] < max(1, places // (others + 1)) or free > max(1, places // FREE_PART)

    def take(self, owner: Hashable) -> None:
        self._running[owner] += 1
        self._taken += 1

    def give_back(self, owner: Hashable) -> None:
        self._running[owner] -= 1
        self._taken -= 1
        if not self._running[owner]:
            del self._running[owner]
