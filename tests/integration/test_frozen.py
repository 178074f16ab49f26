"""A process that is frozen, or whose machine is gone without a word, keeps nothing from the others."""

import asyncio
import threading
from datetime import timedelta

import psycopg

from db.engine import Database
from db.leadership import Leadership
from db.writer import LedgerWriter
from domain.ledger import Reserved
from tests.integration.bank import Customer, balance, open_account, reserve
from tests.stack import eventually

LOCK = 4711
FROZEN = "a-frozen-process"


async def test_a_leader_that_falls_silent_leads_no_longer(database_url: str) -> None:
    frozen = Leadership(database_url, LOCK, max_silence=timedelta(seconds=1))
    other = Leadership(database_url, LOCK)
    assert await frozen.held()
    assert not await other.held()
    assert await eventually(other.held)
    assert not await frozen.held()
    await other.release()
    assert await frozen.held()
    await frozen.release()


class Frozen(threading.Thread):
    """A process that freezes while Postgres works on its batch. In a thread, whose event loop does nothing then."""

    def __init__(self, url: str, customer: Customer) -> None:
        super().__init__()
        self.thaw = threading.Event()
        self.placed: Reserved | None = None
        self._url = url
        self._customer = customer

    def run(self) -> None:
        asyncio.run(self._live())

    async def _live(self) -> None:
        async with LedgerWriter(self._url, application=FROZEN) as ledger:
            asking = asyncio.create_task(ledger.ask(reserve(self._customer, 30)))
            await asyncio.sleep(0.1)
            self.thaw.wait(60)
            answer = await asking
            assert isinstance(answer, Reserved)
            self.placed = answer


async def _freeze(url: str, customer: Customer) -> Frozen | None:
    """Postgres has just given it the account's lock. None when it has frozen too early or too late for that."""
    states = "SELECT state, wait_event_type FROM pg_stat_activity WHERE application_name = %s"
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as watching:

        async def state() -> tuple[str, str | None] | None:
            return await (await watching.execute(states, [FROZEN])).fetchone()

        async with await psycopg.AsyncConnection.connect(url) as operator:
            await operator.execute("SELECT id FROM accounts WHERE id = %s FOR UPDATE", [customer.account_id])
            frozen = Frozen(url, customer)
            frozen.start()
            while (await state() or ("", ""))[1] != "Lock":  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.12)
        await asyncio.sleep(0.05)
        if (await state() or ("", ""))[0] == "idle in transaction":
            return frozen
    frozen.thaw.set()
    await asyncio.to_thread(frozen.join)
    return None


async def test_a_frozen_process_keeps_no_account_locked(
    database: Database, ledger: LedgerWriter, database_url: str
) -> None:
    customer = await open_account(database, ledger, 1_000_000)
    attempts = 0
    while (frozen := await _freeze(database_url, customer)) is None:
        attempts += 1
        assert attempts < 20, "never caught it in the middle of a batch"
    await ledger.ask(reserve(customer, 500))
    frozen.thaw.set()
    await asyncio.to_thread(frozen.join)
    assert frozen.placed is not None
    assert (await balance(database_url, customer))[1] == 500 + 30 * (attempts + 1)
