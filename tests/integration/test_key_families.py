"""Two processes ask for the children of one key at once: together they stay within its limits, exactly."""

import asyncio
import os
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

import psycopg
import pytest

from db import keys
from db.engine import Database
from db.keys import KeyTraits, NewKey
from db.writer import LedgerWriter
from domain import keys as tokens
from domain.authority import Authority
from domain.errors import GatewayError, RateLimited
from domain.limits import Limits
from domain.operations import Settle, Void
from domain.results import Reserved
from tests.integration.test_ledger import proven
from tests.support.bank import Customer, balance, open_account, reserve, settle, void

CALLS, CREDITS, CHARGED, FIT = 60, 25, 14, 8


async def family(database: Database, account_id: uuid.UUID, limits: Limits) -> tuple[uuid.UUID, list[Customer]]:
    """A limited key, and three below it without limits, each made by the one before."""
    ids, customers = list[uuid.UUID](), list[Customer]()
    async with database.transaction() as session:
        for depth in range(4):
            key_id, token = uuid.uuid4(), tokens.mint(os.urandom(32))
            authority = Authority(tokens.SCOPES, Limits() if depth else limits)
            new = NewKey(key_id, token, KeyTraits("k"), authority, tuple(reversed(ids)))
            await keys.create(session, account_id, new)
            ids.append(key_id)
            customers.append(Customer(account_id, token))
    return ids[0], customers[1:]


async def counted(url: str, key_id: uuid.UUID) -> tuple[int, int]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute("SELECT open_holds, day_credits FROM api_keys WHERE id = %s", [key_id])
        row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1]


@pytest.mark.parametrize(
    "limits", [Limits(concurrent=FIT), Limits(credits_day=FIT * CREDITS), Limits(credits_month=FIT * CREDITS)]
)
async def test_children_together_stay_within_their_parents_limits(
    database: Database, ledger: LedgerWriter, app_url: str, database_url: str, limits: Limits
) -> None:
    customer = await open_account(database, ledger, 100_000)
    parent, children = await family(database, customer.account_id, limits)
    async with LedgerWriter(app_url) as other:
        writers = (ledger, other)
        reservations = [writers[n % 2].ask(reserve(children[n % 3], CREDITS)) for n in range(CALLS)]
        answers = await asyncio.gather(*reservations, return_exceptions=True)
        held = [answer for answer in answers if isinstance(answer, Reserved)]
        assert len(held) == FIT
        assert all(isinstance(answer, Reserved | GatewayError) for answer in answers), answers
        assert await counted(database_url, parent) == (FIT, FIT * CREDITS)
        ends: list[Settle | Void] = [void(customer, one.hold_id) for one in held[1:]]
        ends.append(settle(customer, held[0].hold_id, CHARGED))
        await asyncio.gather(*(writers[n % 2].ask(end) for n, end in enumerate(ends)))
    assert await counted(database_url, parent) == (0, CHARGED)
    assert await balance(database_url, customer) == (100_000 - CHARGED, 0, 0)
    await proven(database)


async def rows(url: str, query: str, *values: object) -> Sequence[tuple[datetime, ...]]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return await (await connection.execute(query.encode(), values)).fetchall()


def taken(begun: Sequence[datetime]) -> datetime:
    """The moment at which all is free again after so many calls, each of which had its place in the minute."""
    arrival, minute = begun[0], timedelta(minutes=1)
    for now in begun:
        arrival = max(arrival, now) + minute / FIT
        assert arrival - now <= minute
    return arrival


@pytest.mark.parametrize("limits", [Limits(requests=FIT), Limits(tokens=FIT * CREDITS)], ids=["requests", "tokens"])
async def test_children_together_stay_within_their_parents_minute(
    database: Database, ledger: LedgerWriter, app_url: str, database_url: str, limits: Limits
) -> None:
    """At any speed: the calls that were let in are counted again, by the times at which they were."""
    customer = await open_account(database, ledger, 100_000)
    parent, children = await family(database, customer.account_id, limits)
    arrival = f"SELECT {'requests' if limits.requests else 'tokens'}_tat, clock_timestamp() FROM api_keys WHERE id = %s"
    begun = "SELECT created_at FROM holds WHERE account_id = %s ORDER BY created_at"
    async with LedgerWriter(app_url) as other:
        writers = (ledger, other)
        requests = [writers[n % 2].ask(reserve(children[n % 3], CREDITS)) for n in range(CALLS)]
        answers = await asyncio.gather(*requests, return_exceptions=True)
        held = [answer for answer in answers if isinstance(answer, Reserved)]
        assert len(held) >= FIT
        assert all(isinstance(answer, Reserved | RateLimited) for answer in answers), answers
        then = taken([row[0] for row in await rows(database_url, begun, customer.account_id)])
        ((counted, _),) = await rows(database_url, arrival, parent)
        assert counted == then
        await asyncio.gather(*(writers[n % 2].ask(void(customer, one.hold_id)) for n, one in enumerate(held)))
    ((left, now),) = await rows(database_url, arrival, parent)
    if limits.tokens:
        assert then - len(held) * timedelta(minutes=1) / FIT <= left <= now  # all is given back
    else:
        assert left == then  # a request stays one
    await proven(database)
