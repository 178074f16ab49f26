"""A COMMIT that happened and whose reply was lost: read back by key, charged once, never left in doubt."""

import asyncio

from db.audit import audit
from db.engine import Database
from db.writer import LedgerWriter
from domain.ledger import Closed, Reserved
from tests.doubles.cutting_proxy import CuttingProxy
from tests.integration.bank import Customer, balance, open_account, reserve, settle

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
