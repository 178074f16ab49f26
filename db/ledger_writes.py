"""Writes what a batch of ledger operations came to: sets of rows, all tables in one statement."""

from dataclasses import fields
from typing import Any

import orjson
from psycopg import AsyncConnection

from domain.ledger import Changes, Hold, Key
from domain.limits import Used

_COUNTERS = tuple(field.name for field in fields(Used))
_CHANGING = (
    *("id", "state", "amount", "output_limit", "tokens_taken", "relayed_output", "charged", "written_off", "refunded"),
    *("lease_until", "closed_at", "closed_by"),
)
"""Of a hold; the rest is as it was placed."""
_HOLD_COLUMNS = ", ".join(field.name for field in fields(Hold))
_WRITES = f"""
WITH placed AS (
    INSERT INTO holds ({_HOLD_COLUMNS})
    SELECT {_HOLD_COLUMNS} FROM json_populate_recordset(NULL::holds, %(placed)s)
), changed AS (
    UPDATE holds h SET state = n.state, amount = n.amount, output_limit = n.output_limit,
        tokens_taken = n.tokens_taken, relayed_output = n.relayed_output, charged = n.charged,
        written_off = n.written_off, refunded = n.refunded, lease_until = n.lease_until, closed_at = n.closed_at,
        closed_by = n.closed_by
    FROM json_populate_recordset(NULL::holds, %(changed)s) n WHERE h.id = n.id
), balances AS (
    UPDATE accounts a SET available = n.available, held = n.held, open_holds = n.open_holds
    FROM json_populate_recordset(NULL::accounts, %(accounts)s) n WHERE a.id = n.id
), counters AS (
    UPDATE api_keys k SET requests_tat = n.requests_tat, tokens_tat = n.tokens_tat, open_holds = n.open_holds,
        day = n.day, day_credits = n.day_credits, month = n.month, month_credits = n.month_credits,
        last_used_at = now()
    FROM json_populate_recordset(NULL::api_keys, %(keys)s) n WHERE k.id = n.id
), used AS (
    INSERT INTO usage (hold_id, account_id, key_id, kind, model, input_tokens, cached_tokens, cache_write_tokens,
        output_tokens, credits, written_off, source)
    SELECT hold_id, account_id, key_id, kind, model, input_tokens, cached_tokens, cache_write_tokens,
        output_tokens, credits, written_off, source
    FROM json_populate_recordset(NULL::usage, %(usage)s)
    RETURNING account_id, model, key_id, kind, input_tokens, output_tokens, credits
), rolled_up AS (
    INSERT INTO usage_days AS d (account_id, day, model, key_id, kind, calls, input_tokens, output_tokens, credits)
    SELECT account_id, (now() AT TIME ZONE 'UTC')::date, model,
           coalesce(key_id, '00000000-0000-0000-0000-000000000000'),
           min(kind), count(*), sum(input_tokens), sum(output_tokens), sum(credits)
    FROM used GROUP BY account_id, model, key_id
    ON CONFLICT (account_id, day, model, key_id) DO UPDATE SET calls = d.calls + excluded.calls,
        input_tokens = d.input_tokens + excluded.input_tokens,
        output_tokens = d.output_tokens + excluded.output_tokens, credits = d.credits + excluded.credits
), asked AS (
    SELECT uuidv7() AS transaction_id, *
    FROM json_to_recordset(%(transactions)s)
        AS t(kind text, account_id uuid, hold_id uuid, ref text, note text, lines json)
), made AS (
    INSERT INTO transactions (id, kind, account_id, hold_id, ref, note)
    SELECT transaction_id, kind, account_id, hold_id, ref, note FROM asked
)
INSERT INTO lines (transaction_id, book, account_id, amount)
SELECT transaction_id, book, CASE WHEN book IN ('available', 'held') THEN account_id END, amount
FROM asked, json_to_recordset(asked.lines) AS l(book text, amount bigint)
"""  # noqa: S608
_CLAIMS = """
INSERT INTO idempotency (account_id, scope, fingerprint, hold_id, expires_at)
SELECT a, s, f, h, now() + r
FROM unnest(%s::uuid[], %s::bytea[], %s::bytea[], %s::uuid[], %s::interval[]) AS c(a, s, f, h, r)
ON CONFLICT (account_id, scope) DO UPDATE SET fingerprint = excluded.fingerprint, hold_id = excluded.hold_id,
    sealed = NULL, created_at = now(), expires_at = excluded.expires_at
"""
_SEALED = """
UPDATE idempotency i SET sealed = n.sealed FROM unnest(%s::uuid[], %s::bytea[]) AS n(hold_id, sealed)
WHERE i.hold_id = n.hold_id
"""


async def write(connection: AsyncConnection[Any], changes: Changes) -> None:
    """One statement for a batch's money, and one for each kind of answer it keeps. Inside the caller's transaction.

    Within a pipeline they are only queued: errors surface when it syncs.
    """
    if changes:
        rows = {
            "placed": changes.placed.values(),
            "changed": map(_changing, changes.changed.values()),
            "accounts": changes.accounts.values(),
            "keys": map(_counters, changes.keys.values()),
            "usage": changes.usage,
            "transactions": changes.transactions,
        }
        await connection.execute(_WRITES, {name: orjson.dumps(list(some)).decode() for name, some in rows.items()})
    await _remember(connection, changes)


async def _remember(connection: AsyncConnection[Any], changes: Changes) -> None:
    if changes.claims:
        rows = [
            (account, scope, c.fingerprint, c.hold_id, c.remembered) for (account, scope), c in changes.claims.items()
        ]
        await connection.execute(_CLAIMS, [list(column) for column in zip(*rows, strict=True)])
    if changes.sealed:
        await connection.execute(_SEALED, [list(changes.sealed), list(changes.sealed.values())])


def _changing(hold: Hold) -> dict[str, Any]:
    return {name: getattr(hold, name) for name in _CHANGING}


def _counters(key: Key) -> dict[str, Any]:
    return {"id": key.id} | {name: getattr(key.used, name) for name in _COUNTERS}
