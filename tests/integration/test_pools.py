"""The pool of a process that starts: a burst of first calls finds its connections open."""

import asyncio
from collections.abc import Mapping
from typing import Any

import psycopg
import pytest

from db import connections, engine
from db.engine import Database
from dev.postgres import EmbeddedPostgres
from domain.errors import ServiceUnavailable
from server import STRANGERS_POOL
from settings import Settings
from tests.support.own_stack import own_stack

SIZE = 3
OPEN = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = 'yout'"


def opened(url: str, name: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(OPEN, [name]).fetchone()
    assert row is not None
    return int(row[0])


async def test_a_warm_pool_is_whole_and_opens_no_more(database_url: str, app_url: str) -> None:
    database, name = Database.open(app_url, pool=SIZE), database_url.rpartition("/")[2]
    try:
        assert opened(database_url, name) == 0
        await database.warm()
        assert opened(database_url, name) == SIZE
        await asyncio.gather(*(database.rows("SELECT pg_sleep(0.05)", {}) for _ in range(4 * SIZE)))
        assert opened(database_url, name) == SIZE
    finally:
        await database.close()


async def test_a_pool_without_a_server_is_left_cold() -> None:
    database = Database.open("postgresql://nobody@127.0.0.1:1/yout", pool=SIZE)
    await database.warm()
    with pytest.raises(ServiceUnavailable):
        await database.rows("SELECT 1", {})
    await database.close()


async def test_of_a_server_that_opens_some_and_hangs_no_connection_is_lost(
    database_url: str, app_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, begun, name = connections.opened, list[object](), database_url.rpartition("/")[2]

    async def some(opening: Mapping[str, Any]) -> psycopg.AsyncConnection[Any]:
        begun.append(opening)
        if len(begun) == SIZE:
            await asyncio.Event().wait()
        return await really(opening)

    monkeypatch.setattr(connections, "opened", some)
    monkeypatch.setattr(engine, "MAX_SILENCE_SECONDS", 2)
    database = Database.open(app_url, pool=SIZE)
    try:
        await database.warm()
        assert opened(database_url, name) == SIZE - 1
        await asyncio.gather(*(database.rows("SELECT pg_sleep(0.05)", {}) for _ in range(SIZE)))
        assert opened(database_url, name) == SIZE
    finally:
        await database.close()


def test_an_api_process_has_its_connections_before_its_first_call(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stack = own_stack(postgres, tmp_path_factory, "pools", "")
    pool = Settings.model_fields["database_pool"].default
    with stack.running("api"):
        assert opened(postgres.url, stack.database_url.rpartition("/")[2]) == pool + STRANGERS_POOL
