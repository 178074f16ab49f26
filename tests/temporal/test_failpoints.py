"""A worker that is to die at a certain instant dies there, not before and not after; and with none set, never."""

import json
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUBMITTED = [
    "storage.read",
    "jobs.request",
    "jobs.intend_submit",
    "provider.find",
    "provider.submit",
    "provider.leaves",
    "provider.submitted",
]
RECORDED = [*SUBMITTED, "jobs.record_submitted"]
COPIED = [*RECORDED, "provider.fetch", "storage.put"]
KILLED = -signal.SIGKILL

FATES = {
    "submit:before": [KILLED, []],
    "submit:between": [KILLED, SUBMITTED],
    "submit:after": [KILLED, RECORDED],
    "copy:before": [KILLED, RECORDED],
    "copy:between": [KILLED, COPIED],
    "copy:after": [KILLED, COPIED],
    "end:before": [0, COPIED],
}


def test_it_dies_exactly_there() -> None:
    command = [sys.executable, "-m", "tests.support.temporal.failpoint_child", *FATES]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == FATES
