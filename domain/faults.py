"""Faults that the operator mends: what is wrong, where, and what to do."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

CALM_SECONDS = 10.0
"""So long without a failure, before a single success is taken for the end of a fault."""


class FaultLog(Protocol):
    """Spaces the lines of a fault that lasts. No value may be a user's text."""

    def report(self, what: str, *, where: str, remedy: str, **values: object) -> None: ...

    def clear(self, where: str) -> None:
        """Call it at each success: it says the end of what was reported there."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`where` names a place, never a user, a password or a key."""

    what: str
    where: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what} ({self.where}): {self.remedy}"


class LastingFaults:
    """Of one process: faults that show in requests, of which some may succeed meanwhile."""

    def __init__(self, log: FaultLog, clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._clock = log, clock
        self._last: dict[str, float] = {}
        """When places that the log has as failing failed for the last time."""

    def report(self, what: str, *, where: str, remedy: str, **values: object) -> None:
        """Call it whenever the fault shows."""
        self._last[where] = self._clock()
        self._log.report(what, where=where, remedy=remedy, **values)

    def lasts(self, where: str) -> bool:
        """Whether the log has the place as failing."""
        return where in self._last

    def works(self, where: str) -> None:
        """Call it at each success, unless something there is known to fail still."""
        last = self._last.get(where)
        if last is not None and self._clock() >= last + CALM_SECONDS:
            del self._last[where]
            self._log.clear(where)
