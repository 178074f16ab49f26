"""A connection of the pool is tried before it is lent, unless it has answered a moment ago."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
import pytest

from db import checkouts, engine
from db.engine import Database, raw
from db.faults import place
from db.outage import Outage
from domain.errors import ServiceUnavailable
from tests.support.fault_lines import FaultLines

LONG, NEVER = 600.0, 0.0
OWN = "SELECT pg_backend_pid()"


@pytest.fixture
async def single(app_url: str) -> AsyncIterator[Database]:
    database = Database.open(app_url, pool=1)
    yield database
    await database.close()


@pytest.fixture
def pings(single: Database, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    seen: list[Any] = []
    dialect = single._engine.sync_engine.dialect
    ask: Callable[[Any], bool] = dialect.do_ping

    def counted(connection: Any) -> bool:
        seen.append(connection)
        return ask(connection)

    monkeypatch.setattr(dialect, "do_ping", counted)
    return seen


async def test_a_read_does_not_ask_what_has_answered_a_moment_ago(
    single: Database, pings: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkouts, "TRUSTED_SECONDS", LONG)
    assert await single.rows(OWN, {}) == await single.rows(OWN, {})
    assert len(pings) == 0
    async with single.reading():
        assert len(pings) == 1, "nothing bounds how long a session waits"
    async with single.transaction():
        assert len(pings) == 2
    monkeypatch.setattr(checkouts, "TRUSTED_SECONDS", NEVER)
    await single.rows(OWN, {})
    assert len(pings) == 3


@pytest.mark.parametrize("seconds", [LONG, NEVER])
async def test_a_connection_that_ended_is_replaced_before_a_read(
    single: Database, database_url: str, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(checkouts, "TRUSTED_SECONDS", seconds)
    ((before,),) = await single.rows(OWN, {})
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as operator:
        ended = await operator.execute("SELECT pg_terminate_backend(%s, 60000)", [before])
        assert await ended.fetchone() == (True,)
    ((after,),) = await single.rows(OWN, {})
    assert after != before


async def test_a_server_that_is_frozen_is_given_up_in_the_middle_of_a_read(
    app_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkouts, "TRUSTED_SECONDS", LONG)
    faults = FaultLines()
    database = Database.open(app_url, pool=1, outage=Outage(app_url, faults))
    await database.rows(OWN, {})
    monkeypatch.setattr(engine, "MAX_READ_SECONDS", 0.5)
    with pytest.raises(ServiceUnavailable):
        await database.rows("SELECT pg_sleep(600)", {})
    await database.close()
    assert faults.lines == [f"{place(app_url)}: the database does not answer"]


async def test_a_read_that_fails_leaves_transactions_as_they_are(single: Database) -> None:
    ((before,),) = await single.rows(OWN, {})
    with pytest.raises(psycopg.errors.DivisionByZero):
        await single.rows("SELECT 1 / %(zero)s::int", {"zero": 0})
    async with single.transaction() as session:
        driver = await raw(session)
        assert (driver.info.backend_pid, driver.autocommit) == (before, False)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("at", [1, 2, 3])
async def test_a_read_that_is_cancelled_gives_its_connection_back(
    single: Database, monkeypatch: pytest.MonkeyPatch, at: int, times: int
) -> None:
    """In a busy process the driver lets others run first, whatever it does: each await may be the one."""
    await single.rows(OWN, {})
    steps, wait = 0, psycopg.AsyncConnection.wait

    async def busy(connection: Any, *given: Any, **options: Any) -> Any:
        nonlocal steps
        steps += 1
        done = await wait(connection, *given, **options)
        if at <= steps < at + times:
            raise asyncio.CancelledError
        return done

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.AsyncConnection, "wait", busy)
        with pytest.raises(asyncio.CancelledError):
            await single.rows(OWN, {})
    assert single._engine.sync_engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    async with single.transaction() as session:
        assert (await raw(session)).autocommit is False
