"""A queue in which owners take turns, so that one owner's many items do not come before everybody else's."""

import itertools
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class RoundRobin(Generic[T]):
    """The items of an owner keep their order. A new owner comes last."""

    def __init__(self) -> None:
        self._owners: dict[Hashable, deque[T]] = {}

    def __bool__(self) -> bool:
        return bool(self._owners)

    def __iter__(self) -> Iterator[T]:
        return itertools.chain.from_iterable(self._owners.values())

    def add(self, owner: Hashable, item: T) -> None:
        self._owners.setdefault(owner, deque()).append(item)

    def take(self) -> T:
        """Remove and return the next item of the owner whose turn it is. The queue must not be empty."""
        return self._taken(next(iter(self._owners)))

    def take_of(self, may: Callable[[Hashable], bool]) -> T | None:
        """The same of the first owner that may have a turn. None: there is no such owner."""
        for owner in self._owners:
            if may(owner):
                return self._taken(owner)
        return None

    def _taken(self, owner: Hashable) -> T:
        queue = self._owners.pop(owner)
        item = queue.popleft()
        if queue:
            self._owners[owner] = queue  # behind the others
        return item

    def remove(self, owner: Hashable) -> Iterable[T]:
        """Remove and return all items of one owner, in order."""
        return self._owners.pop(owner, ())
