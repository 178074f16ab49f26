"""The ledger asked by several processes at once: no deadlock, and each operation its own verdict."""

import asyncio
import contextlib
import uuid
from collections.abc import Sequence
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg import sql

from db import keys, refunds
from db.engine import Database
from db.sweeper import Sweeper
from db.writer import LedgerWriter
from dev.postgres import EmbeddedPostgres
from domain.authority import Authority
from domain.operations import Adjust, Admit, Grant, Operation
from tests.integration.test_ledger import proven
from tests.support.bank import Customer, balance, open_account, reserve
from tests.support.doubles.faulty_wire import FaultyWire, Point, Way
from tests.support.ledger.client import GIVEN_UP, Client
from tests.support.ledger.load import committed
from tests.support.ledger.result_codec import EncodedResult
from tests.support.stack import eventually

PROCESSES, BATCHES = 4, 10_000
LEGAL = {
    "Reserve": {"Reserved", "InsufficientCredits", "CallerUnknown", "HoldClosed", "HoldVoided"},
    "Extend": {"Extended", "InsufficientCredits", "HoldClosed", "NotFound"},
    "Renew": {"Renewed", "HoldClosed", "NotFound"},
    "Settle": {"Closed", "HoldVoided", "NotFound"},
    "Void": {"Closed"},
    "Sweep": {"Closed", "HoldClosed", "NotFound"},
    "Refund": {"Closed", "NotFound"},
    "Grant": {"Granted"},
    "Adjust": {"Granted", "BelowZero"},
}


async def operate(database: Database, customers: Sequence[Customer], done: asyncio.Event) -> int:
    """What goes on beside: leases run out and are swept, charges are given back, keys come and are revoked."""
    rounds = 0
    while not done.is_set():
        async with database.transaction() as session:
            connection = await session.connection()
            await connection.exec_driver_sql(
                "UPDATE holds SET lease_until = now() WHERE id IN (SELECT id FROM holds WHERE state = 'open' LIMIT 5 "
                "FOR UPDATE SKIP LOCKED)"
            )
        await Sweeper(database).sweep()
        await _refund_one(database)
        owner = customers[rounds % len(customers)].account_id
        key_id = uuid.uuid4()
        async with database.transaction() as session:
            await keys.create(
                session,
                owner,
                keys.NewKey(key_id, f"token {key_id}", keys.KeyTraits(""), Authority(frozenset({"chat"}))),
            )
        async with database.transaction() as session:
            await keys.revoke(session, owner, key_id)
        rounds += 1
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), 0.1)  # it is the batches that are to be many
    return rounds


async def _refund_one(database: Database) -> None:
    async with database.connection() as connection:
        row = (
            await connection.exec_driver_sql("SELECT id FROM holds WHERE charged > 0 AND refunded = 0 LIMIT 1")
        ).first()
    if row is not None:
        async with database.transaction() as session:
            await refunds.refund(session, row[0], "for the test")


@pytest.mark.timeout(400)
async def test_no_deadlock_in_ten_thousand_batches_of_four_processes(
    postgres: EmbeddedPostgres, database: Database, database_url: str
) -> None:
    """PostgreSQL looks for deadlocks long before the writer's own limit on waiting would hide one."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as admin:
        name = sql.Identifier(admin.info.dbname)
        for setting, value in (("deadlock_timeout", "10ms"), ("log_min_messages", "error")):
            await admin.execute(sql.SQL("ALTER DATABASE {} SET {} = {}").format(name, sql.Identifier(setting), value))
        mark = postgres.log.stat().st_size
        async with LedgerWriter(database_url) as ledger:
            customers = [await open_account(database, ledger, 1_000_000) for _ in range(12)]
        done = asyncio.Event()
        beside = asyncio.create_task(operate(database, customers, done))
        try:
            each = BATCHES // PROCESSES
            results = await asyncio.gather(*(committed(database_url, customers, n, each) for n in range(PROCESSES)))
        finally:
            done.set()
            rounds = await beside
        assert rounds > 10
        await provoke(database_url, customers[:2])
        assert await eventually(partial(deadlocks, admin)) == 1  # the one that proves that one would be seen
        assert postgres.log.read_bytes()[mark:].count(b"deadlock detected") == 1
    await all_legal(database, [pair for of in results for pair in of])


async def all_legal(database: Database, results: Sequence[tuple[Operation, EncodedResult]]) -> None:
    for operation, result in results:
        assert result[0] in LEGAL[type(operation).__name__], (operation, result)
    async with database.connection() as connection:
        rows = (await connection.exec_driver_sql("SELECT id, state, charged FROM holds")).all()
    holds: dict[Any, tuple[Any, ...]] = {row.id: (row.state, row.charged) for row in rows}
    for operation, result in results:
        if isinstance(operation, Grant | Adjust | Admit):
            continue
        kind, *rest = result
        if kind == "Closed":
            assert holds[operation.hold_id] == tuple(rest[:2]), (operation, result)
        elif kind == "Reserved":
            assert operation.hold_id in holds
    report = await proven(database)
    assert set(report.counts) <= {"hold_expired"}, report.findings


async def deadlocks(admin: psycopg.AsyncConnection[Any]) -> int:
    cursor = await admin.execute(
        "SELECT deadlocks FROM pg_stat_database, pg_stat_clear_snapshot() WHERE datname = current_database()"
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def provoke(url: str, customers: Sequence[Customer]) -> None:
    one, other = (customer.account_id for customer in customers)
    lock = "SELECT FROM accounts WHERE id = %s FOR UPDATE"

    async def take(second: uuid.UUID, connection: psycopg.AsyncConnection[Any]) -> bool:
        try:
            await connection.execute(lock, [second])
        except psycopg.errors.DeadlockDetected:
            await connection.rollback()
            return True
        return False

    connect = psycopg.AsyncConnection.connect
    async with await connect(url) as left, await connect(url) as right:
        await left.execute(lock, [one])
        await right.execute(lock, [other])
        assert any(await asyncio.gather(take(other, left), take(one, right)))


async def test_each_process_hears_its_own_verdicts_among_fifty_neighbours(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    """A duplicate id, an overflow, an unknown account and a locked row, in two processes at once."""
    customer, locked = await open_account(database, ledger, 100_000), await open_account(database, ledger, 1000)
    shared = uuid.uuid4()
    strange: list[tuple[Operation, str]] = [
        (reserve(customer, 50, shared), "Reserved"),
        (Grant(customer.account_id, 2**62, "overflow"), "AmountTooLarge"),
        (Grant(uuid.uuid4(), 5, "to nobody"), "NotFound"),
        (reserve(locked, 10), "Reserved"),
    ]
    batches = [
        [*(reserve(customer, 100) for _ in range(25)), *(one for one, _ in strange)]
        + [reserve(customer, 100) for _ in range(25)]
        for _ in range(2)
    ]
    async with Client(database_url) as left, Client(database_url) as right:
        clients = (left, right)
        async with await psycopg.AsyncConnection.connect(database_url) as operator:
            await operator.execute("SELECT FROM accounts WHERE id = %s FOR UPDATE", [locked.account_id])
            for client, batch in zip(clients, batches, strict=True):
                await client.send(batch)
            results = [dict([await client.next() for _ in range(53)]) for client in clients]  # all but the locked one
        late = [await client.next() for client in clients]
    for received, (number, result) in zip(results, late, strict=True):
        assert number == 28
        received[number] = result
        assert [received[25 + n][0] for n in range(4)] == [expected for _, expected in strange]
        assert sum(one[:2] == ("Reserved", 100) for one in received.values()) == 50
    assert await balance(database_url, customer) == (100_000 - 10_050, 10_050, 101)
    assert await balance(database_url, locked) == (990, 10, 1)
    assert (await proven(database)).clean


async def test_a_cancelled_caller_is_given_back_what_two_processes_did_for_it(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    """It leaves in the middle of the batch: its hold is released, its neighbours' stay."""
    customer = await open_account(database, ledger, 100_000)

    async def one() -> dict[int, EncodedResult]:
        async with FaultyWire(database_url) as wire, Client(wire.url) as client:
            await client.ask([reserve(customer, 0)])
            left = asyncio.Event()

            async def leave() -> bool:
                await client.give_up(25)
                await left.wait()
                return True

            wire.arm(Point(Way.FORTH, 2), leave)
            await client.send([reserve(customer, 100) for _ in range(51)])
            results = dict([await client.next()])
            left.set()
            results |= dict([await client.next() for _ in range(50)])
            assert wire.fired
            return results

    for results in await asyncio.gather(one(), one()):
        assert results.pop(25) == GIVEN_UP
        assert all(result[:2] == ("Reserved", 100) for result in results.values())
    assert await balance(database_url, customer) == (100_000 - 2 * 10 - 10_000, 10_020, 102)
    assert (await proven(database)).clean
