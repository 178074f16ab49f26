"""Keeps places of a worker free for receivers that answer quickly. In memory: a new process learns it again."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

QUICK = timedelta(seconds=2)
PLACES = 96
"""Attempts at a time to receivers whose last attempt was not quick, or that are new. A worker has more places."""
REMEMBERED = 10_000
"""Quick receivers that are remembered."""


@dataclass(slots=True)
class Turn:
    """One attempt, which takes a place when its receiver is known."""

    lanes: "Lanes" = field(repr=False)
    receiver: UUID | None = None
    slow: bool = False

    def take(self, receiver: UUID) -> bool:
        """Take a place for an attempt to this receiver. False: there is none now."""
        slow = not self.lanes.is_quick(receiver)
        if slow and self.lanes.slow >= self.lanes.places:
            return False
        self.receiver, self.slow = receiver, slow
        self.lanes.slow += slow
        return True

    def learn(self, elapsed: timedelta) -> None:
        """Remember how long the attempt took."""
        if self.receiver is not None:
            self.lanes.remember(self.receiver, quick=elapsed <= QUICK)


class Lanes:
    def __init__(self) -> None:
        self.places, self.slow = PLACES, 0
        self._quick: OrderedDict[UUID, None] = OrderedDict()

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """Give back, at the end, the place that the turn took."""
        turn = Turn(self)
        try:
            yield turn
        finally:
            self.slow -= turn.slow

    def is_quick(self, receiver: UUID) -> bool:
        return receiver in self._quick

    def remember(self, receiver: UUID, *, quick: bool) -> None:
        self._quick.pop(receiver, None)
        if quick:
            self._quick[receiver] = None
            if len(self._quick) > REMEMBERED:
                self._quick.popitem(last=False)
