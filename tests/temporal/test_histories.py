"""Real runs of every kind, over synthetic jobs: replayed at once, and stored for the replay tests when asked to.

They run with the plain converter: what is stored can be read by whoever has to judge a failing replay.
"""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer

from fleets import SANDBOX, WORKFLOWS, build_id
from temporal.client import plain_converter
from tests.support.temporal.fleet import World
from tests.support.temporal.scenarios import SCENARIOS

HISTORIES = Path(__file__).parents[1] / "replay" / "histories"
AT_OTHER_TIMES = (
    "media-succeeded",
    "media-succeeded-with-the-answer",
    "media-failed-at-copy",
    "media-cancelled-by-its-caller",
)


@pytest.fixture
async def plain(dev_server: str) -> Client:
    """Names no machine and no process in what it writes."""
    return await Client.connect(dev_server, data_converter=plain_converter(), identity="tests")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All scenarios when they are to be stored; a few at other times: the stored ones are replayed anyway."""
    if "name" in metafunc.fixturenames:
        exporting = metafunc.config.getoption("--export-histories", default=False)
        metafunc.parametrize("name", SCENARIOS if exporting else AT_OTHER_TIMES)


def test_each_scenario_has_a_stored_history() -> None:
    assert {path.stem for path in HISTORIES.glob("*.json")} == set(SCENARIOS)


async def test_a_run_replays(plain: Client, name: str, request: pytest.FixtureRequest) -> None:
    handle = await SCENARIOS[name](World(plain))
    history = await handle.fetch_history()
    text = json.dumps(without_places(json.loads(history.to_json())), indent=1, sort_keys=True) + "\n"
    replayer = Replayer(
        workflows=WORKFLOWS, data_converter=plain_converter(), workflow_runner=SANDBOX, build_id=build_id()
    )
    result = await replayer.replay_workflow(WorkflowHistory.from_json(handle.id, text))
    assert result.replay_failure is None
    if request.config.getoption("--export-histories", default=False):
        HISTORIES.mkdir(exist_ok=True)
        (HISTORIES / f"{name}.json").write_text(text)


def without_places(part: Any) -> Any:
    """Without the stack traces of failures: they name the folders of a machine."""
    if isinstance(part, list):
        return [without_places(one) for one in part]
    if not isinstance(part, dict):
        return part
    cleaned = {name: without_places(value) for name, value in part.items()}
    if "encodedAttributes" in cleaned:
        sealed = cleaned["encodedAttributes"]
        attributes = json.loads(base64.b64decode(sealed["data"])) | {"stack_trace": ""}
        sealed["data"] = base64.b64encode(json.dumps(attributes).encode()).decode()
    return cleaned
