"""What ran yesterday goes on with the code of today: every stored history replays, under the strict sandbox.

The folder `histories` is the list of what must keep working. Its files come from real runs over synthetic jobs:
`pytest tests/temporal/test_histories.py --export-histories` writes them anew.
"""

import base64
import json
import re
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, WorkflowReplayResult

from fleets import SANDBOX, WORKFLOWS, build_id
from temporal.client import plain_converter
from tests.support.temporal.changed import CHANGES

HISTORIES = Path(__file__).parent / "histories"
FILES = sorted(HISTORIES.glob("*.json"))
SOURCES = sorted((Path(__file__).parents[2] / "workflows").glob("*.py"))


async def replay(path: Path, *workflows: type) -> WorkflowReplayResult:
    text = path.read_text()  # noqa: ASYNC240  # a test waits for nobody else
    replayer = Replayer(
        workflows=workflows, data_converter=plain_converter(), workflow_runner=SANDBOX, build_id=build_id()
    )
    return await replayer.replay_workflow(WorkflowHistory.from_json(path.stem, text))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_yesterdays_runs_still_replay(path: Path) -> None:
    assert (await replay(path, *WORKFLOWS)).replay_failure is None


@pytest.mark.parametrize("changed", CHANGES)
async def test_a_changed_order_does_not(changed: type) -> None:
    """Any exception will do: which one it is depends on the kind of change."""
    with pytest.raises(Exception, match=r"."):
        await replay(HISTORIES / "media-succeeded.json", changed)


def test_there_are_histories_of_every_kind_of_end() -> None:
    names = {path.stem for path in FILES}
    assert len(names) >= 10
    assert all(any(kind in name for name in names) for kind in ("succeeded", "failed", "cancelled", "maintenance"))


def workflow_of(path: Path) -> str:
    first, *_ = json.loads(path.read_text())["events"]
    return str(first["workflowExecutionStartedEventAttributes"]["workflowType"]["name"])


def test_every_workflow_has_a_history() -> None:
    assert {workflow_of(path) for path in FILES} == {workflow.__name__ for workflow in WORKFLOWS}


def patches(path: Path) -> set[str]:
    """The changes that a history was made with."""
    events = json.loads(path.read_text())["events"]
    markers = [event["markerRecordedEventAttributes"] for event in events if "markerRecordedEventAttributes" in event]
    payloads = [marker["details"]["patch-data"]["payloads"][0]["data"] for marker in markers]
    return {json.loads(base64.b64decode(payload))["id"] for payload in payloads}


def test_every_change_of_a_workflow_has_a_history() -> None:
    named = {patch for path in SOURCES for patch in re.findall(r'patched\("([^"]+)"\)', path.read_text())}
    assert named == set().union(*map(patches, FILES))
