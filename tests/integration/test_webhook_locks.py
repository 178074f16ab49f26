"""Attempts, and what an owner changes meanwhile, take their locks in one order: neither ends the other."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from db import accounts, deliveries
from db import webhooks as stored
from db.data_keys import Sealing
from db.engine import Database
from db.writer import LedgerWriter
from domain.webhooks import Answer, DeliveryState
from gateway.deliveries import Deliveries
from gateway.webhooks import EndpointOrder, Webhooks
from tests.support.bank import WRAPPING, Customer, open_account
from tests.support.stack import eventually

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"


class Gone:
    async def deliver(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        return Answer(410, latency=timedelta(seconds=1))


@pytest.fixture
def webhooks(database: Database) -> Webhooks:
    return of(database)


def of(database: Database) -> Webhooks:
    return Webhooks(database, Sealing(WRAPPING), lambda _url: None, 16)


@pytest.fixture
async def customer(database: Database, ledger: LedgerWriter) -> Customer:
    return await open_account(database, ledger, 0)


@pytest.fixture
async def endpoint(webhooks: Webhooks, customer: Customer) -> UUID:
    created, _, _ = await webhooks.create(customer.account_id, EndpointOrder("https://receiver.example/"), None)
    return created.id


async def blocked(url: str) -> None:
    async def somebody_waits() -> bool:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            row = await (await connection.execute(WAITING)).fetchone()
        return row is not None and row[0] > 0

    assert await eventually(somebody_waits)


async def test_an_endpoint_is_deleted_while_an_attempt_begins(
    database: Database, database_url: str, webhooks: Webhooks, customer: Customer, endpoint: UUID
) -> None:
    delivery_id = await webhooks.test(customer.account_id, endpoint)
    async with database.transaction() as session:
        row = await deliveries.find(session, delivery_id, lock=True)
        assert row is not None
        deleting = asyncio.create_task(webhooks.delete(customer.account_id, endpoint))
        await blocked(database_url)
        assert await deliveries.lock_endpoint(session, row) is not None
    await deleting
    async with database.reading() as session:
        assert await deliveries.find(session, delivery_id) is None


@pytest.mark.parametrize("what", ["test", "gone"])
async def test_an_endpoint_is_changed_meanwhile(
    database: Database, database_url: str, customer: Customer, endpoint: UUID, what: str
) -> None:
    """Whoever changes an endpoint locks its account first, then the endpoint."""
    webhooks = of(database)
    delivery_id = await webhooks.test(customer.account_id, endpoint)
    attempts = Deliveries(database, Sealing(WRAPPING), Gone())
    does = webhooks.test(customer.account_id, endpoint) if what == "test" else attempts.attempt(delivery_id, 0)
    async with database.transaction() as session:  # as of another process
        await accounts.lock(session, customer.account_id)
        doing = asyncio.create_task(does)
        await blocked(database_url)
        assert (await stored.endpoint(session, customer.account_id, endpoint, lock=True)).enabled
    await doing
    assert (await webhooks.find(customer.account_id, endpoint)).enabled is (what == "test")
    async with database.reading() as session:
        row = await deliveries.find(session, delivery_id)
    assert row is not None
    assert (row.state == DeliveryState.PENDING) is (what == "test")
