"""Faults that an operator has to mend: told once, and again now and then."""

from dataclasses import dataclass

import structlog
from structlog.testing import capture_logs

from logs import OperatorFaults


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
        ("one: mended", "here"),
        ("two: mended", "here"),
        ("one", "here"),
    ]
