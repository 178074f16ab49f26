"""Reads what a batch of ledger operations needs under lock, and writes what was decided.

A batch is two pipelined round trips around `domain.decisions.decide`. Locks are taken in one global order (accounts,
then
keys, then holds, each by id), so that batches of several processes cannot deadlock. Nothing here commits: the writer
does
(`db/writer.py`), or the transaction that `execute` is part of. Other code that moves credits takes its own locks first.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from psycopg import AsyncConnection, AsyncCursor
from pydantic import TypeAdapter

from domain.decisions import decide
from domain.ledger import (
    Account,
    Changes,
    ClosedBy,
    Grant,
    Hold,
    HoldState,
    Key,
    Operation,
    Refund,
    Reserve,
    Settle,
    State,
    Sweep,
    Verdict,
    Void,
)
from domain.pricing import TextPrices

Connection = AsyncConnection[Any]
_PRICES = TypeAdapter(TextPrices)

_ACCOUNTS = """
SELECT id, available, held, open_holds, suspended_at IS NOT NULL, plan_active FROM accounts
WHERE id IN (
    SELECT unnest(%(accounts)s::uuid[])
    UNION
    SELECT k.account_id FROM api_key_secrets s JOIN api_keys k ON k.id = s.key_id WHERE s.digest = ANY(%(digests)s))
ORDER BY id FOR UPDATE
"""
_KEYS = """
SELECT s.digest, k.id, k.account_id, k.scopes,
       k.revoked_at IS NOT NULL OR s.revoked_at IS NOT NULL
       OR coalesce(least(k.expires_at, s.expires_at) <= clock_timestamp(), false)
FROM api_key_secrets s JOIN api_keys k ON k.id = s.key_id
WHERE s.digest = ANY(%(digests)s) ORDER BY k.id, s.digest FOR UPDATE OF k
"""
_HOLD_COLUMNS = (
    "id, account_id, key_id, kind, model, state, amount, price_version, prices, input_bound, "
    "input_count, output_limit, relayed_output, charged, written_off, refunded, lease_until, created_at, closed_at, "
    "closed_by"
)
_HOLDS = f"SELECT {_HOLD_COLUMNS} FROM holds WHERE id = ANY(%(holds)s) ORDER BY id FOR UPDATE"  # noqa: S608
_REFS = """
SELECT t.ref, t.account_id, l.amount FROM transactions t
JOIN lines l ON l.transaction_id = t.id AND l.book = 'available' WHERE t.ref = ANY(%(refs)s)
"""
_INSERT_HOLDS = f"""
INSERT INTO holds ({_HOLD_COLUMNS}) SELECT {_HOLD_COLUMNS} FROM json_populate_recordset(NULL::holds, %s)
"""  # noqa: S608
_UPDATE_HOLDS = """
UPDATE holds h SET state = n.state, relayed_output = n.relayed_output, charged = n.charged, written_off = n.written_off,
       refunded = n.refunded, lease_until = n.lease_until, closed_at = n.closed_at, closed_by = n.closed_by
FROM json_populate_recordset(NULL::holds, %s) n WHERE h.id = n.id
"""
_UPDATE_ACCOUNTS = """
UPDATE accounts a SET available = n.available, held = n.held, open_holds = n.open_holds
FROM json_populate_recordset(NULL::accounts, %s) n WHERE a.id = n.id
"""
_INSERT_TRANSACTIONS = """
WITH asked AS (
    SELECT uuidv7() AS transaction_id, *
    FROM json_to_recordset(%s) AS t(kind text, account_id uuid, hold_id uuid, ref text, lines json)
), made AS (
    INSERT INTO transactions (id, kind, account_id, hold_id, ref)
    SELECT transaction_id, kind, account_id, hold_id, ref FROM asked
)
INSERT INTO lines (transaction_id, book, account_id, amount)
SELECT transaction_id, book, CASE WHEN book IN ('available', 'held') THEN account_id END, amount
FROM asked, json_to_recordset(asked.lines) AS l(book text, amount bigint)
"""
_INSERT_USAGE = """
INSERT INTO usage (hold_id, account_id, key_id, kind, model, input_tokens, cached_tokens, cache_write_tokens,
                   output_tokens, credits, written_off, source)
SELECT hold_id, account_id, key_id, kind, model, input_tokens, cached_tokens, cache_write_tokens, output_tokens,
       credits, written_off, source
FROM json_populate_recordset(NULL::usage, %s)
"""
_TOUCH_KEYS = """
UPDATE api_keys SET last_used_at = now()
WHERE id = ANY(%s) AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
"""


async def execute(connection: Connection, operations: Sequence[Operation]) -> list[Verdict]:
    """Decide and write a batch inside the caller's transaction, which commits or rolls back all of it."""
    state = await read(connection, operations)
    verdicts, changes = decide(state, operations)
    async with connection.pipeline():
        await write(connection, changes)
    return verdicts


async def read(connection: Connection, operations: Sequence[Operation]) -> State:
    """What the batch may look at, locked."""
    wanted = _wanted(operations)
    async with connection.pipeline():
        clock = await connection.execute("SELECT clock_timestamp()")
        accounts = keys = holds = refs = None
        if wanted["accounts"] or wanted["digests"]:
            accounts = await connection.execute(_ACCOUNTS, wanted)
        if wanted["digests"]:
            keys = await connection.execute(_KEYS, wanted)
        if wanted["holds"]:
            holds = await connection.execute(_HOLDS, wanted)
        if wanted["refs"]:
            refs = await connection.execute(_REFS, wanted)
    (row,) = await clock.fetchall()
    return State(
        now=row[0],
        accounts={row[0]: Account(*row) for row in await _rows(accounts)},
        keys={bytes(row[0]): Key(row[1], row[2], frozenset(row[3]), row[4]) for row in await _rows(keys)},
        holds={row[0]: _hold(row) for row in await _rows(holds)},
        refs={ref: (account_id, amount) for ref, account_id, amount in await _rows(refs)},
    )


def _hold(row: Sequence[Any]) -> Hold:
    hold = Hold(*row)
    hold.state = HoldState(hold.state)
    hold.prices = _PRICES.validate_python(row[8]) if row[8] else None
    hold.closed_by = ClosedBy(hold.closed_by) if hold.closed_by else None
    return hold


async def write(connection: Connection, changes: Changes) -> None:
    """Queue the writes of a batch. Call inside a pipeline: errors surface when it syncs."""
    if changes.placed:
        await connection.execute(_INSERT_HOLDS, [_json(changes.placed.values())])
        if touched := [h.key_id for h in changes.placed.values() if h.key_id]:
            await connection.execute(_TOUCH_KEYS, [sorted(set(touched))])
    if changes.changed:
        await connection.execute(_UPDATE_HOLDS, [_json(changes.changed.values())])
    if changes.accounts:
        rows = _json(
            {"id": a.id, "available": a.available, "held": a.held, "open_holds": a.open_holds}
            for a in changes.accounts.values()
        )
        await connection.execute(_UPDATE_ACCOUNTS, [rows])
    if changes.transactions:
        await connection.execute(_INSERT_TRANSACTIONS, [_json(changes.transactions)])
    if changes.usage:
        await connection.execute(_INSERT_USAGE, [_json(changes.usage)])


def _wanted(operations: Sequence[Operation]) -> dict[str, list[Any]]:
    accounts: set[UUID] = set()
    digests: set[bytes] = set()
    holds: set[UUID] = set()
    refs: set[str] = set()
    for operation in operations:
        match operation:
            case Reserve():
                holds.add(operation.hold_id)
                if operation.digest is not None:
                    digests.add(operation.digest)
                if operation.account_id is not None:
                    accounts.add(operation.account_id)
            case Settle() | Void() | Sweep() | Refund():
                holds.add(operation.hold_id)
                accounts.add(operation.account_id)
            case Grant():
                accounts.add(operation.account_id)
                refs.add(operation.ref)
            case _:
                holds.add(operation.hold_id)
    return {"accounts": list(accounts), "digests": list(digests), "holds": list(holds), "refs": list(refs)}


async def _rows(cursor: AsyncCursor[Any] | None) -> list[Any]:
    return [] if cursor is None else await cursor.fetchall()


def _json(rows: Iterable[Any]) -> str:
    return orjson.dumps(list(rows)).decode()


async def expired(connection: Connection, limit: int) -> list[tuple[UUID, UUID, datetime]]:
    """Open holds whose lease has run out: hold, account, since when. Not locked: `Sweep` looks again."""
    cursor = await connection.execute(
        "SELECT id, account_id, lease_until FROM holds WHERE state = 'open' AND lease_until < clock_timestamp() "
        "ORDER BY lease_until LIMIT %s",
        [limit],
    )
    return await cursor.fetchall()
