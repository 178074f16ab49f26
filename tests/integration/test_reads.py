"""Reads by one statement, outside of a transaction."""

import pytest

from db import connections, engine
from db.engine import Database
from db.faults import place
from db.outage import Outage
from domain.errors import ServiceUnavailable
from tests.support.fault_lines import FaultLines

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


async def test_a_server_that_takes_a_statement_and_does_nothing_is_given_up(
    app_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process without work would wait for it for ever: the server's own timeouts stand still with it."""
    monkeypatch.setattr(engine, "MAX_SILENCE_SECONDS", 0.5)
    monkeypatch.setattr(connections, "WRITABLE", "SELECT pg_sleep(600)")
    faults = FaultLines()
    database = Database.open(app_url, outage=Outage(app_url, faults))
    with pytest.raises(ServiceUnavailable):
        await database.check_writable()
    await database.close()
    assert faults.lines == [f"{place(app_url)}: the database does not answer"]
