"""The scheduled audit: whole at first, then over what has moved, and what it found is on record."""

from datetime import UTC, datetime

import psycopg

from db.audit import Audits, audit, latest
from db.audit_checks import CHECKS
from db.engine import Database
from db.writer import LedgerWriter
from domain.operations import Grant
from tests.support.bank import open_account, reserve, settle


async def test_the_first_audit_is_whole_and_the_next_ones_follow_what_moves(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    customers = [await open_account(database, ledger, 1000) for _ in range(3)]
    for customer in customers:
        operation = reserve(customer, 100)
        await ledger.ask(operation)
        await ledger.ask(settle(customer, operation.hold_id, 40))
    audits = Audits(database)
    first = await audits.run()
    assert (first.clean, first.accounts) == (True, 3)
    second = await audits.run()
    assert second.clean
    async with database.reading() as session:
        last = await latest(session)
    assert last is not None
    assert (last.whole, last.clean, last.drift_credits) == (False, True, 0)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(
            "UPDATE accounts SET available = available + 7 WHERE id = %s", [customers[0].account_id]
        )
    drifted = await audits.run()
    assert drifted.counts == {"available_drift": 1}
    assert drifted.drift_credits == 7
    async with database.reading() as session:
        last = await latest(session)
    assert last is not None
    assert (last.clean, last.drift_credits, last.counts) == (False, 7, {"available_drift": 1})


async def test_a_narrowed_audit_looks_at_what_moved_alone(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    quiet, moved = await open_account(database, ledger, 1000), await open_account(database, ledger, 1000)
    since = datetime.now(UTC)
    await ledger.ask(Grant(moved.account_id, 5, "later"))
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("UPDATE accounts SET available = available + 7 WHERE id = %s", [quiet.account_id])
    async with database.connection() as connection:
        narrowed = await audit(connection, since=since)
    assert (narrowed.clean, narrowed.accounts, narrowed.checks) == (True, 1, len(CHECKS))
    async with database.connection() as connection:
        assert (await audit(connection)).counts == {"available_drift": 1}


async def test_a_value_that_a_check_cannot_read_is_a_finding(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    customer = await open_account(database, ledger, 1000)
    call = reserve(customer, 100)
    await ledger.ask(call)
    await ledger.ask(settle(customer, call.hold_id, 40))
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute("""UPDATE holds SET prices = '{"rates": {"input": "cheap"}, "tiers": 1}'""")
        await connection.execute("UPDATE accounts SET available = available + 7")
    async with database.connection() as opened:
        counts = (await audit(opened)).counts
    assert counts["charge_not_as_priced"] == 1
    assert counts["available_drift"] == 1
