"""Tells the operator, once, that a process cannot use its database, and that it can again."""

import time
import traceback
from collections.abc import Callable

from db import connections
from db.faults import SILENT, describe, place
from domain.faults import CALM_SECONDS, Fault, FaultLog

SETTLING_SECONDS = 5.0
"""Within so long, other errors are taken for the same fault: a server that ends shows several."""
SILENT_SECONDS = 10.0
"""So long after a silence nobody waits for another one. Whoever looks for its end does so more often."""
_OF_A_STATEMENT = ("40", "55P03")
"""SQLSTATEs, or their beginnings, of one statement's bad luck: a deadlock, a lock that somebody else keeps."""

LOCKED = (
    "a session keeps locked what calls need",
    "run `yout doctor`: its line `locks` names the session, and says how to end it",
)
_FULL = "53100"
_TOO_LONG = "57014"
"""The database is slow, or this statement alone is."""
_CARRIERS = frozenset({"db.connections", "db.engine", "db.outage", "db.prepared"})
"""Modules that send statements of others."""


class Outage:
    """Of one database. All connections of a process share it, so that the log has a line where each had its own."""

    def __init__(
        self, url: str, faults: FaultLog, *, patient: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`patient`: wait for a server that is silent, each time. Raises `DatabaseUrlInvalid`."""
        self._patient = patient
        self._url = connections.conninfo(url)
        self._place = place(self._url)
        self._faults = faults
        self._clock = clock
        self._shown: Fault | None = None
        """What the log has. None: all is well."""
        self._failing = set[object]()
        """Users of connections of their own that have not written since they failed."""
        self._began = self._last = 0.0
        self._silent_until = 0.0
        self._on_silence = list[Callable[[], None]]()
        self._partial = False

    def seen(self, error: BaseException, by: object = None, *, alone: bool = False) -> bool:
        """Report the fault that an error shows. False: it is one of a statement, which whoever sent it names too.

        `by`: who has a connection of its own, and will write on it before the fault is over. `alone`: that connection
        may be lost by itself, so its silence is not the server's.
        """
        code = str(getattr(connections.cause(error), "sqlstate", None) or "")
        if code.startswith(_OF_A_STATEMENT):
            return False
        if by is not None:
            self._failing.add(by)
        fault, now = describe(error, self._url), self._clock()
        if self._shown is None or (fault.remedy != self._shown.remedy and now >= self._began + SETTLING_SECONDS):
            self._began, self._shown = now, fault
        self._last, self._partial, at = now, False, dict[str, str]()
        if connections.is_refused(error):
            self._partial, at = True, _where(error)
        elif code == _FULL:
            self._partial = True
        if fault.what == SILENT and not (self._patient or alone):
            self._silent_until = now + SILENT_SECONDS
            for call in self._on_silence:
                call()
        self._faults.report(self._shown.what, where=self._place, remedy=self._shown.remedy, **at)
        return code != _TOO_LONG

    def locked(self) -> None:
        """Report that a lock was waited for in vain."""
        self._faults.report(LOCKED[0], where=self._locks, remedy=LOCKED[1])

    def unlocked(self) -> None:
        """Call it when what was waited for in vain has been had."""
        self._faults.clear(self._locks)

    @property
    def _locks(self) -> str:
        return f"{self._place}, locks"

    @property
    def lasts(self) -> bool:
        return self._shown is not None

    @property
    def silent(self) -> bool:
        """Whether the server took a request a moment ago and did nothing: another one would wait as long."""
        return self._silent_until > 0 and self._clock() < self._silent_until

    def on_silence(self, call: Callable[[], None]) -> None:
        """Have this called whenever the server turns out to be silent."""
        self._on_silence.append(call)

    @property
    def partial(self) -> bool:
        """Whether what lasts is that some statements fail, as on a full disk. Others succeed: that is not the end."""
        return self._partial

    def proven(self) -> None:
        """Call it when those statements would succeed again: the next success is the end."""
        self._partial = False

    def answered(self) -> None:
        """Call it at each answer of the server."""
        self._silent_until = 0.0

    def over(self, by: object = None) -> None:
        """Call it whenever the database has done something. `by`: it has written on that one's connection."""
        self.answered()
        self._failing.discard(by)
        sure = by is not None or self._clock() >= self._last + CALM_SECONDS
        if self._shown is not None and sure and not self._failing and not self._partial:
            self._shown = None
            self._faults.clear(self._place)


def _where(error: BaseException) -> dict[str, str]:
    """Name the line of `db/` that has sent a statement: one that is refused may be wrong itself."""
    below = list(traceback.walk_tb(error.__traceback__))
    for frame, line in (*reversed(below), *traceback.walk_stack(None)):
        module = str(frame.f_globals.get("__name__"))
        if module.startswith("db.") and module not in _CARRIERS:
            return {"at": f"{module}:{line}"}
    return {}
