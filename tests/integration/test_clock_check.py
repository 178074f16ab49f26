"""A clock that is wrong is a line, before the audit finds times that cannot be."""

from datetime import UTC, datetime, timedelta

import pytest

from db.clock_check import MAX_DIFFERENCE, WHAT, WHERE, check
from db.engine import Database
from tests.support.fault_lines import FaultLines


@pytest.mark.parametrize("way", [1, -1], ids=["ahead", "behind"])
async def test_a_wrong_clock_is_told_and_one_that_is_right_again(database: Database, way: int) -> None:
    faults = FaultLines()
    await check(database, faults, lambda: datetime.now(UTC) + way * MAX_DIFFERENCE * 100)
    assert faults.lines == [f"{WHERE}: {WHAT}"]
    await check(database, faults, lambda: datetime.now(UTC) + way * timedelta(milliseconds=1))
    assert faults.lines[1:] == [f"{WHERE}: mended"]
