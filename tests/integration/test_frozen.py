"""A process that is frozen, or whose machine is gone without a word, keeps nothing from the others."""

from datetime import timedelta

from db.engine import Database
from db.leadership import Leadership
from db.writer import LedgerWriter
from domain.results import Reserved
from tests.support.bank import balance, open_account, reserve
from tests.support.doubles.frozen_writer import frozen_in_a_batch
from tests.support.stack import eventually

LOCK = 4711


async def test_a_leader_that_falls_silent_leads_no_longer(database_url: str) -> None:
    leader, other = Leadership(database_url, LOCK), Leadership(database_url, LOCK)
    assert await leader.held()
    assert not await other.held()
    await leader.release()
    frozen = Leadership(database_url, LOCK, max_silence=timedelta(seconds=1))
    assert await frozen.held()
    assert await eventually(other.held)
    assert not await frozen.held()
    await other.release()
    assert await frozen.held()
    await frozen.release()


async def test_a_frozen_process_keeps_no_account_locked(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    customer = await open_account(database, ledger, 1_000_000)
    with frozen_in_a_batch(database_url, [reserve(customer, 30)]) as frozen:
        await ledger.ask(reserve(customer, 500))
    assert [type(result) for result in frozen.results] == [Reserved]
    assert (await balance(database_url, customer))[1] == 530
