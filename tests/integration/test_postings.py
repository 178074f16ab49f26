"""The database itself refuses what is not exactly the postings of a kind of transaction, whoever writes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from db.engine import Database
from db.writer import LedgerWriter
from tests.support.bank import Customer, open_account, reserve, settle, void

HELD, CHARGED = 100, 40
POST = """
WITH moved AS (
    INSERT INTO transactions (kind, account_id, hold_id, ref, note, position)
    SELECT %(kind)s, %(account)s, %(hold)s::uuid, %(ref)s::text, %(note)s::text, 1000 RETURNING id
)
INSERT INTO lines (transaction_id, book, account_id, amount)
SELECT moved.id, key, CASE WHEN key IN ('available', 'held') THEN %(owner)s::uuid END, value::bigint
FROM moved, jsonb_each_text(%(postings)s)
"""
UNPOSTED = "ALTER TABLE {0} DISABLE TRIGGER ALL; DELETE FROM {0} {1}; ALTER TABLE {0} ENABLE TRIGGER ALL"


@dataclass(frozen=True, slots=True)
class Bank:
    url: str
    customer: Customer
    holds: Mapping[str, UUID]

    async def post(self, kind: str, postings: dict[str, int], state: str | None = None, **other: Any) -> int:
        """As a process that makes a mistake would, after what there is of this kind and hold was taken away.

        How many postings were written, before they are rolled back.
        """
        hold = self.holds[state] if state else None
        values = {"kind": kind, "account": self.customer.account_id, "hold": hold, "note": None}
        values |= {"ref": None if hold else f"ref:{uuid4()}", "owner": self.customer.account_id}
        values["postings"] = psycopg.types.json.Jsonb(postings)
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            these = f"WHERE hold_id = '{hold or UUID(int=0)}' AND kind = '{kind}'"
            for statement in UNPOSTED.format("transactions", these).split("; "):
                await connection.execute(statement.encode())
            try:
                return (await connection.execute(POST, values | other)).rowcount
            finally:
                await connection.rollback()


@pytest.fixture
async def bank(database: Database, ledger: LedgerWriter, database_url: str) -> Bank:
    customer = await open_account(database, ledger, 1000)
    calls = {state: reserve(customer, HELD) for state in ("open", "settled", "void")}
    for call in calls.values():
        await ledger.ask(call)
    await ledger.ask(settle(customer, calls["settled"].hold_id, CHARGED))
    await ledger.ask(void(customer, calls["void"].hold_id))
    return Bank(database_url, customer, {state: call.hold_id for state, call in calls.items()})


RIGHT: list[tuple[str, dict[str, int], str | None]] = [
    ("grant", {"available": 5, "grants": -5}, None),
    ("adjust", {"available": -5, "adjustments": 5}, None),
    ("hold", {"available": -HELD, "held": HELD}, "open"),
    ("extend", {"available": -5, "held": 5}, "open"),
    ("release", {"available": HELD, "held": -HELD}, "void"),
    ("charge", {"available": HELD - CHARGED, "held": -HELD, "revenue": CHARGED}, "settled"),
]
WRONG: list[tuple[str, dict[str, int], str | None]] = [
    ("grant", {"available": 5, "grants": -4}, None),
    ("grant", {"available": 5, "revenue": -5}, None),
    ("grant", {"available": 5, "adjustments": -5}, None),
    ("grant", {"available": -5, "grants": 5}, None),
    ("grant", {"held": 5, "grants": -5}, None),
    ("grant", {"available": 4, "held": 1, "grants": -5}, None),
    ("grant", {"available": 5, "grants": -5}, "open"),
    ("grant", {}, None),
    ("adjust", {"available": 5, "grants": -5}, None),
    ("adjust", {"held": 5, "adjustments": -5}, None),
    ("hold", {"available": -HELD, "held": HELD - 10, "revenue": 10}, "open"),
    ("hold", {"available": HELD, "held": -HELD}, "open"),
    ("hold", {"available": -HELD - 1, "held": HELD + 1}, "open"),
    ("hold", {"available": -HELD, "revenue": HELD}, "open"),
    ("hold", {"available": -HELD, "held": HELD}, None),
    ("extend", {"available": -HELD, "held": HELD}, "open"),
    ("extend", {"available": 5, "held": -5}, "open"),
    ("release", {"available": HELD + 10, "held": -HELD, "revenue": -10}, "void"),
    ("release", {"available": HELD - 10, "held": -HELD + 10}, "void"),
    ("release", {"available": HELD, "held": -HELD}, "open"),
    ("release", {"available": HELD, "grants": -HELD}, "void"),
    ("charge", {"available": HELD - CHARGED, "held": -HELD, "grants": CHARGED}, "settled"),
    ("charge", {"available": HELD - CHARGED - 1, "held": -HELD, "revenue": CHARGED + 1}, "settled"),
    ("charge", {"available": HELD - CHARGED, "held": -HELD, "revenue": CHARGED + 9, "written_off": -9}, "settled"),
    ("charge", {"available": HELD - CHARGED, "held": -HELD, "revenue": CHARGED}, "void"),
    ("refund", {"available": CHARGED, "revenue": -CHARGED}, "settled"),
    ("refund", {"available": 5, "grants": -5}, "settled"),
]


@pytest.mark.parametrize(("kind", "postings", "state"), RIGHT)
async def test_the_postings_of_each_kind_are_written(
    bank: Bank, kind: str, postings: dict[str, int], state: str | None
) -> None:
    assert await bank.post(kind, postings, state, note="A correction.") == len(postings)


@pytest.mark.parametrize(("kind", "postings", "state"), WRONG)
async def test_other_postings_are_refused(bank: Bank, kind: str, postings: dict[str, int], state: str | None) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        assert await bank.post(kind, postings, state, note="A correction.") == len(postings)


@pytest.mark.parametrize(
    "other",
    [{"ref": None}, {"owner": UUID(int=5)}, {"note": ""}, {"note": None}],
    ids=["no reference", "another account's", "an empty reason", "no reason"],
)
async def test_an_adjustment_has_a_reference_a_reason_and_one_account(bank: Bank, other: dict[str, Any]) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        await bank.post("adjust", {"available": -5, "adjustments": 5}, None, **({"note": "A correction."} | other))


async def test_a_transaction_gets_no_postings_later(bank: Bank) -> None:
    late = """
        INSERT INTO lines (transaction_id, book, amount)
        SELECT id, book, amount FROM transactions, (VALUES ('revenue', 5), ('adjustments', -5)) AS more (book, amount)
        WHERE kind = 'grant'"""
    async with await psycopg.AsyncConnection.connect(bank.url) as connection:
        with pytest.raises(psycopg.errors.CheckViolation):
            await connection.execute(late)


async def test_postings_of_no_transaction_are_refused(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        with pytest.raises(psycopg.errors.CheckViolation):
            await connection.execute(
                "INSERT INTO lines VALUES (%s, 'grants', NULL, -5), (%s, 'revenue', NULL, 5)", [uuid4()] * 2
            )
