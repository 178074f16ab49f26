"""Statements add up and adjoin, while several processes move the account's credits in transactions of any length."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

import psycopg
from sqlmodel.ext.asyncio.session import AsyncSession

from db import billing
from db.billing import Entry, Opened
from db.engine import Database
from db.pages import Page, Period
from db.writer import LedgerWriter
from domain.operations import Grant
from tests.support.bank import open_account
from tests.support.often_noted import OFTEN
from tests.support.stack import ROOT

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
MOVERS, ROUNDS = 3, 40


async def read(database: Database, account_id: UUID, period: Period, *, limit: int = 4) -> tuple[Opened, list[Entry]]:
    """All pages, as a client reads them: with a pause after each."""
    certain = await billing.certain_until(database, account_id)
    async with database.snapshot() as session:
        opened = await billing.open_statement(session, account_id, period, certain)
    entries: list[Entry] = []
    while True:
        async with database.snapshot() as session:
            after = entries[-1].position if entries else None
            page = await billing.movements(session, account_id, opened.span, Page(limit, after))
        entries += page[:limit]
        if len(page) <= limit:
            return opened, entries
        await asyncio.sleep(0.005)


def adds_up(opened: Opened, entries: Sequence[Entry]) -> bool:
    positions = [entry.position for entry in entries]
    return (
        opened.opening.available + sum(entry.available for entry in entries) == opened.closing.available
        and opened.opening.held + sum(entry.held for entry in entries) == opened.closing.held
        and positions == list(range(opened.span.first, opened.span.last + 1))
        and all(opened.since <= entry.created_at < opened.until for entry in entries)
    )


async def test_statements_add_up_while_processes_move_credits(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        for statement in OFTEN:
            await connection.execute(statement)
    customer = await open_account(database, ledger, 1000)
    words = (sys.executable, "-m", "tests.support.mover", database_url, str(customer.account_id), str(ROUNDS))
    movers = [await asyncio.create_subprocess_exec(*words, cwd=ROOT) for _ in range(MOVERS)]
    statements = [await read(database, customer.account_id, Period(LONG_AGO))]
    while any(mover.returncode is None for mover in movers):
        statements.append(await read(database, customer.account_id, Period(statements[-1][0].until)))
        await asyncio.sleep(0.01)
    assert [await mover.wait() for mover in movers] == [0] * MOVERS
    statements.append(await read(database, customer.account_id, Period(statements[-1][0].until)))
    assert sum(len(entries) for _, entries in statements) > 20
    assert all(adds_up(*statement) for statement in statements)
    for (before, _), (after, _) in pairwise(statements):
        assert (before.until, before.closing) == (after.since, after.opening)
    for opened, entries in statements:  # what was told once stays so
        assert await read(database, customer.account_id, Period(opened.since, opened.until)) == (opened, entries)
    whole, entries = await read(database, customer.account_id, Period(LONG_AGO), limit=100)
    assert adds_up(whole, entries)
    assert whole.closing == statements[-1][0].closing


async def test_the_times_of_an_accounts_movements_never_go_back(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    """Not even when the server's clock does."""
    customer = await open_account(database, ledger, 1000)
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("UPDATE accounts SET moved_at = now() + interval '1 hour'")
    await ledger.ask(Grant(customer.account_id, 5, "later"))
    certain = await billing.certain_until(database, customer.account_id)
    async with database.snapshot() as session:
        opened = await billing.open_statement(session, customer.account_id, Period(LONG_AGO), certain)
        assert opened.until < await _last(session, customer.account_id)
        assert opened.closing.available == 1000


async def _last(session: AsyncSession, account_id: UUID) -> datetime:
    opened = await billing.open_statement(session, account_id, Period(LONG_AGO), datetime(2100, 1, 1, tzinfo=UTC))
    return (await billing.movements(session, account_id, opened.span, Page(100)))[-1].created_at
