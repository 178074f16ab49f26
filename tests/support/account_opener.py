"""Opens the accounts of all tests of a session.

A pool and a writer of each test would connect and compile each statement again: most of what a short test costs.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from db.engine import Database
from db.writer import LedgerWriter
from domain.sealing import Wrapping
from tests.support.bank import Customer, open_account
from tests.support.stack import SECRET


@dataclass(frozen=True, slots=True)
class AccountOpener:
    """It has an event loop of its own, for tests have one each. The loop runs only while an account is opened."""

    database: Database
    ledger: LedgerWriter
    runner: asyncio.Runner
    thread: ThreadPoolExecutor

    @classmethod
    @contextmanager
    def on(cls, database_url: str) -> Iterator[Self]:
        with ThreadPoolExecutor(1) as thread:
            runner = asyncio.Runner()
            database = Database.open(database_url, pool=1)

            async def enter() -> LedgerWriter:
                return await LedgerWriter(database_url).__aenter__()

            ledger = thread.submit(runner.run, enter()).result()
            yield cls(database, ledger, runner, thread)
            thread.submit(runner.run, ledger.__aexit__(None, None, None)).result()
            thread.submit(runner.run, database.close()).result()
            thread.submit(runner.close).result()

    async def open(self, credits: int) -> Customer:
        opening = open_account(self.database, self.ledger, credits, Wrapping.of(SECRET))
        return await asyncio.wrap_future(self.thread.submit(self.runner.run, opening))
