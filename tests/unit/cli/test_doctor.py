"""What `yout doctor` prints below its table: each thing to do is one line."""

import pytest

from cli import doctor
from cli.checks.finding import fault, ok, warn


def test_checks_that_want_the_same_done_share_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    findings = [
        ok("database", "it answers"),
        fault("temporal", "Temporal does not answer", "start it"),
        warn("mail", "none is sent", "start it"),
        fault("worker faults", "Temporal does not answer, says a worker", "start it"),
        fault("worker faults", "the store is away, says a worker", "mend it"),
        fault("worker faults", "the store is full, says a worker", "mend it"),
    ]
    doctor._print(findings, well=False)
    assert capsys.readouterr().out.split("\n\n")[1].splitlines() == [
        "fault, temporal, worker faults: start it",
        "warn, mail: start it",
        "fault, worker faults: mend it",
    ]
