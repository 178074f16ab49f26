"""A client killed, its backend terminated, its replies lost: at every message of a batch, one after the other."""

import asyncio
from collections.abc import Callable, Sequence
from uuid import uuid4

import psycopg
import pytest

from db.engine import Database
from db.writer import LedgerWriter
from domain.operations import Operation
from tests.integration.test_ledger import outcome, proven
from tests.support.bank import balance, open_account, reserve, settle
from tests.support.doubles.faulty_wire import Fault, FaultyWire, Point, Way
from tests.support.ledger.client import Client
from tests.support.ledger.result_codec import encode

AT_ONCE = 6
RESERVED, SETTLED = ("Reserved", 100, 100, 900, 100, False), ("Closed", "settled", 40, 0, 960, 0)
MakeFault = Callable[[FaultyWire, Client, psycopg.AsyncConnection], Fault]


def kill(wire: FaultyWire, client: Client, admin: psycopg.AsyncConnection) -> Fault:
    async def fault() -> bool:
        await client.kill()
        return False

    return fault


def terminate(wire: FaultyWire, client: Client, admin: psycopg.AsyncConnection) -> Fault:
    async def fault() -> bool:
        """Of what comes before the backend has told its id, nobody can terminate it: cut."""
        if wire.backend is None:
            return False
        await admin.execute("SELECT pg_terminate_backend(%s, 5000)", [wire.backend])
        return True

    return fault


def cut(wire: FaultyWire, client: Client, admin: psycopg.AsyncConnection) -> Fault:
    async def fault() -> bool:
        return False

    return fault


async def messages_of(url: str, batch: Sequence[Operation]) -> dict[Way, int]:
    """Of a client from its first to its last one."""
    async with FaultyWire(url) as wire:
        wire.arm(None)
        async with Client(wire.url) as client:
            await client.ask(batch)
        return wire.seen


@pytest.mark.parametrize(
    ("what", "way"), [(kill, Way.FORTH), (kill, Way.BACK), (terminate, Way.FORTH), (cut, Way.BACK)]
)
async def test_a_fault_before_any_message_charges_once(
    database: Database, database_url: str, what: MakeFault, way: Way
) -> None:
    """Before each, from a client's first to its last, and so after each but the last. Then another client asks."""
    gate = asyncio.Semaphore(AT_ONCE)
    admin = await psycopg.AsyncConnection.connect(database_url, autocommit=True)

    async def once(ledger: LedgerWriter, number: int) -> bool:
        """Whether the fault came."""
        async with gate, FaultyWire(database_url) as wire, Client(wire.url) as client:
            customer, hold_id = await open_account(database, ledger, 1000), uuid4()
            batch: list[Operation] = [reserve(customer, 100, hold_id), settle(customer, hold_id, 40)]
            wire.arm(Point(way, number), what(wire, client, admin))
            results = await client.ask(batch)
        repeated_results = [encode(await outcome(ledger, operation)) for operation in batch]
        assert results[0] in (None, RESERVED, ("HoldClosed",)), results
        assert results[1] is None or results[1][:-1] == SETTLED, results
        first = results[1] is None and repeated_results[0] == RESERVED  # the client was killed before it was done
        assert repeated_results == ([RESERVED, (*SETTLED, False)] if first else [("HoldClosed",), (*SETTLED, True)])
        assert await balance(database_url, customer) == (960, 0, 0)
        return wire.fired

    async with admin, LedgerWriter(database_url) as ledger:
        customer, hold_id = await open_account(database, ledger, 1000), uuid4()
        whole = await messages_of(database_url, [reserve(customer, 100, hold_id), settle(customer, hold_id, 40)])
        came = await asyncio.gather(*(once(ledger, number) for number in range(1, whole[way] + 1)))
    assert all(came), (whole, came)
    assert len(came) > 4
    report = await proven(database)
    assert report.clean, report.counts
