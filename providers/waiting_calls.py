"""Queues calls that wait for a connection to a provider. Owners take turns, with one call each."""

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from itertools import chain
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    @property
    def owner(self) -> Hashable:
        """The account that makes the call."""

    @property
    def over(self) -> bool:
        """True when the call no longer waits."""


Call = TypeVar("Call", bound=Waiting)


class WaitingCalls(Generic[Call]):
    """A fair queue. In a plain one, many calls of one account would come before the calls of all others."""

    def __init__(self) -> None:
        self._first: deque[Call] = deque()
        self._owners: OrderedDict[Hashable, deque[Call]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._first or self._owners)

    def __iter__(self) -> Iterator[Call]:
        return chain(self._first, *self._owners.values())

    def add(self, call: Call) -> None:
        self._owners.setdefault(call.owner, deque()).append(call)

    def add_first(self, call: Call) -> None:
        """Put a call before all others: its connection was lost before it was used."""
        self._first.appendleft(call)

    def take(self) -> Call | None:
        """Return the next call that still waits, of the owner whose last turn was longest ago."""
        while self:
            call = self._first.popleft() if self._first else self._next()
            if not call.over:
                return call
        return None

    def _next(self) -> Call:
        owner, queue = self._owners.popitem(last=False)
        call = queue.popleft()
        if queue:
            self._owners[owner] = queue  # behind all other owners
        return call
