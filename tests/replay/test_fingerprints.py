"""The committed order of commands is the one of the source; and what would break a replay changes it."""

import pytest

from scripts import workflow_fingerprints
from scripts.workflow_fingerprints import fingerprints

SOURCE = """
from temporalio import workflow
call = workflow.execute_activity_method

class Job:
    async def run(self):
        await self._first()
        if self.ready:
            await workflow.sleep(10)
        else:
            await call(Activities.second, 1)

    async def _first(self):
        await call(Activities.first, self.ref, **OPTIONS)

    def _quiet(self):
        return self.ref
"""

BEFORE = {
    "jobs.Job.run": [
        "-> self._first",
        "if {",
        "workflow.sleep()",
        "orelse {",
        "workflow.execute_activity_method(Activities.second)",
        "}",
        "}",
    ],
    "jobs.Job._first": ["workflow.execute_activity_method(Activities.first)"],
}


def test_the_baseline_is_up_to_date() -> None:
    assert workflow_fingerprints.written() == workflow_fingerprints.BASELINE.read_text(), workflow_fingerprints.CHANGED


def test_a_fingerprint() -> None:
    assert fingerprints({"jobs": SOURCE}) == BEFORE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Activities.second", "Activities.third"),
        ("await workflow.sleep(10)", "pass"),
        ("await self._first()\n", "pass\n"),
        ("        await self._first()", "        if workflow.patched('why'):\n            await self._first()"),
        ("        if self.ready:", "        while self.ready:"),
        ("return self.ref", "return workflow.uuid4()"),
    ],
)
def test_what_changes_it(old: str, new: str) -> None:
    assert old in SOURCE
    assert fingerprints({"jobs": SOURCE.replace(old, new)}) != BEFORE


@pytest.mark.parametrize(
    ("old", "new"),
    [("**OPTIONS", "**PATIENT"), ("self.ref\n", "None\n"), ("sleep(10)", "sleep(self.pause)  # longer")],
)
def test_what_does_not(old: str, new: str) -> None:
    assert old in SOURCE
    assert fingerprints({"jobs": SOURCE.replace(old, new)}) == BEFORE


def test_it_is_compared_by_the_command_too() -> None:
    assert workflow_fingerprints.main(["--check"]) == 0
