"""A process of the release before calls `ledger_write` while a newer one has migrated: its movements are right too."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg

from db.audit import audit
from db.engine import Database
from db.writer import LedgerWriter
from domain.operations import Refund
from tests.support.bank import open_account

HOLD, CREDITS = uuid.uuid4(), 40
WRITE = "SELECT ledger_write(%s::json, %s::json, %s::json, %s::json, %s::json, %s::json)"


def movement(kind: str, account_id: UUID, **amounts: int) -> dict[str, Any]:
    lines = [{"book": book, "amount": amount} for book, amount in amounts.items()]
    return {"kind": kind, "account_id": account_id, "hold_id": HOLD, "ref": None, "note": None, "lines": lines}


def hold(account_id: UUID) -> dict[str, Any]:
    zeros = ("input_bound", "input_count", "tokens_taken", "relayed_output", "charged", "written_off", "refunded")
    known = {"id": HOLD, "account_id": account_id, "kind": "image", "model": "m", "state": "open", "amount": CREDITS}
    return known | dict.fromkeys(zeros, 0) | {"price_version": "v", "choices": 1, "created_at": datetime.now(UTC)}


def settled(placed: dict[str, Any]) -> dict[str, Any]:
    return placed | {"state": "settled", "charged": CREDITS, "closed_at": datetime.now(UTC), "closed_by": "call"}


def usage(account_id: UUID) -> dict[str, Any]:
    zeros = ("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "written_off")
    known = {"hold_id": HOLD, "account_id": account_id, "kind": "image", "model": "m", "source": "flat"}
    return known | dict.fromkeys(zeros, 0) | {"credits": CREDITS}


async def test_what_the_release_before_writes_is_right(
    database: Database, database_url: str, ledger: LedgerWriter
) -> None:
    account_id = (await open_account(database, ledger, 1000)).account_id
    placed = hold(account_id)
    account = {"id": account_id, "available": 960, "held": 40, "open_holds": 1, "suspended": False}
    freed = account | {"held": 0, "open_holds": 0}
    begun = movement("hold", account_id, available=-40, held=40)
    ended = movement("charge", account_id, held=-40, revenue=40)
    batches: list[tuple[list[dict[str, Any]], ...]] = [
        ([placed], [], [account], [], [], [begun]),
        ([], [settled(placed)], [freed], [], [usage(account_id)], [ended]),
    ]
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        for rows in batches:
            await connection.execute(WRITE, [json.dumps(some, default=str) for some in rows])
        await ledger.ask(Refund(HOLD, account_id))
        found = await connection.execute(
            "SELECT kind, position FROM transactions WHERE account_id = %s ORDER BY created_at, position", [account_id]
        )
        assert await found.fetchall() == [("grant", 1), ("hold", 2), ("charge", 3), ("refund", 4)]
    async with database.connection() as connected:
        report = await audit(connected)
    assert report.clean, report
