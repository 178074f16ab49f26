"""The keys of a provider: whose turn it is, and which of them rest, for one account or for all.

What one account's calls have shown of a key counts for that account alone: the content or the size of its requests
may be to blame. It counts for all once two accounts have seen it, or at once if no request can cause it.
Times are seconds of a monotonic clock.
"""

from collections.abc import Hashable

MAX_RESTS = 1024
"""Rests for single accounts that a provider's ring remembers."""


class KeyRing:
    """The keys of one provider. They take turns, but for those that rest. A rest is of the key, not of a model."""

    def __init__(self) -> None:
        self._of_all: dict[int, float] = {}
        self._of_account: dict[tuple[int, Hashable], float] = {}
        self._turn = 0

    def next(self, keys: int, now: float, account: Hashable, tried: frozenset[int] = frozenset()) -> int | None:
        """Return the number of a key that does not rest and was not tried. None: there is none."""
        for step in range(keys):
            key = (self._turn + step) % keys
            if key not in tried and self._until(key, account) <= now:
                self._turn = (key + 1) % keys
                return key
        return None

    def rests_until(self, keys: int, account: Hashable) -> float:
        """The time at which the first of them may be used by this account."""
        return min([self._until(key, account) for key in range(keys)])

    def least_bad(self, keys: int, account: Hashable) -> int:
        return min(range(keys), key=lambda key: self._until(key, account))

    def rest(self, key: int, seconds: float, now: float, account: Hashable, *, for_all: bool) -> None:
        """Let the key rest for this account. For all, if another account has seen the same, or `for_all` says so."""
        until = now + seconds
        others = [ends for (rested, who), ends in self._of_account.items() if rested == key and who != account]
        if for_all:
            self._extend(key, until)
        elif seen := [ends for ends in others if ends > now]:
            self._extend(key, min(until, max(seen)))
        self._remember(key, until, now, account)

    def works(self, key: int, account: Hashable) -> None:
        if self._of_all or self._of_account:
            self._of_all.pop(key, None)
            self._of_account.pop((key, account), None)

    def resting(self, now: float) -> int:
        """The number of keys that rest for all."""
        return sum(until > now for until in self._of_all.values())

    def failed(self, keys: int) -> bool:
        """Whether one of them has had to rest for all, and not worked since."""
        return any(key < keys for key in self._of_all)

    def _until(self, key: int, account: Hashable) -> float:
        if not self._of_account:
            return self._of_all.get(key, 0.0) if self._of_all else 0.0
        return max(self._of_all.get(key, 0.0), self._of_account.get((key, account), 0.0))

    def _extend(self, key: int, until: float) -> None:
        self._of_all[key] = max(self._of_all.get(key, 0.0), until)

    def _remember(self, key: int, until: float, now: float, account: Hashable) -> None:
        before = self._of_account.pop((key, account), 0.0)
        if len(self._of_account) >= MAX_RESTS:
            self._of_account = {place: ends for place, ends in self._of_account.items() if ends > now}
        while len(self._of_account) >= MAX_RESTS:
            del self._of_account[next(iter(self._of_account))]
        self._of_account[key, account] = max(before, until)
