"""What `yout doctor` prints below its table: each thing to do is one line."""

import pytest

from cli import doctor
from cli.checks.finding import fault, ok, warn


def test_checks_that_want_the_same_done_share_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    findings = [
        ok("database", "it answers"),
        fault("temporal", "Temporal does not answer", "start it"),
        warn("mail", "none is sent", "start it"),
        fault("reported faults", "Temporal does not answer, says a process", "start it"),
        fault("reported faults", "the store is away, says a process", "mend it"),
        fault("reported faults", "the store is full, says a process", "mend it"),
    ]
    doctor._print(findings, well=False)
    assert capsys.readouterr().out.split("\n\n")[1].splitlines() == [
        "fault, temporal, reported faults: start it",
        "warn, mail: start it",
        "fault, reported faults: mend it",
    ]
