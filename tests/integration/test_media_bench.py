"""A short `python -m bench.media`: each part runs, and gives its figures."""

from pathlib import Path

import pytest

from bench.media.__main__ import run
from bench.media.figures import Part, Plan

SMALLEST = Plan(rounds=1, calls=1, jobs=2, turns=1, waiting=2, listeners=10, changes=2, seconds=1)


@pytest.mark.timeout(600)
async def test_each_part_is_measured(tmp_path: Path) -> None:
    result = await run(SMALLEST, tmp_path)
    values = {figure.name: figure.rounds for figure in result.figures}
    assert {figure.part for figure in result.figures} == set(Part)
    assert values["jobs at the vendor"] == [2]
    assert values["listeners that failed"] == values["connections to PostgreSQL for all of them"] == [0]
    assert all(each > 0 for each in values["jobs a second, workers: 2"])
    assert all(figure.value for figure in result.figures)
