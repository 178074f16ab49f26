"""A COMMIT that happened and whose reply was lost: read back by key, charged once, never left in doubt."""

import asyncio
from datetime import timedelta

import pytest

from db.audit import audit
from db.engine import Database
from db.writer import LedgerWriter
from domain.errors import ServiceUnavailable
from domain.results import Closed, Reserved
from tests.support.bank import Customer, balance, open_account, reserve, settle
from tests.support.doubles.cutting_proxy import CuttingProxy
from tests.support.stack import eventually

CALLS = 60


async def call(ledger: LedgerWriter, customer: Customer) -> int:
    held = await ledger.ask(reserve(customer, 100))
    assert isinstance(held, Reserved)
    closed = await ledger.ask(settle(customer, held.hold_id, 40))
    assert isinstance(closed, Closed)
    return closed.charged


async def test_a_lost_reply_to_a_commit_changes_nothing(database: Database, database_url: str) -> None:
    async with CuttingProxy(database_url) as proxy, LedgerWriter(proxy.url) as ledger:
        customer = await open_account(database, ledger, 100_000)
        proxy.cuts_left = 12
        charges = await asyncio.gather(*(call(ledger, customer) for _ in range(CALLS)))
        while proxy.cuts_left:
            charges.append(await call(ledger, customer))
    assert proxy.cut == 12
    assert set(charges) == {40}
    assert await balance(database_url, customer) == (100_000 - 40 * len(charges), 0, 0)
    async with database.connection() as connection:
        report = await audit(connection)
    assert report.clean, report.counts


async def settled_without_an_answer(proxy: CuttingProxy, ledger: LedgerWriter, customer: Customer) -> None:
    """A settle whose commit happened, whose reply was lost, and whose caller was told 503."""
    held = await ledger.ask(reserve(customer, 100))
    assert isinstance(held, Reserved)
    proxy.cuts_left, proxy.refusing = 1, True
    ledger._timeout = 1.0  # only now: what comes before may take its time
    with pytest.raises(ServiceUnavailable):
        await ledger.ask(settle(customer, held.hold_id, 40))

    async def lost() -> bool:
        return proxy.cut == 1

    assert await eventually(lost)


async def test_a_caller_that_was_told_503_is_not_left_charged(database: Database, database_url: str) -> None:
    async with CuttingProxy(database_url) as proxy, LedgerWriter(proxy.url) as ledger:
        customer = await open_account(database, ledger, 1000)
        await settled_without_an_answer(proxy, ledger, customer)
        assert await balance(database_url, customer) == (960, 0, 0)  # it had happened
        proxy.refusing = False

        async def given_back() -> bool:
            return await balance(database_url, customer) == (1000, 0, 0)

        assert await eventually(given_back)
    async with database.connection() as connection:
        report = await audit(connection)
    assert report.clean, report.counts


async def test_a_connection_into_the_void_does_not_stop_the_ledger(database: Database, database_url: str) -> None:
    async with CuttingProxy(database_url) as proxy, LedgerWriter(proxy.url, timeout=timedelta(seconds=30)) as ledger:
        customer = await open_account(database, ledger, 1000)
        proxy.stalled.set()
        waiting = asyncio.create_task(call(ledger, customer))
        await asyncio.sleep(0.2)
        proxy.stalled.clear()  # for new connections; the old one has swallowed what it was given
        assert await waiting == 40
    assert await balance(database_url, customer) == (960, 0, 0)
