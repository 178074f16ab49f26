"""The sweeper against a real Postgres: it ends what expired, wherever it runs, and waits for nobody."""

import asyncio

import psycopg
import structlog

from db import holds
from db.audit import audit
from db.engine import Database
from db.sweeper import Sweeper
from db.writer import LedgerWriter
from tests.support.bank import balance, open_account, reserve

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
    for customer, calls in ((locked, 5), (free[0], 5), (free[1], 1)):
        for _ in range(calls):
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


async def test_an_account_whose_holds_cannot_be_ended_stops_nobody(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    broken, healthy = await open_account(database, ledger, 1000), await open_account(database, ledger, 1000)
    for customer in (broken, healthy):
        await ledger.ask(reserve(customer, 100))
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(EXPIRE)
        await connection.execute("UPDATE accounts SET held = 0 WHERE id = %s", [broken.account_id])
        await connection.execute(
            "UPDATE holds SET lease_until = lease_until - interval '1 hour' WHERE account_id = %s", [broken.account_id]
        )
    sweeper = Sweeper(database)
    with structlog.testing.capture_logs() as lines:
        assert await sweeper.sweep() == 1
        assert await sweeper.sweep() == 0
    assert await balance(database_url, healthy) == (1000, 0, 0)
    (line,) = [line for line in lines if line["log_level"] == "error"]
    assert line["where"] == f"account {broken.account_id}"
    assert (line["count"], line["faults"], len(line["holds"])) == (1, ["AssertionError"], 1)
    async with database.reading() as session:
        assert (await holds.figures(session)).overdue == 1
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("UPDATE accounts SET held = 100 WHERE id = %s", [broken.account_id])
    with structlog.testing.capture_logs() as lines:
        assert await sweeper.sweep() == 1
    assert "expired holds cannot be ended: mended" in [line["event"] for line in lines]
    assert await balance(database_url, broken) == (1000, 0, 0)


async def test_one_hold_that_cannot_be_ended_stops_no_other_of_its_account(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    customer = await open_account(database, ledger, 1000)
    broken, *others = [reserve(customer, 100) for _ in range(4)]
    for operation in (broken, *others):
        await ledger.ask(operation)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(EXPIRE)
        await connection.execute(
            "UPDATE holds SET amount = 5000, lease_until = lease_until - interval '1 hour' WHERE id = %s",
            [broken.hold_id],
        )
    assert await Sweeper(database, batch=2).sweep() == 1
    assert await Sweeper(database).sweep() == 2
    assert await balance(database_url, customer) == (900, 100, 1)
