"""What one account has locked, or floods, its neighbours do not notice.

Who waits for a lock waits here for a second: no machine is so slow that calls take as long without one.
"""

import asyncio
import contextlib
import os
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from db import keys, ledger_lane
from db.engine import Database
from db.keys import KeyTraits, NewKey
from db.writer import LedgerWriter
from domain import keys as tokens
from domain.authority import Authority
from domain.operations import IdempotencyClaim, Operation
from domain.results import Reserved
from tests.integration.test_ledger import outcome, proven
from tests.support.bank import Customer, balance, open_account, reserve, settle
from tests.support.doubles.frozen_writer import frozen_in_a_batch

CALLS = 120
OWNERS_KEYS = 12
WAIT_SECONDS = 1.0
RARE = 0.03
"""The share of calls that may take so long by chance. One batch in twenty tries the account that is locked."""


@pytest.fixture(autouse=True)
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ledger_lane.SETTINGS, "lock_timeout", f"{WAIT_SECONDS * 1000:.0f}ms")


async def calls(ledger: LedgerWriter, customer: Customer, count: int = CALLS) -> list[float]:
    """How long each of some calls took, one after the other."""
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        held = await ledger.ask(reserve(customer, 10))
        assert isinstance(held, Reserved)
        await ledger.ask(settle(customer, held.hold_id, 5))
        taken.append(time.perf_counter() - began)
    return taken


def undisturbed(taken: Sequence[float]) -> bool:
    """Whether they waited for no lock."""
    return sum(one >= WAIT_SECONDS for one in taken) <= RARE * len(taken)


async def with_keys(database: Database, customer: Customer, count: int = OWNERS_KEYS) -> list[Customer]:
    """The same account, by some keys of its own."""
    owners = [Customer(customer.account_id, tokens.mint(os.urandom(32))) for _ in range(count)]
    async with database.transaction() as session:
        for owner in owners:
            new = NewKey(uuid.uuid4(), owner.token, KeyTraits("one of many"), Authority(tokens.SCOPES))
            await keys.create(session, customer.account_id, new)
    return owners


@contextlib.asynccontextmanager
async def locked(url: str, statement: str, *parameters: object) -> AsyncIterator[None]:
    """By another process, in a transaction that does nothing more."""
    async with await psycopg.AsyncConnection.connect(url) as operator:
        await operator.execute(statement, parameters)
        yield
        await operator.rollback()


@contextlib.asynccontextmanager
async def flood(ledger: LedgerWriter, operations: Sequence[Operation]) -> AsyncIterator[list[asyncio.Task[object]]]:
    """All of them at once, while the block runs; each is answered in the end."""
    tasks: list[asyncio.Task[object]] = [asyncio.create_task(outcome(ledger, operation)) for operation in operations]
    await asyncio.sleep(0.1)  # they have met the lock
    yield tasks


ACCOUNT = "SELECT FROM accounts WHERE id = %s FOR UPDATE"
KEYS = "SELECT FROM api_keys WHERE account_id = %s FOR UPDATE"
HOLDS = "SELECT FROM holds WHERE account_id = %s FOR UPDATE"


@pytest.mark.parametrize("lock", [ACCOUNT, KEYS, HOLDS])
async def test_neighbours_of_a_locked_account_do_not_notice(
    database: Database, ledger: LedgerWriter, database_url: str, lock: str
) -> None:
    """Its owner calls with many keys, and ends calls that were begun before."""
    owner, neighbour = await open_account(database, ledger, 100_000), await open_account(database, ledger, 100_000)
    owners = await with_keys(database, owner)
    open_holds = [await ledger.ask(reserve(one, 100)) for one in owners]
    operations: list[Operation] = [settle(owner, held.hold_id, 50) for held in open_holds if isinstance(held, Reserved)]
    if lock != HOLDS:
        operations += [reserve(one, 100) for one in owners]
    async with locked(database_url, lock, owner.account_id), flood(ledger, operations) as waiting:
        during = await calls(ledger, neighbour)
        assert not any(task.done() for task in waiting)
    results = await asyncio.gather(*waiting)
    assert {type(result).__name__ for result in results} <= {"Closed", "Reserved"}
    assert undisturbed(during)
    assert (await balance(database_url, owner))[2] == len(operations) - OWNERS_KEYS
    assert (await proven(database)).clean


async def test_neighbours_of_a_lock_that_shows_only_in_writing_do_not_notice(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    """The row of an Idempotency-Key that has expired, in the hands of who is about to delete it."""
    owner, neighbour = await open_account(database, ledger, 100_000), await open_account(database, ledger, 100_000)
    claim = IdempotencyClaim(b"scope" * 4, b"fingerprint", remembered=timedelta(hours=1))
    call = reserve(owner, 100)
    claiming = replace(call, claim=claim)
    expired = (
        "INSERT INTO idempotency (account_id, scope, fingerprint, hold_id, expires_at) "
        "VALUES (%s, %s, 'x', %s, now() - interval '1 hour')"
    )
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as operator:
        await operator.execute(expired, (owner.account_id, claim.scope, uuid.uuid4()))
    row = "SELECT FROM idempotency WHERE account_id = %s FOR UPDATE"
    async with locked(database_url, row, owner.account_id), flood(ledger, [claiming]) as waiting:
        during = await calls(ledger, neighbour)
        assert not waiting[0].done()
    result = await waiting[0]
    assert isinstance(result, Reserved)
    assert result.claimed
    assert undisturbed(during)


async def test_neighbours_of_a_frozen_process_do_not_notice(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    """It has locked ten accounts in one batch; their owners call here too, and are served once it is cut off."""
    owners = [await open_account(database, ledger, 1000) for _ in range(10)]
    neighbour = await open_account(database, ledger, 100_000)
    with frozen_in_a_batch(database_url, [reserve(owner, 30) for owner in owners]) as frozen:
        async with flood(ledger, [reserve(owner, 500) for owner in owners]) as waiting:
            during = await calls(ledger, neighbour)
            results = await asyncio.gather(*waiting)
    assert [type(result) for result in [*results, *frozen.results]] == [Reserved] * 20
    assert undisturbed(during)
    assert {(await balance(database_url, owner))[1] for owner in owners} == {530}


async def test_neighbours_of_a_flood_do_not_notice(database: Database, ledger: LedgerWriter) -> None:
    """Thousands of calls of one account wait: another's next call is in the very next batch."""
    owner, neighbour = await open_account(database, ledger, 10**9), await open_account(database, ledger, 100_000)
    await ledger.ask(reserve(owner, 10))
    async with flood(ledger, [reserve(owner, 10) for _ in range(3000)]) as waiting:
        batches = ledger.batches
        await calls(ledger, neighbour, 2)
        assert ledger.batches - batches <= 10
        assert not all(task.done() for task in waiting)
    assert {type(result) for result in await asyncio.gather(*waiting)} == {Reserved}


async def test_calls_of_one_account_in_two_processes_are_all_served_beside_a_locked_one(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    """Both processes meet each other's locks on the shared account; that is no reason to wait for the locked one."""
    owner, shared = await open_account(database, ledger, 100_000), await open_account(database, ledger, 1_000_000)
    async with LedgerWriter(database_url) as other:

        async def both() -> list[float]:
            taken = await asyncio.gather(*(calls(writer, shared, 60) for writer in (ledger, other, ledger, other)))
            return [one for some in taken for one in some]

        async with locked(database_url, ACCOUNT, owner.account_id), flood(other, [reserve(owner, 10)] * 3):
            during = await both()
    assert undisturbed(during)
    assert (await proven(database)).clean


async def change(database: Database, owner: Customer) -> None:
    """One of its keys, by its owner's hand."""
    async with database.transaction(account=owner.account_id) as session:
        key = (await keys.authenticate(session, owner.token)).key
        assert key is not None
        await keys.change(session, owner.account_id, key.key_id, KeyTraits("other"), Authority(tokens.SCOPES))


async def test_neighbours_of_many_changes_to_one_account_do_not_notice(
    database: Database, ledger: LedgerWriter
) -> None:
    """Forty parallel changes of its keys, again and again, while its owner calls."""
    owner, neighbour = await open_account(database, ledger, 100_000), await open_account(database, ledger, 100_000)
    done = asyncio.Event()

    async def changes() -> None:
        while not done.is_set():
            await change(database, owner)

    async def call() -> None:
        while not done.is_set():
            assert isinstance(await ledger.ask(reserve(owner, 10)), Reserved)

    beside = [asyncio.create_task(changes()) for _ in range(40)] + [asyncio.create_task(call())]
    during = await calls(ledger, neighbour)
    done.set()
    await asyncio.gather(*beside)
    assert undisturbed(during)


async def test_changes_to_a_locked_account_leave_connections_to_others(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    owner, neighbour = await open_account(database, ledger, 100), await open_account(database, ledger, 100)
    async with locked(database_url, ACCOUNT, owner.account_id):
        changes = [asyncio.create_task(change(database, owner)) for _ in range(40)]
        for _ in range(20):  # without a connection, this is a 503
            async with database.reading() as session:
                await keys.authenticate(session, neighbour.token)
        assert not any(task.done() for task in changes)
    await asyncio.gather(*changes)
