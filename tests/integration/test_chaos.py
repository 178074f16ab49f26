"""A short `make chaos`: parts are killed under load, and every receipt is computed again from the public JSON."""

from pathlib import Path

import pytest

import bench.stack
from bench.chaos.__main__ import Plan, run
from tests.support import fork_server


@pytest.mark.timeout(600)
async def test_no_credit_is_unaccounted_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ending of which there is no receipt is a violation, too."""
    monkeypatch.setattr(bench.stack, "spawn", fork_server.spawn)
    assert await run(Plan(seconds=2, seed=7, clients=6, calls=200, folder=tmp_path)) == []
