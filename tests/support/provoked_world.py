"""A running stack with faults of its own, for the errors that are provoked on it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx2
import pytest

from db.engine import Database
from db.writer import LedgerWriter
from dev.postgres import EmbeddedPostgres
from domain.sealing import Wrapping
from tests.support import provoked
from tests.support.account_client import AccountClient
from tests.support.bank import open_account
from tests.support.doubles.paced import Paced
from tests.support.own_stack import own_stack
from tests.support.provoked import SETTINGS, World
from tests.support.stack import SECRET, Stack

PROGRAM = "tests.support.faulty_api"


@contextmanager
def running(postgres: EmbeddedPostgres, upstream: Paced, folders: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = own_stack(postgres, folders, "provoked", provoked.catalog(upstream.url), extra=SETTINGS)
    with stack.running(PROGRAM) as process:
        stack.wait_ready(process)
        yield stack


@asynccontextmanager
async def opened(stack: Stack, upstream: Paced) -> AsyncIterator[World]:
    upstream.release.clear()
    database, clients = Database.open(stack.database_url, pool=2), list[httpx2.AsyncClient]()
    async with LedgerWriter(stack.database_url) as ledger:

        async def account(credits: int) -> AccountClient:
            customer = await open_account(database, ledger, credits, Wrapping.of(SECRET))
            headers = {"authorization": f"Bearer {customer.token}"}
            clients.append(httpx2.AsyncClient(base_url=stack.url, headers=headers, timeout=60, verify=False))
            return AccountClient(customer, clients[-1], database, ledger)

        world = World(stack, upstream, account)
        yield world
        upstream.release.set()
        await asyncio.gather(*world.running)
    for client in clients:
        await client.aclose()
    await database.close()
