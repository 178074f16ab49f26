"""A database with data is upgraded from the release before, while a process of that release writes."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any

import psycopg

from db import migrate
from db.audit import audit
from db.engine import Database
from db.writer import LedgerWriter
from domain.results import Reserved
from tests.support import documents
from tests.support.bank import balance, open_account, reserve, settle, void

BEFORE = "0008"
WAITS = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE NOT l.granted AND d.datname = current_database()
"""


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[Database, LedgerWriter]]:
    database = Database.open(url)
    async with LedgerWriter(url) as ledger:
        yield database, ledger
    await database.close()


async def wait_for_a_waiter(connection: psycopg.AsyncConnection[Any]) -> None:
    while (await (await connection.execute(WAITS)).fetchone()) == (0,):
        await connection.execute("SELECT pg_sleep(0.02)")


async def test_an_upgrade_that_meets_a_deadlock_begins_again(database_url: str, app_url: str) -> None:
    async with opened(database_url) as (database, ledger):
        customer = await open_account(database, ledger, 1000)
        ended, running = reserve(customer, 40), reserve(customer, 40)
        for one in (ended, running):
            assert isinstance(await ledger.ask(one), Reserved)
        await ledger.ask(settle(customer, ended.hold_id, 30))
    migrate.downgrade(database_url, BEFORE)
    async with await psycopg.AsyncConnection.connect(database_url) as older:
        await older.execute("SET deadlock_timeout = '30s'")  # the upgrade is hit first, unless this machine is busy
        await older.execute("SELECT FROM accounts FOR UPDATE")  # a batch: the accounts first, then the holds
        upgrade = asyncio.create_task(asyncio.to_thread(migrate.upgrade, database_url, app_url))
        await wait_for_a_waiter(older)
        with contextlib.suppress(psycopg.errors.DeadlockDetected):
            await older.execute("SELECT FROM holds FOR UPDATE")
        await older.rollback()
        assert await upgrade
    migrate.check(database_url)
    async with opened(app_url) as (database, ledger):
        await ledger.ask(void(customer, running.hold_id))
        assert await balance(database_url, customer) == (970, 0, 0)
        async with database.connection() as connection:
            report = await audit(connection)
        assert report.clean, report
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        filled = await connection.execute("SELECT account_id FROM api_key_secrets")
        assert await filled.fetchall() == [(customer.account_id,)]


INDEX = "SELECT pg_get_indexdef(%s::regclass)"


def test_an_index_that_the_guide_builds_ahead_is_the_one_of_the_migration(database_url: str, app_url: str) -> None:
    """Without a lock, on a database of the release before. The migration then finds it."""
    (snippet,) = [one for one in documents.snippets() if one.language == "sql"]
    (name,) = re.findall(r"CREATE INDEX CONCURRENTLY (\w+)", snippet.text)
    with psycopg.connect(database_url, autocommit=True) as connection:
        made = connection.execute(INDEX, [name]).fetchone()
        migrate.downgrade(database_url, "0029")
        connection.execute(snippet.text.encode())
        assert migrate.upgrade(database_url, app_url)
        assert connection.execute(INDEX, [name]).fetchone() == made
