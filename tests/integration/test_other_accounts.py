"""What another account has made is never handed out, even where a row says that it is this account's."""

from datetime import timedelta
from uuid import uuid4

import psycopg

from db.data_keys import Sealing
from db.engine import Database
from db.media import MediaJobs
from db.media_orders import Order
from db.writer import LedgerWriter
from domain.caller import Payer
from domain.media import Kind, MediaRequest
from domain.operations import IdempotencyClaim
from domain.pricing import FlatTerms
from tests.support.bank import WRAPPING, Customer, balance, open_account

PRICE = 100


def _order(customer: Customer) -> Order:
    request = MediaRequest(kind=Kind.IMAGE, model="image", prompt="a lake")
    claim = IdempotencyClaim(b"s" * 32, b"f" * 32)
    price = FlatTerms(PRICE, "v1")
    return Order(uuid4(), Payer(customer.digest), Kind.IMAGE, "demo-image", "demo", price, request, claim=claim)


async def test_a_key_that_names_another_accounts_job_is_free(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    jobs = MediaJobs(database, Sealing(WRAPPING), output_lifetime=timedelta(hours=1))
    owner, other = [await open_account(database, ledger, 1000) for _ in range(2)]
    theirs = (await jobs.accept(_order(other))).job
    mine = (await jobs.accept(_order(owner))).job
    assert (await jobs.accept(_order(owner))).job.id == mine.id
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(
            "UPDATE idempotency SET hold_id = %s WHERE account_id = %s", [theirs.id, owner.account_id]
        )
    accepted = await jobs.accept(_order(owner))
    assert not accepted.replayed
    assert accepted.job.account_id == owner.account_id
    assert accepted.job.id not in (mine.id, theirs.id)
    assert (await jobs.accept(_order(owner))).job.id == accepted.job.id
    assert await balance(database_url, owner) == (1000 - 2 * PRICE, 2 * PRICE, 2)
    assert await balance(database_url, other) == (1000 - PRICE, PRICE, 1)
