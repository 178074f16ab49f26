"""Faults that an operator has to mend: told once, and again now and then."""

import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

import logs
from domain.current_request import REQUEST_ID
from domain.faults import Fault
from logs import OperatorFaults
from tests.support.stack import ROOT


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_lasting_fault_is_told_at_once_and_then_ever_more_rarely() -> None:
    clock = Clock()
    faults = OperatorFaults(structlog.get_logger(), clock=clock)
    with capture_logs() as lines:
        for clock.now in (n / 5 for n in range(5 * 3600)):
            faults.report("the database refuses the password", where="db:5432/yout", remedy="mend it", waiting=3)
        faults.clear("db:5432/yout")
        faults.clear("db:5432/yout")
    warnings, (mended,) = lines[:-1], lines[-1:]
    assert warnings[0] == {
        "event": "the database refuses the password",
        "where": "db:5432/yout",
        "remedy": "mend it",
        "repeats": 0,
        "waiting": 3,
        "log_level": "error",
    }
    assert [line["repeats"] for line in warnings] == [0, 299, 599, 1199, 2399, 2999, 2999, 2999, 2999]
    assert (mended["event"], mended["log_level"]) == ("the database refuses the password: mended", "info")


def test_different_faults_do_not_hide_one_another() -> None:
    faults = OperatorFaults(structlog.get_logger(), clock=Clock())
    with capture_logs() as lines:
        for where in ("here", "there", "here"):
            for what in ("one", "two"):
                faults.report(what, where=where, remedy="mend it")
        faults.clear("here")
        faults.report("one", where="here", remedy="mend it")
    assert [(line["event"], line["where"]) for line in lines] == [
        ("one", "here"),
        ("two", "here"),
        ("one", "there"),
        ("two", "there"),
        ("one; two: mended", "here"),
        ("one", "here"),
    ]


def test_the_log_names_a_bounded_number_of_places_of_a_fault() -> None:
    """Also beside a fault of each of many rows, it names another fault."""
    faults = OperatorFaults(structlog.get_logger(), clock=Clock())
    with capture_logs() as lines:
        for number in range(2 * logs.MAX_NAMED):
            faults.report("a row fails", where=f"row {number}", remedy="mend it")
        faults.report("the database is away", where="db", remedy="mend it")
        faults.clear("row 1")
        faults.report("a row fails", where="another", remedy="mend it")
    places = [line["where"] for line in lines]
    assert places == [*(f"row {number}" for number in range(logs.MAX_NAMED)), "db", "row 1", "another"]


def test_the_end_is_said_of_what_nobody_here_mends() -> None:
    """Of a row that is gone, and of what another process does since: it does not show any more."""
    clock = Clock()
    faults = OperatorFaults(structlog.get_logger(), clock=clock)
    with capture_logs() as lines:
        for number in range(3):
            faults.report("a row fails", where=f"row {number}", remedy="mend it")
        faults.report("the store is away", where="store", remedy="mend it")
        for clock.now in (logs.FORGET_SECONDS / 2, logs.FORGET_SECONDS - 1):
            faults.report("it is away", where="here", remedy="mend it")
            faults.clear("elsewhere")
        del lines[:]
        for clock.now in (logs.FORGET_SECONDS + 60, logs.FORGET_SECONDS + 120):
            faults.clear("elsewhere")
        faults.report("a row fails", where="row 1", remedy="mend it")
    assert [(line["event"], line["where"], line.get("more_places")) for line in lines] == [
        ("a row fails: not seen for 3 hours", "row 0", 2),
        ("the store is away: not seen for 3 hours", "store", None),
        ("a row fails", "row 1", None),
    ]


def test_alerts_are_of_faults_that_show() -> None:
    """One that nobody here mends, of a process that leads no more, ends its alert before its line does."""
    clock = Clock()
    faults = OperatorFaults(structlog.get_logger(), clock=clock)
    with capture_logs():
        for where in ("read", "write"):
            faults.report("the store is away", where=where, remedy="mend it")
        clock.now = logs.SHOWING_SECONDS
        assert faults.showing() == [Fault("the store is away", where, "mend it") for where in ("read", "write")]
        faults.report("the store is away", where="read", remedy="mend it")
        clock.now += 1
        assert faults.showing() == [Fault("the store is away", "read", "mend it")]
        faults.clear("read")
        assert faults.showing() == []


def test_other_threads_may_report_meanwhile() -> None:
    """Traces are exported in a thread of their own: neither a report nor the metrics may fail of it."""
    faults, stopped = OperatorFaults(structlog.get_logger(), clock=Clock()), threading.Event()

    def report() -> None:
        while not stopped.is_set():
            for number in range(100):
                faults.report("a row fails", where=f"row {number}", remedy="mend it")
            for number in range(100):
                faults.clear(f"row {number}")

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    with capture_logs(), ThreadPoolExecutor() as threads:
        reporting = threads.submit(report)
        try:
            seen = [len(faults.showing()) for _ in range(2000)]
        finally:
            stopped.set()
            sys.setswitchinterval(before)
        reporting.result()
    assert set(seen) <= set(range(101))


def test_a_line_has_the_ids_of_its_request_whoever_writes_it() -> None:
    """In the task of the request, in another one that names its context, and outside of any."""
    trace: ContextVar[str] = ContextVar("trace", default="")
    processor = logs._with_ids(lambda: {"trace_id": trace.get()} if trace.get() else {})

    def line(**values: Any) -> Mapping[str, Any]:
        event = {"event": "settled", **values}
        processor(None, "info", event)
        return event

    def begin() -> Context:
        REQUEST_ID.set("req_1")
        trace.set("abc")
        assert line() == {"event": "settled", "request_id": "req_1", "trace_id": "abc"}
        return copy_context()

    request = Context().run(begin)
    assert line() == {"event": "settled"}
    assert line(context=request, phase="DONE") == {
        **{"event": "settled", "phase": "DONE"},
        **{"request_id": "req_1", "trace_id": "abc"},
    }


FAULTS = """
import asyncio, gc, logging, sys, threading, warnings
import structlog
from pydantic import BaseModel
import logs

class Posted(BaseModel):
    number: int

def chained() -> None:
    # pydantic quotes the input, and a group the texts of its members
    try:
        Posted(number="HIDDEN input")
    except ValueError as invalid:
        raise ExceptionGroup("HIDDEN group", [RuntimeError("HIDDEN member")]) from invalid

async def failing() -> None:
    raise ValueError("HIDDEN task")

async def main() -> None:
    task = asyncio.create_task(failing())
    await asyncio.sleep(0.01)
    del task
    gc.collect()
    asyncio.get_running_loop().call_soon(lambda text: {}[text], "HIDDEN callback")
    await asyncio.sleep(0.01)

class Broken:
    def __del__(self) -> None:
        raise ValueError("HIDDEN finaliser")

def in_a_thread() -> None:
    raise ValueError("HIDDEN thread")

logs.configure(sys.argv[1])
asyncio.run(main())
Broken()
thread = threading.Thread(target=in_a_thread)
thread.start()
thread.join()
warnings.warn("HIDDEN warning")
logging.getLogger("library").error("bad %d", "HIDDEN argument")
logging.getLogger("library").error("failed", exc_info=ValueError("HIDDEN exception"))
reported = ValueError("HIDDEN and reported")
reported.reported = True
logging.getLogger("library").error("again and again", exc_info=reported)
logging.getLogger("library").warning("stack", stack_info=True)
try:
    chained()
except ExceptionGroup as group:
    group.add_note("HIDDEN note")
    logging.getLogger("library").exception("theirs")
    structlog.get_logger().exception("ours")
    structlog.get_logger().error("ours", exc_info=group)
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_fault_is_told_with_its_text(form: str) -> None:
    """Whatever way Python has to print what nobody caught."""
    command = [sys.executable, "-c", FAULTS, form]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "HIDDEN" not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    for message in ("Task exception was never retrieved", "Exception in callback", "unhandled in a finaliser"):
        assert message in done.stdout
    assert "unhandled in a thread" in done.stdout
    assert "again and again" not in done.stdout
    assert "UserWarning at " in done.stdout
    assert done.stdout.count("ValueError") == 4
    assert done.stdout.count("ExceptionGroup") == 3
    assert done.stderr == "a log line of library was lost (TypeError)\n"
