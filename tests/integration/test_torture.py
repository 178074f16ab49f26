"""A short `make torture`: parts are killed and paused under media jobs at every vendor; then each job is looked at."""

from pathlib import Path

import pytest

import bench.stack
from bench.torture.__main__ import Plan, run
from bench.torture.nemesis import FAULTS
from tests.support import fork_server


@pytest.mark.timeout(600)
async def test_every_job_ends_once_whatever_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.stack, "spawn", fork_server.spawn)
    report = await run(Plan(seed=32, jobs=24, kills=len(FAULTS), folder=tmp_path, apis=1, quick=True))
    assert report.violations == []
    assert len(report.faults) == len(FAULTS)
    assert {state for _, state in report.states} >= {"succeeded", "failed"}
    assert all(check.looked_at for check in report.checks)
