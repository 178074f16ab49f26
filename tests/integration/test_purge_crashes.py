"""PostgreSQL loses power during a purge: what was erased stays so, and no receipt is signed while anything is left."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from db.audit import audit
from db.engine import Database
from db.writer import LedgerWriter
from dev.postgres import EmbeddedPostgres
from gateway import erasure_steps
from gateway.erasure_steps import ErasureSteps
from tests.support import migrated, purging
from tests.support.bank import Customer, open_account, reserve, settle, void
from tests.support.media_stack import crash

LAZY = {"wal_writer_delay": "10s", "wal_writer_flush_after": "1GB", "autovacuum": "off", "bgwriter_lru_maxpages": "0"}
"""Nobody but those who wait for it writes the log to the disk."""
OF_CALLS = """
    SELECT (SELECT count(*) FROM usage), (SELECT count(*) FROM usage_days),
           (SELECT count(*) FROM transactions WHERE hold_id IS NOT NULL),
           (SELECT count(*) FROM holds WHERE state <> 'erased'),
           (SELECT count(*) FROM data_keys WHERE wrapped IS NOT NULL)
"""


@dataclass(slots=True)
class Site:
    postgres: EmbeddedPostgres
    folder: Path
    opened: AsyncExitStack

    async def database(self) -> Database:
        database = Database.open(self.postgres.app_url, pool=2)
        self.opened.push_async_callback(database.close)
        return database

    async def steps(self) -> ErasureSteps:
        return purging.steps(await self.database(), self.folder / "media")

    async def loses_power(self) -> ErasureSteps:
        await crash(self.postgres)
        await self.postgres.start()
        return await self.steps()

    async def of_calls(self) -> tuple[int, ...]:
        async with await psycopg.AsyncConnection.connect(self.postgres.url) as connection:
            row = await (await connection.execute(OF_CALLS)).fetchone()
        assert row is not None
        return row


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    await migrated.put(tmp_path / "postgres")
    async with AsyncExitStack() as opened:
        postgres = await opened.enter_async_context(EmbeddedPostgres(tmp_path / "postgres", options=LAZY))
        yield Site(postgres, tmp_path, opened)


async def with_calls(site: Site) -> Customer:
    """Charged, given back, and never placed."""
    async with LedgerWriter(site.postgres.app_url) as ledger:
        customer = await open_account(await site.database(), ledger, 1000)
        for _ in range(3):
            paid, freed = uuid.uuid4(), uuid.uuid4()
            for hold_id in (paid, freed):
                await ledger.ask(reserve(customer, 20, hold_id))
            await ledger.ask(settle(customer, paid, 17))
            await ledger.ask(void(customer, freed))
            await ledger.ask(void(customer, uuid.uuid4()))
    return customer


async def test_what_a_step_reports_as_done_stays_done(site: Site) -> None:
    purge_id = await purging.begin(await site.database(), await with_calls(site))
    steps = await site.steps()
    await steps.survey(purge_id)
    await steps.shred(purge_id)
    steps = await site.loses_power()
    assert (await site.of_calls())[4] == 1, "the new epoch's key alone"
    assert await steps.delete_rows(purge_id)
    steps = await site.loses_power()
    assert (await site.of_calls())[1] == 0
    assert await steps.roll_up(purge_id)
    steps = await site.loses_power()
    assert await site.of_calls() == (0, 0, 0, 0, 1)
    assert await steps.conclude(purge_id)
    await site.loses_power()
    await is_clean(site, receipts=1)


async def test_no_receipt_is_signed_while_anything_is_left(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is cut off after one batch. What is left last are calls that were never placed."""
    purge_id = await purging.begin(await site.database(), await with_calls(site))
    steps = await site.steps()
    await steps.survey(purge_id)
    await steps.shred(purge_id)
    with monkeypatch.context() as brief:
        brief.setattr(erasure_steps, "MAX_STEP_SECONDS", 1e-6)
        assert not await steps.delete_rows(purge_id)
        assert not await steps.roll_up(purge_id)
    steps = await site.loses_power()
    assert await site.of_calls() == (0, 0, 0, 3, 1), "every batch was on the disk"
    assert not await steps.conclude(purge_id)
    assert await steps.delete_rows(purge_id)
    assert await steps.roll_up(purge_id)
    assert await steps.conclude(purge_id)
    assert await site.of_calls() == (0, 0, 0, 0, 1)
    await is_clean(site, receipts=1)


async def is_clean(site: Site, receipts: int) -> None:
    async with (await site.database()).connection() as connection:
        report = await audit(connection)
    assert report.clean, report.findings
    async with await psycopg.AsyncConnection.connect(site.postgres.url) as connection:
        row = await (await connection.execute("SELECT count(*) FROM purge_receipts")).fetchone()
    assert row == (receipts,)
