"""Reads by one statement, outside of a transaction."""

import pytest

from db.engine import Database
from domain.errors import ServiceUnavailable

ENDED = "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(600)"
"""It sleeps, so that no answer can come before its end."""


async def test_a_read_that_loses_its_connection_leaves_none_of_it(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        with pytest.raises(ServiceUnavailable):
            await database.rows(ENDED, {})
    assert await database.rows("SELECT %(one)s::int", {"one": 1}) == [(1,)]
    assert [record.name for record in caplog.records if record.name.startswith("sqlalchemy")] == []
