"""How a process logs: structured, to stdout, never a body, header, query string or exception text."""

import logging
import re
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import dataclass
from datetime import timedelta
from typing import TextIO

import structlog

import exits
from domain.current_request import REQUEST_ID
from domain.faults import Fault

_SILENT = ("psycopg",)
"""Warns of each query that it could not cancel: `db.outage` has told of the server by then."""
_QUIET = ("uvicorn.access", "httpx2", "httpcore2", "aiohttp.access", "asyncio")
MIN_LOG_PAUSE = timedelta(minutes=1)
MAX_LOG_PAUSE = timedelta(minutes=10)
MAX_NAMED = 1000
"""Places of one fault that the log names; it is silent about more."""
FORGET_SECONDS = 3 * 60 * 60.0
"""Longer than two rounds of what is done once an hour. A fault that did not show for so long is over, or is another
process's: its row is gone, or this process does not lead any more."""
SHOWING_SECONDS = 5 * 60.0
"""Longer than two tries of what is tried without end. A fault that did not show for so long fires no alert."""


def _no_ids() -> Mapping[str, str]:
    return {}


def configure(form: str, more_ids: Callable[[], Mapping[str, str]] = _no_ids) -> None:
    """`form` is `console` or `json`. `more_ids` of the present task are in each line, beside its request's id."""
    rendering: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    )
    shared: list[structlog.typing.Processor] = [
        _with_ids(more_ids),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = _Handler(sys.stdout)
    handler.addFilter(_not_reported)
    handler.addFilter(_without_objects)
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[_without_tracebacks, structlog.stdlib.ProcessorFormatter.remove_processors_meta, rendering],
        foreign_pre_chain=shared,
    )
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.ERROR)
    threading.excepthook = lambda thrown: _unhandled("unhandled in a thread", thrown.exc_type)
    sys.unraisablehook = lambda thrown: _unhandled("unhandled in a finaliser", thrown.exc_type)
    warnings.showwarning = _warned


def _with_ids(more_ids: Callable[[], Mapping[str, str]]) -> structlog.typing.Processor:
    """Add the ids of the present task's request; of a `context` that the line names, where another one serves it."""

    def ids() -> Mapping[str, str]:
        request_id = REQUEST_ID.get()
        return {**more_ids()} if request_id is None else {"request_id": request_id, **more_ids()}

    def added(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        context: Context | None = event.pop("context", None)
        event.update(ids() if context is None else context.copy().run(ids))
        return event

    return added


class _Handler(logging.StreamHandler[TextIO]):
    """Of a line that cannot be formatted or written, the library would print everything on stderr."""

    def handleError(self, record: logging.LogRecord) -> None:  # the library's name
        fault = sys.exc_info()[0]
        exits.tell(f"a log line of {record.name} was lost ({fault.__name__ if fault else 'no reason'})")


def _not_reported(record: logging.LogRecord) -> bool:
    """Leave out what a library says, at each attempt, of an exception that the operator's log has."""
    fault = record.exc_info[1] if record.exc_info else None
    return not getattr(fault, "reported", False)


def _without_objects(record: logging.LogRecord) -> bool:
    """Cut what asyncio says of a fault to its first words: it goes on with the objects in question, and their texts."""
    if record.name == "asyncio":
        words = re.match(r"[\w ,.]*", record.getMessage())
        record.msg, record.args = words[0].strip() if words else "", ()
    return True


def _unhandled(what: str, fault: type[BaseException]) -> None:
    if fault is not SystemExit:
        structlog.get_logger(__name__).error(what, fault=fault.__name__)


def _warned(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object, **__: object
) -> None:
    """Say where a library's warning is from. Its text may quote what it warns of."""
    logging.getLogger("py.warnings").warning("%s at %s:%d", category.__name__, filename, lineno)


def _without_tracebacks(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A traceback's last line is the exception's text, which may quote a request: keep the type alone."""
    info = event.pop("exc_info", None)
    fault = info if isinstance(info, BaseException) else (info if isinstance(info, tuple) else sys.exc_info())[1]
    if info and fault is not None:
        event["fault"] = type(fault).__name__
    event.pop("stack_info", None)
    return event


class OperatorFaults:
    """Faults that only the operator can mend: each is logged at once, and while it lasts at most once a minute.

    The pause between two lines of one fault doubles up to ten minutes. Each line says what is wrong, where, and what to
    do; `repeats` counts what was left out since the line before. None of the values may come from a request.
    One line says the end: `mended` when it is known, `not seen for 3 hours` when nobody here would learn of it.
    """

    def __init__(
        self, logger: structlog.typing.FilteringBoundLogger, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = logger
        self._clock = clock
        self._lasting: dict[str, dict[str, _LastingFault]] = {}
        """By place, and by what is wrong there."""
        self._named = Counter[str]()
        """How many places of each fault are in it."""
        self._next_look = 0.0
        self._lock = threading.Lock()
        """Traces are exported, and report, in a thread of their own."""

    def report(self, what: str, *, where: str, remedy: str, **values: object) -> None:
        """Call it whenever the fault shows."""
        with self._lock:
            self._report(Fault(what, where, remedy), values)

    def clear(self, where: str) -> None:
        """All is well there again: says so once, if anything was wrong."""
        with self._lock:
            self._clear(where)

    def showing(self) -> list[Fault]:
        """Return what has shown lately, for the metrics."""
        since = self._clock() - SHOWING_SECONDS
        with self._lock:
            return [
                Fault(what, where, lasting.remedy)
                for where, faults in self._lasting.items()
                for what, lasting in faults.items()
                if lasting.last >= since
            ]

    def _report(self, fault: Fault, values: Mapping[str, object]) -> None:
        what, where, now = fault.what, fault.where, self._clock()
        self._forget(now)
        lasting = self._lasting.get(where, {}).get(what) or self._begun(what, where, now)
        if lasting is None:
            return
        lasting.last, lasting.remedy = now, fault.remedy
        if now < lasting.next_line:
            lasting.repeats += 1
            return
        self._log.error(what, where=where, remedy=fault.remedy, repeats=lasting.repeats, **values)
        lasting.repeats = 0
        lasting.next_line = now + lasting.pause
        lasting.pause = min(lasting.pause * 2, MAX_LOG_PAUSE.total_seconds())

    def _begun(self, what: str, where: str, now: float) -> "_LastingFault | None":
        if self._named[what] >= MAX_NAMED:
            return None
        self._named[what] += 1
        lasting = self._lasting.setdefault(where, {})[what] = _LastingFault(since=now, next_line=now)
        return lasting

    def _forget(self, now: float) -> None:
        """Say once of each fault that it does not show any more, though nobody has cleared it."""
        if now < self._next_look:
            return
        self._next_look = now + MIN_LOG_PAUSE.total_seconds()
        over: dict[str, list[str]] = {}
        for where, faults in self._lasting.items():
            for what, lasting in faults.items():
                if now >= lasting.last + FORGET_SECONDS:
                    over.setdefault(what, []).append(where)
        hours = round(FORGET_SECONDS / 3600)
        for what, places in over.items():
            for where in places:
                self._remove(what, where)
            more = {"more_places": len(places) - 1} if len(places) > 1 else {}
            self._log.info(f"{what}: not seen for {hours} hours", where=places[0], **more)

    def _remove(self, what: str, where: str) -> None:
        self._named[what] -= 1
        del self._lasting[where][what]
        if not self._lasting[where]:
            del self._lasting[where]

    def _clear(self, where: str) -> None:
        now = self._clock()
        self._forget(now)
        if mended := dict(self._lasting.get(where, ())):
            for what in mended:
                self._remove(what, where)
            seconds = now - min(lasting.since for lasting in mended.values())
            self._log.info(f"{'; '.join(mended)}: mended", where=where, seconds=round(seconds, 1))


@dataclass(slots=True)
class _LastingFault:
    since: float
    next_line: float
    last: float = 0.0
    remedy: str = ""
    pause: float = MIN_LOG_PAUSE.total_seconds()
    repeats: int = 0
