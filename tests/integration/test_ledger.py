"""The group-commit ledger against a real Postgres, with real concurrency."""

import asyncio
import random
import uuid
from collections.abc import Sequence

import psycopg
import pytest

from db import keys, migrate
from db.audit import Report, audit
from db.engine import Database
from db.writer import LedgerWriter
from domain.errors import CallerUnknown, GatewayError, HoldVoided, InsufficientCredits, KeyReused, NotFound
from domain.holds import HoldState
from domain.operations import Grant, Operation, Reserve, Settle, Sweep
from domain.results import Answer, Closed, Reserved
from tests.support.bank import Customer, balance, open_account, reserve, settle, void


async def outcome(ledger: LedgerWriter, operation: Operation) -> Answer | GatewayError:
    try:
        return await ledger.ask(operation)
    except GatewayError as error:
        return error


async def proven(database: Database) -> Report:
    async with database.connection() as connection:
        return await audit(connection)


def test_migrations_build_what_the_code_says_and_go_back(database_url: str) -> None:
    def built_by() -> set[str]:
        with psycopg.connect(database_url) as connection:
            schema = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' UNION SELECT proname FROM pg_proc p "
                "JOIN pg_namespace n ON n.oid = p.pronamespace WHERE nspname = 'public'"
            ).fetchall()
        return {str(row[0]) for row in schema} - {"alembic_version"}

    migrate.check(database_url)  # raises where the two differ
    built = built_by()
    assert {"accounts", "holds", "lines", "transactions", "lock_batch", "write_batch"} <= built
    migrate.downgrade(database_url)
    assert built_by() == set()
    migrate.upgrade(database_url)
    migrate.upgrade(database_url)
    migrate.check(database_url)
    assert built_by() == built


async def test_a_balance_never_goes_below_zero_whatever_runs_at_once(database: Database, database_url: str) -> None:
    """400 attempts (200 ids, each twice, over two writers) to hold 10 of 1000: exactly 100 ids are accepted."""
    async with LedgerWriter(database_url) as one, LedgerWriter(database_url) as other:
        customer = await open_account(database, one, 1000)
        operations = [reserve(customer, 10) for _ in range(200)] * 2
        random.Random(7).shuffle(operations)
        results = await asyncio.gather(
            *(outcome(one if n % 2 else other, operation) for n, operation in enumerate(operations))
        )
    accepted = {result.hold_id for result in results if isinstance(result, Reserved)}
    assert len(accepted) == 100
    assert all(isinstance(result, Reserved | InsufficientCredits) for result in results)
    assert await balance(database_url, customer) == (0, 1000, 100)
    assert (await proven(database)).clean


async def test_every_operation_of_a_batch_gets_its_own_verdict(database: Database, ledger: LedgerWriter) -> None:
    customer = await open_account(database, ledger, 10_000)
    twice = reserve(customer, 50)
    await ledger.ask(twice)
    stranger = Customer(uuid.uuid4(), customer.token[:-1] + "!")
    strange: Sequence[tuple[Operation, type]] = [
        (twice, Reserved),
        (reserve(customer, 60, twice.hold_id), Reserved),
        (reserve(stranger, 50), CallerUnknown),
        (reserve(customer, 2**61), InsufficientCredits),
        (settle(customer, uuid.uuid4(), 5), NotFound),
        (Grant(uuid.uuid4(), 5, "to nobody"), NotFound),
    ]
    neighbours = [reserve(customer, 100) for _ in range(50)]
    mixed: list[Operation] = [*neighbours[:25], *(operation for operation, _ in strange), *neighbours[25:]]
    batches = ledger.batches
    results = await asyncio.gather(*(outcome(ledger, operation) for operation in mixed))
    assert ledger.batches - batches <= 2
    assert sum(isinstance(v, Reserved) and v.amount == 100 for v in results) == 50
    for (_, expected), result in zip(strange, results[25:31], strict=True):
        assert isinstance(result, expected), result
    assert (await proven(database)).clean


async def test_a_reference_that_two_accounts_race_for_is_granted_once(database: Database, database_url: str) -> None:
    async with LedgerWriter(database_url) as one, LedgerWriter(database_url) as other:
        ann, bob = await open_account(database, one, 0), await open_account(database, one, 0)
        results = await asyncio.gather(
            *(outcome(one, Grant(ann.account_id, 5, f"r{n}")) for n in range(20)),
            *(outcome(other, Grant(bob.account_id, 5, f"r{n}")) for n in range(20)),
        )
    refused = [v for v in results if isinstance(v, GatewayError)]
    assert [type(v) for v in refused] == [KeyReused] * 20
    assert (await balance(database_url, ann))[0] + (await balance(database_url, bob))[0] == 100
    assert (await proven(database)).clean


async def test_a_locked_account_waits_and_its_neighbours_do_not(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    locked, free = await open_account(database, ledger, 1000), await open_account(database, ledger, 1000)
    async with await psycopg.AsyncConnection.connect(database_url) as operator:
        await operator.execute("SELECT FROM accounts WHERE id = %s FOR UPDATE", [locked.account_id])
        waiting = asyncio.create_task(outcome(ledger, reserve(locked, 10)))
        results = await asyncio.gather(*(outcome(ledger, reserve(free, 10)) for _ in range(50)))
        assert all(isinstance(result, Reserved) for result in results)
        assert not waiting.done()
    assert isinstance(await waiting, Reserved)
    assert (await proven(database)).clean


async def test_a_revoked_key_holds_nothing_from_its_commit_on(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    customer = await open_account(database, ledger, 100_000)
    async with database.reading() as session:
        caller = await keys.authenticate(session, customer.token)
    accepted_after = 0
    revoked = asyncio.Event()

    async def calls() -> None:
        nonlocal accepted_after
        for _ in range(40):
            late = revoked.is_set()
            result = await outcome(ledger, reserve(customer, 10))
            accepted_after += late and isinstance(result, Reserved)

    async def revoke() -> None:
        await asyncio.sleep(0.02)
        assert caller.key is not None
        async with database.transaction() as session:
            await keys.revoke(session, customer.account_id, caller.key.key_id)
        revoked.set()

    await asyncio.gather(*(calls() for _ in range(8)), revoke())
    assert accepted_after == 0
    assert isinstance(await outcome(ledger, reserve(customer, 10)), CallerUnknown)
    with pytest.raises(CallerUnknown):
        async with database.reading() as session:
            await keys.authenticate(session, customer.token)


async def test_what_a_caller_gave_up_on_is_given_back(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    customer = await open_account(database, ledger, 1000)
    held = await ledger.ask(reserve(customer, 100))
    assert isinstance(held, Reserved)
    futures = [ledger.submit(reserve(customer, 10)) for _ in range(20)]
    charged = ledger.submit(settle(customer, held.hold_id, 50))
    await asyncio.sleep(0)  # the batch is on its way
    for result in [*futures, charged]:
        result.cancel()
    for _ in range(100):
        await asyncio.sleep(0.05)
        if await balance(database_url, customer) in {(1000, 0, 0), (900, 100, 1)}:
            break
    assert await balance(database_url, customer) in {(1000, 0, 0), (900, 100, 1)}  # refunded, or never begun
    assert (await proven(database)).clean


async def test_a_writer_whose_connection_dies_asks_again_and_nothing_happens_twice(
    database: Database, database_url: str
) -> None:
    async with LedgerWriter(database_url) as ledger:
        customer = await open_account(database, ledger, 100_000)

        async def call() -> int:
            held = await ledger.ask(reserve(customer, 100))
            assert isinstance(held, Reserved)
            closed = await ledger.ask(settle(customer, held.hold_id, 40))
            assert isinstance(closed, Closed)
            return closed.charged

        async def kill() -> None:
            async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as killer:
                for _ in range(12):
                    await asyncio.sleep(0.03)
                    await killer.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'yout-ledger'"
                    )

        async def calls() -> list[int]:
            return [await call() for _ in range(20)]

        charges, _ = await asyncio.gather(asyncio.gather(*(calls() for _ in range(8))), kill())
    assert sum(map(sum, charges)) == 160 * 40
    assert await balance(database_url, customer) == (100_000 - 160 * 40, 0, 0)
    report = await proven(database)
    assert report.clean, report.counts


async def test_expired_holds_are_swept_once(database: Database, ledger: LedgerWriter, database_url: str) -> None:
    customer = await open_account(database, ledger, 1000)
    operation = reserve(customer, 100)
    await ledger.ask(operation)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("UPDATE holds SET lease_until = now() - interval '1 minute', relayed_output = 30")
    assert (await proven(database)).counts == {"hold_expired": 1}
    sweeps = await asyncio.gather(*(outcome(ledger, Sweep(operation.hold_id, customer.account_id)) for _ in range(5)))
    assert [closed.repeated for closed in sweeps if isinstance(closed, Closed)] == [False, True, True, True, True]
    assert await balance(database_url, customer) == (970, 0, 0)
    late = await outcome(ledger, settle(customer, operation.hold_id, 90))
    assert isinstance(late, Closed)
    assert (late.state, late.charged, late.repeated) == (HoldState.SETTLED, 30, True)


async def test_a_hold_id_of_another_account_is_refused(database: Database, ledger: LedgerWriter) -> None:
    ann, bob = await open_account(database, ledger, 100), await open_account(database, ledger, 100)
    taken = reserve(ann, 10)
    await ledger.ask(taken)
    assert isinstance(await outcome(ledger, reserve(bob, 10, taken.hold_id)), KeyReused)
    await ledger.ask(void(ann, taken.hold_id))
    assert isinstance(await outcome(ledger, taken), HoldVoided)


@pytest.mark.parametrize("table", ["transactions", "lines"])
async def test_the_books_are_append_only(
    database: Database, ledger: LedgerWriter, database_url: str, table: str
) -> None:
    await open_account(database, ledger, 100)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE", f"UPDATE {table} SET account_id = NULL"):
            with pytest.raises(psycopg.errors.RestrictViolation):
                await connection.execute(statement)


def test_reserve_and_settle_are_values() -> None:
    """Operations are idempotent by id, so asking again must ask the same."""
    customer = Customer(uuid.UUID(int=1), "t")
    assert reserve(customer, 5, uuid.UUID(int=2)) == reserve(customer, 5, uuid.UUID(int=2))
    assert isinstance(reserve(customer, 5), Reserve)
    assert isinstance(settle(customer, uuid.UUID(int=2), 3), Settle)
