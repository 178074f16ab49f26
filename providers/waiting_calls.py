"""Queues calls that wait for a connection to a provider. Owners take turns, with one call each."""

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from itertools import chain
from typing import Generic, Protocol, TypeVar

from domain.round_robin import RoundRobin


class Waiting(Protocol):
    @property
    def owner(self) -> Hashable:
        """The account that makes the call."""

    @property
    def over(self) -> bool:
        """True when the call no longer waits."""


Call = TypeVar("Call", bound=Waiting)


class WaitingCalls(Generic[Call]):
    """Calls in turns by their owners, after those whose connection was lost."""

    def __init__(self) -> None:
        self._first: deque[Call] = deque()
        self._others: RoundRobin[Call] = RoundRobin()

    def __bool__(self) -> bool:
        return bool(self._first or self._others)

    def __iter__(self) -> Iterator[Call]:
        return chain(self._first, self._others)

    def add(self, call: Call) -> None:
        self._others.add(call.owner, call)

    def add_first(self, call: Call) -> None:
        """Put a call before all others: its connection was lost before it was used."""
        self._first.appendleft(call)

    def take(self) -> Call | None:
        """Return the next call that still waits, of the owner whose last turn was longest ago."""
        while self:
            call = self._first.popleft() if self._first else self._others.take()
            if not call.over:
                return call
        return None

    def take_of(self, may: Callable[[Hashable], bool]) -> Call | None:
        """The same of the owners that may have a turn."""
        while (call := self._others.take_of(may)) is not None:
            if not call.over:
                return call
        return None
