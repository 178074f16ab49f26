"""Connections of the pool that their server has closed are replaced before they are used, with few questions to it."""

from unittest.mock import Mock

import psycopg
import pytest
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlmodel import text

from db import pings
from db.engine import Database

BACKEND = text("SELECT pg_backend_pid()")


async def backend(database: Database, *, writes: bool = False) -> int:
    async with database.transaction() if writes else database.reading() as session:
        return int((await (await session.connection()).execute(BACKEND)).scalar_one())


async def test_a_connection_that_was_used_just_now_is_not_pinged(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ping = Mock(return_value=True)
    monkeypatch.setattr(PGDialect_psycopg, "do_ping", ping)
    monkeypatch.setattr(pings, "MAX_TRUSTED_SECONDS", 60.0)
    first = await backend(database)
    assert [await backend(database, writes=writes) for writes in (True, False)] == [first, first]
    ping.assert_not_called()
    monkeypatch.setattr(pings, "MAX_TRUSTED_SECONDS", 0.0)
    assert await backend(database) == first
    ping.assert_called_once()


@pytest.mark.parametrize("trusted", [0.0, 60.0])
@pytest.mark.parametrize("writes", [True, False])
async def test_what_a_server_has_closed_is_replaced(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch, trusted: float, writes: bool
) -> None:
    monkeypatch.setattr(pings, "MAX_TRUSTED_SECONDS", trusted)
    first = await backend(database)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other:
        await other.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    assert await backend(database, writes=writes) != first
