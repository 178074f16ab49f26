"""A purge takes calls out of the books: the balance stays, and what stays is audited."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from db import billing, free_tier, refunds, usage_reports
from db.audit import audit
from db.billing import Wanted
from db.engine import Database, InSession
from db.pages import Page, Period
from db.usage_reports import Grouping
from db.writer import LedgerWriter
from domain.errors import EndedByPurge, GatewayError, KeyReused, NotFound
from domain.operations import Adjust, Extend, Grant, Refund, Renew, Void
from domain.results import Granted
from tests.support import purging
from tests.support.bank import Customer, balance, open_account, reserve, settle, void

NEIGHBOURS = ("accounts", "holds", "transactions", "usage", "usage_days", "idempotency", "api_keys", "data_keys")


@dataclass(frozen=True, slots=True)
class World:
    database: Database
    ledger: LedgerWriter
    url: str

    async def begin(self, customer: Customer) -> UUID:
        return await purging.begin(self.database, customer)

    async def do(self, statement: str, **values: object) -> object:
        return await purging.do(self.database, statement, **values)

    async def roll_up(self, purge_id: UUID, batch: int) -> int:
        calls = 0
        while (gone := await self.do("SELECT roll_up(:purge, :batch)", purge=purge_id, batch=batch)) is not None:
            calls += int(str(gone))
            await self.clean()
        return calls

    async def clean(self) -> None:
        async with self.database.connection() as connection:
            report = await audit(connection)
        assert report.clean, report

    async def number(self, query: str) -> int:
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            row = await (await connection.execute(query)).fetchone()
        assert row is not None
        return int(row[0])

    async def others(self, customer: Customer) -> list[tuple[object, ...]]:
        """A checksum of each table's rows of all other accounts."""
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            sums = []
            for table in NEIGHBOURS:
                owner = "id" if table == "accounts" else "account_id"
                query = f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t WHERE {owner} <> %s"
                cursor = await connection.execute(query, [customer.account_id])
                sums += await cursor.fetchall()
            return sums


@pytest.fixture
async def world(database: Database, ledger: LedgerWriter, database_url: str) -> World:
    return World(database, ledger, database_url)


async def some_calls(world: World, customer: Customer) -> list[UUID]:
    """Charged, released, refunded, grown, and one that was never placed."""
    ids = [uuid.uuid4() for _ in range(5)]
    for hold_id in ids[:4]:
        await world.ledger.ask(reserve(customer, 20, hold_id))
    await world.ledger.ask(settle(customer, ids[0], 17))
    await world.ledger.ask(void(customer, ids[1]))
    await world.ledger.ask(settle(customer, ids[2], 12))
    await world.ledger.ask(Refund(ids[2], customer.account_id, note="the reason"))
    await world.ledger.ask(Extend(ids[3], customer.account_id, 30))
    await world.ledger.ask(settle(customer, ids[3], 25))
    await world.ledger.ask(Void(ids[4], customer.account_id, "chat", "m"))
    return ids


async def test_calls_are_rolled_up_and_the_balance_stays(world: World) -> None:
    ann, bob = [await open_account(world.database, world.ledger, 1000) for _ in range(2)]
    account_id = ann.account_id
    ids = await some_calls(world, ann)
    await some_calls(world, bob)
    await world.ledger.ask(Adjust(account_id, -8, "a correction", "why"))
    before, neighbours = await balance(world.url, ann), await world.others(ann)
    purge_id = await world.begin(ann)
    later = uuid.uuid4()
    await world.ledger.ask(reserve(ann, 20, later))
    assert await world.do("SELECT shred_keys(:purge)", purge=purge_id) == 1
    assert await world.do("SELECT hash_references(:purge)", purge=purge_id) == 2
    assert await world.do("SELECT erase_rows(:purge, 'usage_days', 9)", purge=purge_id) == 1
    assert await world.roll_up(purge_id, 2) == 4
    await world.ledger.ask(settle(ann, later, 20))
    assert await balance(world.url, ann) == (before[0] - 20, before[1], before[2])
    assert await world.others(ann) == neighbours
    assert await world.number("SELECT count(*) FROM usage") == 3 + 1
    assert await world.number("SELECT count(*) FROM transactions WHERE kind = 'purge'") == 1
    assert await world.number("SELECT credits FROM roll_ups") == 17 + 25
    for late in (
        settle(ann, ids[0], 5),
        reserve(ann, 20, ids[1]),
        Refund(ids[3], account_id),
        Extend(ids[3], account_id, 99),
    ):
        with pytest.raises(GatewayError):
            await world.ledger.ask(late)
    with pytest.raises(GatewayError):
        await world.ledger.ask(Renew(ids[0], 5))
    with pytest.raises(EndedByPurge):
        await world.ledger.ask(settle(ann, ids[0], 5))
    assert await balance(world.url, ann) == (before[0] - 20, before[1], before[2])
    await world.clean()


async def shown(world: World, customer: Customer) -> tuple[list[UUID], int, set[str]]:
    """What its owner hears of its calls: charges, their number in the usage, and models in the statement.

    The statement adds up, whatever is in it.
    """
    account_id, today = customer.account_id, datetime.now(UTC).date()
    days = today - timedelta(days=1), today + timedelta(days=2)
    certain = await billing.certain_until(world.database, account_id)
    async with world.database.snapshot() as session:
        charges = await billing.charges(InSession(session), account_id, Wanted(Period()), Page(50))
        sums = [await usage_reports.usage(session, account_id, grouping, days) for grouping in Grouping]
        opened = await billing.open_statement(session, account_id, Period(), certain)
        entries = await billing.movements(session, account_id, opened.span, Page(500))
        split = await usage_reports.split(InSession(session), account_id, Grouping.MODEL, days, 1)
    assert list(split.used.values()) == sums
    of_parts = [credits for parts in split.parts.values() for _, (*_, credits) in parts]
    assert sum(of_parts) == sum(used.credits for used in sums[0])
    assert split.returned.credits == sum(
        max(0, one.hold.amount - one.hold.charged) for one in charges if one.hold.closed_at
    )
    assert len({sum(used.calls for used in rows) for rows in sums}) == 1
    assert opened.opening.available + sum(entry.available for entry in entries) == opened.closing.available
    assert opened.opening.held + sum(entry.held for entry in entries) == opened.closing.held
    models = {entry.hold.model for entry in entries if entry.hold}
    return [charge.hold.id for charge in charges], sum(used.calls for used in sums[0]), models


async def test_its_owner_hears_no_more_of_a_call_once_the_purge_has_begun(world: World) -> None:
    ann = await open_account(world.database, world.ledger, 1000)
    ids = await some_calls(world, ann)
    assert await shown(world, ann) == (ids[3::-1], 3, {"m"})
    purge_id, later = await world.begin(ann), uuid.uuid4()
    await world.ledger.ask(reserve(ann, 20, later))
    await world.ledger.ask(settle(ann, later, 20))
    for step in ("SELECT 1", "SELECT roll_up(:purge, 2)"):
        await world.do(step, **({"purge": purge_id} if "purge" in step else {}))
        assert await shown(world, ann) == ([later], 1, {"m"})
    await purging.roll_up(world.database, purge_id)
    assert await shown(world, ann) == ([later], 1, {"m"})
    for hold_id in ids:
        with pytest.raises(NotFound):
            await billing.receipt(world.database, ann.account_id, hold_id)
        async with world.database.transaction() as session:
            with pytest.raises(EndedByPurge, match="rolled up"):
                await refunds.refund(session, hold_id, "the reason")
    assert (await billing.receipt(world.database, ann.account_id, later)).hold.charged == 20
    await world.clean()


async def test_a_reference_is_recognised_after_it_was_hashed(world: World) -> None:
    ann, bob = [await open_account(world.database, world.ledger, 0) for _ in range(2)]
    grant = Grant(ann.account_id, 500, "event of a payment")
    await world.ledger.ask(grant)
    purge_id = await world.begin(ann)
    await world.do("SELECT hash_references(:purge)", purge=purge_id)
    assert await world.number("SELECT count(*) FROM transactions WHERE ref LIKE '%payment%'") == 0
    again = await world.ledger.ask(grant)
    assert again == Granted(500, repeated=True)
    with pytest.raises(KeyReused):
        await world.ledger.ask(Grant(bob.account_id, 500, grant.ref))
    async with world.database.reading() as session:
        assert await free_tier.granted(session, grant.ref)
        assert not await free_tier.granted(session, "another")
    await world.clean()


async def test_nothing_is_erased_without_a_running_purge(world: World, app_url: str) -> None:
    ann = await open_account(world.database, world.ledger, 1000)
    await some_calls(world, ann)
    purge_id = await world.begin(ann)
    async with world.database.transaction() as session:
        done = text("UPDATE purges SET completed_at = now() WHERE id = :purge")
        await (await session.connection()).execute(done, {"purge": purge_id})
    calls = ("shred_keys(:p)", "hash_references(:p)", "roll_up(:p, 5)", "erase_rows(:p, 'usage_days', 5)")
    for call in calls:
        with pytest.raises(Exception, match="no such purge runs"):
            await world.do(f"SELECT {call}", p=purge_id)
    with psycopg.connect(app_url, autocommit=True) as connection:
        connection.execute("SELECT set_config('yout.purge', %s, false)", [str(await world.begin(ann))])
        for statement in ("DELETE FROM lines", "UPDATE transactions SET note = 'x'", "DELETE FROM usage"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


async def test_an_open_call_of_an_older_epoch_is_not_rolled_up(world: World) -> None:
    ann = await open_account(world.database, world.ledger, 1000)
    await world.ledger.ask(reserve(ann, 20))
    purge_id = await world.begin(ann)
    with pytest.raises(Exception, match="a call of an older epoch runs"):
        await world.do("SELECT roll_up(:purge, 5)", purge=purge_id)
