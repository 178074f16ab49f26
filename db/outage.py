"""Tells the operator, once, that a process cannot use its database, and that it can again."""

import time
import traceback
from collections.abc import Callable

from db import connections
from db.faults import describe, place
from domain.faults import CALM_SECONDS, Fault, FaultLog

SETTLING_SECONDS = 5.0
"""Within so long, other errors are taken for the same fault: a server that ends shows several."""
_OF_A_STATEMENT = ("40", "55P03")
"""SQLSTATEs, or their beginnings, of one statement's bad luck: a deadlock, a lock that somebody else keeps."""

_TOO_LONG = "57014"
"""The database is slow, or this statement alone is."""
_CARRIERS = frozenset({"db.connections", "db.engine", "db.outage", "db.prepared"})
"""Modules that send statements of others."""


class Outage:
    """Of one database. All connections of a process share it, so that the log has a line where each had its own."""

    def __init__(self, url: str, faults: FaultLog, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises `DatabaseUrlInvalid`."""
        self._url = connections.conninfo(url)
        self._place = place(self._url)
        self._faults = faults
        self._clock = clock
        self._shown: Fault | None = None
        """What the log has. None: all is well."""
        self._failing = set[object]()
        """Users of connections of their own that have not written since they failed."""
        self._began = self._last = 0.0
        self._refuses = False

    def seen(self, error: BaseException, by: object = None) -> bool:
        """Report the fault that an error shows. False: it is one of a statement, which whoever sent it names too.

        `by`: who has a connection of its own, and will write on it before the fault is over.
        """
        code = str(getattr(connections.cause(error), "sqlstate", None) or "")
        if code.startswith(_OF_A_STATEMENT):
            return False
        if by is not None:
            self._failing.add(by)
        fault, now = describe(error, self._url), self._clock()
        if self._shown is None or (fault.remedy != self._shown.remedy and now >= self._began + SETTLING_SECONDS):
            self._began, self._shown = now, fault
        self._last, self._refuses = now, connections.is_refused(error)
        at = {"at": _sender(error)} if self._refuses else {}
        self._faults.report(self._shown.what, where=self._place, remedy=self._shown.remedy, **at)
        return code != _TOO_LONG

    @property
    def lasts(self) -> bool:
        return self._shown is not None

    @property
    def refuses(self) -> bool:
        """Whether what lasts is that some statements are refused. Others succeed: that is not the end."""
        return self._refuses

    def granted(self) -> None:
        """Call it when no right is missing: the next success is the end."""
        self._refuses = False

    def over(self, by: object = None) -> None:
        """Call it whenever the database has done something. `by`: it has written on that one's connection."""
        self._failing.discard(by)
        sure = by is not None or self._clock() >= self._last + CALM_SECONDS
        if self._shown is not None and sure and not self._failing and not self._refuses:
            self._shown = None
            self._faults.clear(self._place)


def _sender(error: BaseException) -> str:
    """Name the line of `db/` that has sent a statement: one that is refused may be wrong itself."""
    below = list(traceback.walk_tb(error.__traceback__))
    for frame, line in (*reversed(below), *traceback.walk_stack(None)):
        module = str(frame.f_globals.get("__name__"))
        if module.startswith("db.") and module not in _CARRIERS:
            return f"{module}:{line}"
    return "?"
