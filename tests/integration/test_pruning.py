"""What is kept for a time only, against a real Postgres: it goes, the money stays provable, the audit sees the rest."""

import asyncio
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
import structlog
from sqlalchemy import func, update
from sqlmodel import col

from db import billing, holds, refunds
from db.audit import audit
from db.data_keys import Sealing
from db.engine import Database
from db.media import MediaJobs
from db.media_orders import Order
from db.media_tables import MediaJobRow
from db.pages import Span
from db.pruning import Pruning
from db.stored_outputs import StoredOutputs
from db.sweeper import Sweeper
from db.writer import LedgerWriter
from domain.caller import Payer
from domain.errors import NotFound, where
from domain.media import JobError, Kind, MediaRequest, Output, State, object_key
from domain.operations import Renew
from domain.pricing import FlatTerms
from domain.retention import Retention
from domain.rounds import MaintenanceErrors
from logs import OperatorFaults
from tests.support.backdate import backdate
from tests.support.bank import WRAPPING, Customer, balance, open_account, reserve, settle, void

log = structlog.get_logger(__name__)
HOLDS = Retention(holds=timedelta(days=90))
OPENING = 10_000


@dataclass(slots=True)
class Past:
    """An account whose calls and jobs of every end are a hundred days old, but for one call of today."""

    database: Database
    ledger: LedgerWriter
    url: str
    customer: Customer
    charged: UUID
    today: UUID
    errors: MaintenanceErrors = field(default_factory=lambda: MaintenanceErrors(OperatorFaults(log), where))

    async def number(self, query: str) -> int:
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            row = await (await connection.execute(query.encode())).fetchone()
        assert row is not None
        return int(row[0])

    async def change(self, statement: str) -> None:
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            await connection.execute("SET session_replication_role = replica")
            await connection.execute(statement.encode())

    async def row_counts(self) -> dict[str, int]:
        async with self.database.connection() as connection:
            return (await audit(connection)).counts

    async def money(self) -> tuple[object, ...]:
        """Balances, the books, and a statement of all time."""
        async with self.database.snapshot() as session:
            statement = await billing.balances(session, self.customer.account_id, Span(1, 1))
        books = await self.number("SELECT sum(amount) FROM lines WHERE book = 'revenue'")
        rows = await self.number("SELECT count(*) FROM lines")
        return await balance(self.url, self.customer), statement, books, rows

    def pruning(self, retention: Retention, batch: int = 1000) -> Pruning:
        return Pruning(self.database, retention, self.errors, batch)


async def _call(ledger: LedgerWriter, customer: Customer, tokens: int | None) -> UUID:
    operation = reserve(customer, 100)
    await ledger.ask(operation)
    if tokens is None:
        await ledger.ask(void(customer, operation.hold_id))
    else:
        await ledger.ask(settle(customer, operation.hold_id, tokens))
    return operation.hold_id


async def _jobs(database: Database, customer: Customer) -> None:
    jobs = MediaJobs(database, Sealing(WRAPPING), output_lifetime=timedelta(hours=1))
    request = MediaRequest(kind=Kind.IMAGE, model="image", prompt="a sentinel")
    price = FlatTerms(500, "v1")
    orders = [
        Order(uuid.uuid4(), Payer(customer.digest), Kind.IMAGE, "demo-image", "demo", price, request) for _ in range(3)
    ]
    done, failed, _queued = [(await jobs.accept(order)).job.id for order in orders]
    await jobs.begin(done)
    key = object_key(customer.account_id, done, 0, "png")
    await jobs.succeed(done, [Output(object_key=key, content_type="image/png", bytes=3)])
    async with database.transaction() as session:
        await session.exec(update(MediaJobRow).where(col(MediaJobRow.id) == done).values(expires_at=func.now()))
    await StoredOutputs(database).deleted(done)
    await jobs.end(failed, State.FAILED, JobError(code="upstream_error", message="It failed."))


@pytest.fixture
async def past(database: Database, ledger: LedgerWriter, database_url: str) -> Past:
    customer = await open_account(database, ledger, OPENING)
    charged = await _call(ledger, customer, 40)
    await _call(ledger, customer, None)
    await ledger.ask(void(customer, uuid.uuid4()))
    swept = reserve(customer, 100)
    await ledger.ask(swept)
    await ledger.ask(Renew(swept.hold_id, 30, timedelta(seconds=-60)))
    assert await Sweeper(database).sweep() == 1
    refunded = await _call(ledger, customer, 90)
    async with database.transaction() as session:
        await refunds.refund(session, refunded, "It was our fault.")
    await _jobs(database, customer)
    renamed = await backdate(database_url, customer.account_id, 100)
    today = await _call(ledger, customer, 50)
    return Past(database, ledger, database_url, customer, renamed[charged], today)


async def test_old_holds_go_and_the_money_stays(past: Past) -> None:
    assert await past.row_counts() == {}
    before = await past.money()
    assert await past.pruning(HOLDS).forget() == 7
    assert await past.pruning(HOLDS).forget() == 0
    assert await past.number("SELECT count(*) FROM holds") == 2
    assert await past.number("SELECT count(*) FROM holds WHERE state = 'open'") == 1
    assert await past.number("SELECT count(*) FROM media_jobs") == 1
    assert await past.number("SELECT count(*) FROM usage") == 5
    assert await past.money() == before
    assert await past.row_counts() == {}
    async with past.database.reading() as session:
        assert (await holds.figures(session)).swept == 1


async def test_what_was_forgotten_says_so(past: Past) -> None:
    await past.pruning(HOLDS).forget()
    account_id = past.customer.account_id
    assert (await billing.receipt(past.database, account_id, past.today)).hold.charged == 50
    with pytest.raises(NotFound, match="no longer kept"):
        await billing.receipt(past.database, account_id, past.charged)
    with pytest.raises(NotFound, match="no such charge"):
        await billing.receipt(past.database, uuid.uuid4(), past.charged)
    with pytest.raises(NotFound, match="no such charge"):
        await billing.receipt(past.database, account_id, uuid.uuid4())
    async with past.database.transaction() as session:
        with pytest.raises(NotFound, match="no longer kept"):
            await refunds.refund(session, past.charged, "Too late.")


async def test_old_usage_goes_and_its_days_stay(past: Past) -> None:
    before = await past.money()
    days = await past.number("SELECT sum(credits) FROM usage_days")
    assert await past.pruning(Retention(usage=timedelta(days=90))).forget() == 4
    assert await past.number("SELECT count(*) FROM usage") == 1
    assert await past.number("SELECT sum(credits) FROM usage_days") == days
    assert await past.money() == before
    assert await past.row_counts() == {}
    await past.pruning(HOLDS).forget()
    assert await past.row_counts() == {}


BY_HAND = {
    "DELETE FROM usage": "charge_without_usage",
    "DELETE FROM holds WHERE state = 'settled'": "charge_without_settled_hold",
    "UPDATE usage_days SET credits = credits + 1 WHERE day < current_date - 9": "usage_day_not_as_booked",
    "UPDATE lines SET amount = amount + 1 WHERE book = 'held' AND amount = -100": "forgotten_hold_not_ended",
    "UPDATE lines SET amount = amount + 1 WHERE book = 'revenue'": "transaction_unbalanced",
}


@pytest.mark.parametrize("corruption", BY_HAND, ids=list(BY_HAND.values()))
async def test_the_audit_is_not_blind_afterwards(past: Past, corruption: str) -> None:
    await past.pruning(Retention(holds=timedelta(days=90), usage=timedelta(days=90))).forget()
    assert await past.row_counts() == {}
    await past.change(corruption)
    assert BY_HAND[corruption] in await past.row_counts()


async def test_days_may_pass_one_by_one_with_calls_between(past: Past) -> None:
    """Whatever the order in which the database moves the rows of days."""
    for _ in range(2):
        await backdate(past.url, past.customer.account_id, 1)
        await _call(past.ledger, past.customer, 10)
        await past.change("UPDATE usage_days SET calls = calls WHERE day < current_date")  # they stand behind today's
        await past.change("ANALYZE usage_days")  # so few rows are read in the order in which they stand
    assert await past.number("SELECT count(*) FROM usage_days WHERE day > current_date - 3") == 3
    assert await past.row_counts() == {}


async def test_a_hold_refunded_of_late_is_kept(past: Past) -> None:
    async with past.database.transaction() as session:
        await refunds.refund(session, past.charged, "After all.")
    await past.pruning(HOLDS).forget()
    receipt = await billing.receipt(past.database, past.customer.account_id, past.charged)
    assert receipt.hold.refunded == 40
    assert await past.row_counts() == {}


async def test_several_processes_prune_in_small_batches(past: Past) -> None:
    await asyncio.gather(*(past.pruning(HOLDS, batch=2).forget() for _ in range(4)))
    assert await past.number("SELECT count(*) FROM holds") == 2
    assert await past.row_counts() == {}
    async with past.database.reading() as session:
        assert (await holds.figures(session)).swept == 1


LOCKED = {"SELECT FROM holds FOR UPDATE": 9, "SELECT FROM media_jobs FOR UPDATE": 4}


@pytest.mark.parametrize("lock", LOCKED, ids=["holds", "jobs"])
async def test_it_waits_for_nobody(past: Past, lock: str) -> None:
    async with await psycopg.AsyncConnection.connect(past.url) as somebody:
        await somebody.execute(lock.encode())
        await past.pruning(HOLDS).forget()
        assert await past.number("SELECT count(*) FROM holds") == LOCKED[lock]
    await past.pruning(HOLDS).forget()
    assert await past.number("SELECT count(*) FROM holds") == 2
    assert await past.row_counts() == {}


async def test_for_ever(past: Past) -> None:
    assert await past.pruning(Retention()).forget() == 0
    assert await past.number("SELECT count(*) FROM holds") == 9
    assert await past.number("SELECT count(*) FROM pruned") == 0


async def _count(past: Past, table: str) -> int:
    return await past.number(f"SELECT count(*) FROM {table}")


async def test_old_idempotency_keys_and_audits_are_forgotten(past: Past) -> None:
    keys = "INSERT INTO idempotency (account_id, scope, fingerprint, expires_at) SELECT '{}', {}::bytea, '', now() + {}"
    for age_of in ("interval '-1 hour'", "interval '1 hour'"):
        await past.change(keys.format(past.customer.account_id, f"({age_of})::text", age_of))
    for days in (100, 99, 1, 0):
        await past.change(
            "INSERT INTO audits (began_at, whole, clean, drift_credits, counts) "
            f"VALUES (now() - interval '{days} days', true, true, 0, '{{}}')"
        )
    assert await past.pruning(Retention(audits=timedelta(days=90))).forget() == 3
    assert (await _count(past, "idempotency"), await _count(past, "audits")) == (1, 2)
    await past.change("UPDATE audits SET began_at = now() - interval '1 year'")
    await past.pruning(Retention(audits=timedelta(days=90))).forget()
    assert await _count(past, "audits") == 1


REFUSED = {
    "holds": ("closed_by = 'sweeper'", "hold", 6),
    "usage": ("credits = 40", "usage of hold", 3),
    "audits": ("drift_credits = 7", "audit", 2),
    "idempotency": ("fingerprint = 'bad'", "Idempotency-Key of account", 2),
}
"""A row that cannot be deleted, how it is named, and how many of its table go all the same."""


@pytest.mark.parametrize("table", REFUSED)
async def test_a_row_that_cannot_be_deleted_is_named_and_keeps_no_other(past: Past, table: str) -> None:
    condition, name, others = REFUSED[table]
    await past.change(
        f"""
        INSERT INTO audits (began_at, whole, clean, drift_credits, counts)
        SELECT now() - interval '1 year', true, true, drift, '{{}}' FROM unnest(ARRAY[0, 7, 0, 0]) AS d(drift);
        INSERT INTO idempotency (account_id, scope, fingerprint, expires_at)
        SELECT '{past.customer.account_id}', print, print, now() - interval '1 day'
        FROM unnest(ARRAY['one', 'bad', 'other']::bytea[]) AS p(print);
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE 'no' USING ERRCODE = '23000'; END $$;
        CREATE TRIGGER refuse BEFORE DELETE ON {table} FOR EACH ROW WHEN (OLD.{condition})
        EXECUTE FUNCTION refuse();
        ALTER TABLE {table} ENABLE ALWAYS TRIGGER refuse"""
    )
    before = await _count(past, table)
    pruning = past.pruning(Retention(*[timedelta(days=90)] * 3))
    with structlog.testing.capture_logs() as lines:
        await pruning.forget()
    assert before - await _count(past, table) == others
    assert past.errors.by_task["forget"] == 1
    (line,) = [line for line in lines if line["event"] == "maintenance failed"]
    assert line["where"].startswith(f"forget {name} ")
    await past.change(f"DROP TRIGGER refuse ON {table}")
    assert await pruning.forget() == 1


YOUNG = (
    "SELECT forget_holds(ARRAY(SELECT id FROM holds), now())",
    "SELECT forget_usage(ARRAY(SELECT hold_id FROM usage), now() + interval '1 year')",
    "SELECT forget_usage(ARRAY(SELECT hold_id FROM usage), NULL)",
    "SELECT forget_audits(ARRAY(SELECT id FROM audits), date_trunc('day', now()) - interval '1 hour')",
)


@pytest.mark.parametrize("statement", YOUNG)
async def test_the_database_forgets_nothing_that_is_young(past: Past, app_url: str, statement: str) -> None:
    async with await psycopg.AsyncConnection.connect(app_url) as connection:
        with pytest.raises(psycopg.errors.CheckViolation):
            await connection.execute(statement.encode())


async def test_nor_what_is_younger_than_it_says_or_not_to_go(past: Past, app_url: str) -> None:
    long_ago = "date_trunc('day', now() - interval '200 days', 'UTC')"
    async with await psycopg.AsyncConnection.connect(app_url, autocommit=True) as connection:
        for statement in (
            f"SELECT forget_holds(ARRAY(SELECT id FROM holds), {long_ago})",
            f"SELECT forget_usage(ARRAY(SELECT hold_id FROM usage), {long_ago})",
            "SELECT forget_idempotency(array_agg(account_id), array_agg(scope)) FROM idempotency",
        ):
            row = await (await connection.execute(statement.encode())).fetchone()
            assert row in [(0,), (None,)], statement
    assert await past.number("SELECT count(*) FROM holds") == 9
    assert await past.number("SELECT count(*) FROM pruned") == 0
