"""A short `python -m bench.media`: its parts run, and give their figures."""

from pathlib import Path

import pytest

import bench.stack
from bench.media.__main__ import run
from bench.media.figures import Part, Plan
from tests.support import fork_server

PARTS = (Part.ACCEPT, Part.LISTEN, Part.BEGIN, Part.WAIT)
"""Without the one that starts workers again and again: it is the longest."""
SMALLEST = Plan(parts=PARTS, rounds=1, calls=1, jobs=2, turns=1, waiting=2, listeners=10, changes=2, seconds=1)


@pytest.mark.timeout(600)
async def test_the_parts_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.stack, "spawn", fork_server.spawn)
    result = await run(SMALLEST, tmp_path)
    values = {figure.name: figure.rounds for figure in result.figures}
    assert {figure.part for figure in result.figures} == set(PARTS)
    assert values["jobs at the vendor"] == [2]
    assert values["listeners that failed"] == [0]
    assert all(figure.value for figure in result.figures)
