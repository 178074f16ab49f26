"""Once it is known that PostgreSQL takes requests and does nothing, nobody waits to learn it again."""

import asyncio
import time
from datetime import timedelta
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import AsyncConnection
from sqlmodel import select

from db import connections, engine, ledger_lane
from db.engine import Database
from db.outage import Outage
from db.writer import LedgerWriter
from domain.errors import ServiceUnavailable
from domain.results import Closed, Reserved
from tests.support.bank import balance, open_account, reserve, settle
from tests.support.doubles.cutting_proxy import CuttingProxy
from tests.support.fault_lines import FaultLines
from tests.support.stack import eventually

SILENCE = 0.5
LATE = 3.0


async def test_a_silent_server_fails_what_begins_at_once_until_it_answers(
    app_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MAX_SILENCE_SECONDS", SILENCE)
    monkeypatch.setattr(ledger_lane, "MAX_SILENCE", timedelta(seconds=SILENCE))
    monkeypatch.setattr(engine, "OUTAGE_PAUSE_SECONDS", 0.05)
    async with CuttingProxy(app_url) as proxy:
        faults = FaultLines()
        outage = Outage(proxy.url, faults)
        database = Database.open(proxy.url, outage=outage)
        async with LedgerWriter(proxy.url, outage=outage) as ledger:
            customer = await open_account(database, ledger, 1000)
            held = await ledger.ask(reserve(customer, 10))
            assert isinstance(held, Reserved)
            watching = asyncio.create_task(database.watch_outage())
            proxy.stalled.set()
            assert await eventually(lambda: asyncio.sleep(0, outage.silent))
            for _ in range(3):
                assert isinstance(ledger.submit(reserve(customer, 10)).result(), ServiceUnavailable)
                with pytest.raises(ServiceUnavailable):
                    database.rows("SELECT 1", {}).send(None)
                with pytest.raises(ServiceUnavailable):
                    database.check_writable().send(None)
            assert not ledger.submit(settle(customer, held.hold_id, 1)).done(), "what ends a call was given up"
            proxy.stalled.clear()
            assert await eventually(lambda: asyncio.sleep(0, not outage.silent))
            assert await database.rows("SELECT 1", {}) == [(1,)]
            assert isinstance(await ledger.ask(reserve(customer, 10)), Reserved)
            watching.cancel()
        await database.close()
    assert len({line for line in faults.lines if "mended" not in line}) == 1


async def test_whoever_waits_when_the_server_falls_silent_ends_as_soon_as_that_is_known(
    app_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled = list[AsyncConnection[Any]]()

    async def cancel(connection: AsyncConnection[Any], *, timeout: float) -> None:  # noqa: ASYNC109
        cancelled.append(connection)

    async with CuttingProxy(app_url) as proxy:
        outage = Outage(proxy.url, FaultLines())
        database = Database.open(proxy.url, outage=outage)
        async with LedgerWriter(proxy.url, outage=outage) as ledger:
            customer = await open_account(database, ledger, 1000)
            held = await ledger.ask(reserve(customer, 10))
            assert isinstance(held, Reserved)
            monkeypatch.setattr(engine, "MAX_SILENCE_SECONDS", SILENCE)
            monkeypatch.setattr(AsyncConnection, "_try_cancel", cancel)
            reading, stalled = asyncio.Event(), asyncio.Event()

            async def read_on() -> None:
                async with database.reading() as session:
                    reading.set()
                    await stalled.wait()
                    await session.exec(select(1))

            async def write_on() -> None:
                async with database.transaction() as session:
                    await stalled.wait()
                    await session.exec(select(1))

            waiting: list[asyncio.Future[Any]] = [asyncio.create_task(read_on()), asyncio.create_task(write_on())]
            await reading.wait()
            proxy.stalled.set()
            stalled.set()
            settling = ledger.submit(settle(customer, held.hold_id, 1))
            waiting += [asyncio.ensure_future(ledger.ask(reserve(customer, 10))) for _ in range(2)]
            waiting.append(asyncio.create_task(database.check_writable()))
            waiting.append(asyncio.ensure_future(database.rows("SELECT 1", {})))
            ended = await asyncio.gather(*waiting, return_exceptions=True)
            assert {type(each) for each in ended} == {ServiceUnavailable}
            assert outage.silent
            assert cancelled == []
            assert not settling.done(), "what ends a call was given up"
            proxy.stalled.clear()
            closed = await settling
            assert isinstance(closed, Closed)
            assert (closed.charged, closed.available) == (10, 990)

            async def undone() -> bool:
                return await balance(app_url, customer) == (990, 0, 0)

            assert await eventually(undone), "what failed holds credits"
        await database.close()


async def test_one_connection_that_is_lost_is_no_silent_server(app_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_lane, "MAX_SILENCE", timedelta(seconds=SILENCE))
    async with CuttingProxy(app_url) as proxy:
        outage = Outage(proxy.url, FaultLines())
        database = Database.open(proxy.url, outage=outage)
        async with LedgerWriter(proxy.url, outage=outage) as ledger:
            customer = await open_account(database, ledger, 1000)
            proxy.stalled.set()
            waiting = ledger.submit(reserve(customer, 10))
            while ledger.available:  # noqa: ASYNC110  # at once: the next attempt is a moment away
                await asyncio.sleep(0)
            proxy.stalled.clear()  # before the next attempt: only what was sent on the first connection is lost
            begun = [ledger.submit(reserve(customer, 10)), waiting]
            assert await database.rows("SELECT 1", {}) == [(1,)]
            assert {type(each) for each in await asyncio.gather(*begun)} == {Reserved}
        await database.close()


async def test_a_process_that_is_late_itself_ends_no_connection(app_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer has come. Whoever reads so late takes no server for silent, nor the work of others away."""
    monkeypatch.setattr(engine, "MAX_READ_SECONDS", LATE)
    database = Database.open(app_url, outage=Outage(app_url, FaultLines()))
    with psycopg.connect(app_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(3517)")
        async with database.transaction() as session:
            assert (await session.exec(select(1))).one() == 1
            query: LiteralString = "SELECT 1 FROM pg_advisory_xact_lock(3517)"
            reading = asyncio.create_task(database.rows(query, {}))
            waits = "SELECT 1 FROM pg_locks WHERE objid = 3517 AND NOT granted"
            assert await eventually(lambda: asyncio.sleep(0, other.execute(waits).fetchone()))
            waiting_since = time.monotonic()
            other.execute("SELECT pg_advisory_unlock(3517)")
            answered = "SELECT 1 FROM pg_stat_activity WHERE query = %s AND state = 'idle'"
            while not other.execute(answered, [query]).fetchone() or time.monotonic() < waiting_since + LATE:
                time.sleep(0.01)  # noqa: ASYNC251  # the event loop stands still
            await asyncio.gather(reading, return_exceptions=True)
            assert (await session.exec(select(1))).one() == 1
    await database.close()


async def test_a_server_that_is_gone_after_a_silence_is_named_so(app_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MAX_SILENCE_SECONDS", SILENCE)
    monkeypatch.setattr(engine, "OUTAGE_PAUSE_SECONDS", 0.05)
    faults = FaultLines()
    async with CuttingProxy(app_url) as proxy:
        outage = Outage(proxy.url, faults)
        database = Database.open(proxy.url, outage=outage)
        await database.check_writable()
        watching = asyncio.create_task(database.watch_outage())
        proxy.stalled.set()
        assert await eventually(lambda: asyncio.sleep(0, outage.silent))
    try:
        assert await eventually(lambda: asyncio.sleep(0, any("nothing listens there" in line for line in faults.lines)))
    finally:
        watching.cancel()
        await database.close()


async def test_room_is_tried_with_a_file_that_is_gone_again(database: Database, database_url: str) -> None:
    connection = await connections.connect(database_url, "test", {})
    async with connection:
        files = "SELECT temp_files FROM pg_stat_database WHERE datname = current_database()"
        [before] = await (await connection.execute(files)).fetchall()
        await connections.check_room(connection)
        await connection.execute("SELECT pg_stat_force_next_flush()")
        [after] = await (await connection.execute(files)).fetchall()
        assert after[0] > before[0]
        assert await (await connection.execute("SELECT * FROM pg_ls_tmpdir()")).fetchall() == []
        await connection.execute("SET temp_file_limit = '64kB'")
        await connections.check_room(connection)
