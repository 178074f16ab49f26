"""The sweeper against a real Postgres: it ends what expired, wherever it runs, and waits for nobody."""

import asyncio

import psycopg

from db.audit import audit
from db.engine import Database
from db.sweeper import Sweeper
from db.writer import LedgerWriter
from tests.integration.bank import balance, open_account, reserve

EXPIRE = "UPDATE holds SET lease_until = now() - interval '1 minute' WHERE state = 'open'"


async def test_expired_holds_end_once_whoever_sweeps(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    customers = [await open_account(database, ledger, 1000) for _ in range(3)]
    for customer in customers:
        for _ in range(3):
            await ledger.ask(reserve(customer, 100))
    sweeper = Sweeper(database)
    assert await sweeper.sweep() == 0
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(EXPIRE)
        await connection.execute(
            "UPDATE holds SET relayed_output = 30 WHERE account_id = %s", [customers[0].account_id]
        )
    await asyncio.gather(*(Sweeper(database).sweep() for _ in range(4)))
    assert await balance(database_url, customers[0]) == (1000 - 3 * 30, 0, 0)
    assert await balance(database_url, customers[1]) == (1000, 0, 0)
    assert await sweeper.sweep() == 0
    async with database.connection() as connection:
        report = await audit(connection)
    assert report.clean, report.counts


async def test_a_locked_account_does_not_keep_the_others_waiting(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    locked, free = await open_account(database, ledger, 1000), await open_account(database, ledger, 1000)
    await ledger.ask(reserve(locked, 100))
    await ledger.ask(reserve(free, 100))
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(EXPIRE)
    async with await psycopg.AsyncConnection.connect(database_url) as operator:
        await operator.execute("SELECT FROM accounts WHERE id = %s FOR UPDATE", [locked.account_id])
        assert await Sweeper(database).sweep() == 1
        assert await balance(database_url, free) == (1000, 0, 0)
    assert await Sweeper(database).sweep() == 1
    assert await balance(database_url, locked) == (1000, 0, 0)


async def test_a_locked_account_with_many_holds_does_not_hide_the_others(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    locked, *free = [await open_account(database, ledger, 1000) for _ in range(3)]
    for customer, holds in ((locked, 5), (free[0], 5), (free[1], 1)):
        for _ in range(holds):
            await ledger.ask(reserve(customer, 100))
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(EXPIRE)
        await connection.execute(
            "UPDATE holds SET lease_until = lease_until - interval '1 hour' WHERE account_id = %s", [locked.account_id]
        )
    async with await psycopg.AsyncConnection.connect(database_url) as operator:
        await operator.execute("SELECT FROM accounts WHERE id = %s FOR UPDATE", [locked.account_id])
        assert await Sweeper(database, batch=3).sweep() == 6
    assert await Sweeper(database, batch=3).sweep() == 5
    assert await balance(database_url, locked) == (1000, 0, 0)
