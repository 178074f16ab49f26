"""What an account with very many calls asks for is read by index, and no more of it than a page has."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, LiteralString

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel.ext.asyncio.session import AsyncSession

from db import accounts, billing, usage_reports
from db.billing import Balances, Wanted
from db.engine import Database
from db.pages import Page, Period, Span
from db.usage_reports import Grouping
from tests.support.bank import WRAPPING

CALLS = 40_000
DAYS, MODELS = 60, 5
BIG = {"holds", "transactions", "lines", "usage"}
ACCOUNT = uuid.UUID(int=7)
FIRST = date(2026, 1, 1)
LEFT, NOTED_EVERY = 10_000_000, 500
MIDDLE = datetime(2026, 1, 31, tzinfo=UTC)
LIMIT = 50
ROWS_OF_AN_ENTRY = 20
"""What may be read for one entry of a page: a hold, its usage, its transactions and lines; or what a filter passed."""

# As the ledger would have written them, a hundred times as fast: each call held 30 credits and cost 20 of them.
FILL = f"""
SET session_replication_role = replica;
CREATE TEMPORARY TABLE calls AS
SELECT lpad(to_hex(n), 32, '0')::uuid AS id, n, '{FIRST}'::timestamptz + n * interval '{DAYS} days' / {CALLS} AS at,
       'm' || n % {MODELS} AS model
FROM generate_series(1, {CALLS}) AS n;
INSERT INTO holds (id, account_id, kind, model, state, amount, charged, input_bound, output_limit, created_at,
                   closed_at, closed_by)
SELECT id, '{ACCOUNT}', 'chat', model, 'settled', 30, 20, 10, 20, at, at, 'call' FROM calls;
INSERT INTO usage (hold_id, account_id, kind, model, input_tokens, output_tokens, credits, source, created_at)
SELECT id, '{ACCOUNT}', 'chat', model, 10, 10, 20, 'provider', at FROM calls;
INSERT INTO usage_days (account_id, day, model, key_id, kind, calls, input_tokens, output_tokens, credits)
SELECT '{ACCOUNT}', (at AT TIME ZONE 'UTC')::date, model, '{uuid.UUID(int=0)}', 'chat', count(*), 10 * count(*),
       10 * count(*), 20 * count(*) FROM calls GROUP BY 2, 3;
INSERT INTO usage_days (account_id, day, model, key_id, kind, calls, input_tokens, output_tokens, credits)
SELECT lpad(to_hex(1000 + other), 32, '0')::uuid, '{FIRST}'::date + day, 'm', '{uuid.UUID(int=0)}', 'chat', 1, 1, 1, 1
FROM generate_series(1, 200) AS other, generate_series(1, 100) AS day;
INSERT INTO transactions (id, kind, account_id, hold_id, position, created_at)
SELECT lpad(to_hex(2 * n + side), 32, '0')::uuid, (ARRAY['hold', 'charge'])[side + 1], '{ACCOUNT}', id,
       2 * n + side - 1, at
FROM calls, generate_series(0, 1) AS side;
INSERT INTO lines (transaction_id, book, account_id, amount)
SELECT lpad(to_hex(2 * n + side), 32, '0')::uuid, book, CASE book WHEN 'revenue' THEN NULL ELSE '{ACCOUNT}'::uuid END,
       amount
FROM calls, (VALUES (0, 'available', -30), (0, 'held', 30), (1, 'available', 10), (1, 'held', -30), (1, 'revenue', 20))
     AS line (side, book, amount);
UPDATE accounts SET available = {LEFT}, movements = 2 * {CALLS} WHERE id = '{ACCOUNT}';
INSERT INTO running_balances (account_id, position, available, held)
SELECT '{ACCOUNT}', 2 * n, {LEFT} + 20 * ({CALLS} - n), 0 FROM calls WHERE 2 * n % {NOTED_EVERY} = 0;
ANALYZE holds, usage, usage_days, transactions, lines, running_balances;
"""


@pytest.fixture
async def rows(database: Database, database_url: str) -> AsyncIterator[AsyncConnection]:
    async with database.transaction() as session:
        await accounts.create(session, WRAPPING, account_id=ACCOUNT, user_id=uuid.uuid4(), email="many@example.test")
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(FILL.encode())
    async with database.connection() as connected:
        yield connected


class Reading(AsyncSession):
    """A session that is a `Reader` too: hooks of SQLAlchemy see all of its statements."""

    async def rows(self, query: LiteralString, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        answer = await (await self.connection()).exec_driver_sql(query, dict(values))
        return [tuple(row) for row in answer]


Read = Callable[[Reading], Awaitable[Any]]
PERIOD = Period(MIDDLE, MIDDLE + timedelta(days=9))
PAST = 2 * CALLS * 33 // DAYS
SPAN = Span(2 * CALLS * 30 // DAYS, 2 * CALLS * 39 // DAYS)
PAGES: dict[str, Read] = {
    "charges": lambda session: billing.charges(session, ACCOUNT, Wanted(Period()), Page(LIMIT)),
    "charges, further on": lambda session: billing.charges(session, ACCOUNT, Wanted(PERIOD), Page(LIMIT, PAST)),
    "charges of a while ago": lambda session: billing.charges(session, ACCOUNT, Wanted(PERIOD), Page(LIMIT)),
    "charges of a model": lambda session: billing.charges(session, ACCOUNT, Wanted(Period(), "m3"), Page(LIMIT)),
    "statement": lambda session: billing.movements(session, ACCOUNT, SPAN, Page(LIMIT)),
    "statement, further on": lambda session: billing.movements(session, ACCOUNT, SPAN, Page(LIMIT, PAST)),
}


async def plans(connection: AsyncConnection, read: Read) -> list[dict[str, Any]]:
    """How PostgreSQL did each statement of `read`."""
    statements: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        statements.append((statement, parameters))

    event.listen(connection.sync_connection, "before_cursor_execute", note)
    async with Reading(connection) as session:
        assert await read(session)
    event.remove(connection.sync_connection, "before_cursor_execute", note)
    plans_ = []
    for statement, parameters in statements:
        explained = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
        plans_.append(explained.scalar_one()[0]["Plan"])
    assert plans_
    return plans_


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def scanned(plans_: list[dict[str, Any]]) -> set[str]:
    """Tables that were read from one end to the other."""
    every = [node for plan in plans_ for node in nodes(plan)]
    return {node["Relation Name"] for node in every if node["Node Type"] == "Seq Scan"}


def read_rows(plans_: list[dict[str, Any]]) -> int:
    """Of all tables, those included that a filter then threw away."""
    every = [node for plan in plans_ for node in nodes(plan) if {"Relation Name", "Index Name"} & node.keys()]
    removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    return sum(
        (node["Actual Rows"] + sum(node.get(name, 0) for name in removed)) * node["Actual Loops"] for node in every
    )


async def test_what_is_asked_for_is_read_and_no_more(rows: AsyncConnection) -> None:
    """One test: the rows take longer to write than all of it takes to read."""
    for name, read in PAGES.items():
        plans_ = await plans(rows, read)
        assert not scanned(plans_) & BIG, name
        assert read_rows(plans_) <= ROWS_OF_AN_ENTRY * (LIMIT + 1), name
    await a_receipt_is_a_few_rows(rows)
    await usage_is_read_from_its_roll_up(rows)
    await what_came_back_is_read_from_an_index(rows)
    await balances_are_read_from_the_next_that_is_noted(rows)


async def a_receipt_is_a_few_rows(rows: AsyncConnection) -> None:
    plans_ = await plans(rows, lambda session: billing.receipt(session, ACCOUNT, uuid.UUID(int=CALLS // 2)))
    assert not scanned(plans_) & BIG
    assert read_rows(plans_) <= ROWS_OF_AN_ENTRY


async def usage_is_read_from_its_roll_up(rows: AsyncConnection) -> None:
    days = (FIRST + timedelta(days=10), FIRST + timedelta(days=20))
    for grouping in Grouping:
        plans_ = await plans(rows, lambda session, by=grouping: usage_reports.usage(session, ACCOUNT, by, days))  # type: ignore[misc]
        tables = {node["Relation Name"] for plan in plans_ for node in nodes(plan) if "Relation Name" in node}
        assert tables == {"usage_days", "accounts"}  # its account's epoch
        assert scanned(plans_) <= {"accounts"}  # there is one
        assert read_rows(plans_) <= 2 * 10 * MODELS + 1  # a bitmap is read once more


async def what_came_back_is_read_from_an_index(rows: AsyncConnection) -> None:
    days = (FIRST + timedelta(days=10), FIRST + timedelta(days=20))
    (plan,) = await plans(rows, lambda session: usage_reports.split(session, ACCOUNT, Grouping.MODEL, days, 4))
    assert "ix_holds_ended" in {node.get("Index Name") for node in nodes(plan)}
    assert not scanned([plan]) & BIG
    assert read_rows([plan]) <= 2 * (CALLS * 10 // DAYS + 1) + 2 * 10 * MODELS + 2  # a bitmap is read once more


async def balances_are_read_from_the_next_that_is_noted(rows: AsyncConnection) -> None:
    """A month of an account: however many movements it has, and however many came since."""
    plans_ = await plans(rows, lambda session: billing.balances(session, ACCOUNT, SPAN))
    assert not scanned(plans_) & BIG
    assert read_rows(plans_) <= 2 * (NOTED_EVERY * 3 + 2)  # a movement has two lines of the account
    async with AsyncSession(rows) as session:
        for span in (SPAN, Span(1, 2 * CALLS), Span(1000, 1001), Span(2 * CALLS, 2 * CALLS)):
            opening, closing = await billing.balances(session, ACCOUNT, span)
            assert (opening, closing) == (after(span.first - 1), after(span.last))


def after(position: int) -> Balances:
    """Return the balances after a movement: a hold of 30 credits, then a charge of 20 of them."""
    ended, holds = divmod(position, 2)
    return Balances(LEFT + 20 * (CALLS - ended) - 30 * holds, 30 * holds)
