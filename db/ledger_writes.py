"""Turns the changes of a batch of ledger operations into statements. The one for money is in `db/functions.sql`."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

import orjson

from db.prepared import Statement
from domain.holds import Hold
from domain.ids import uuid7
from domain.ledger import Changes, Key, Transaction
from domain.limits import Used

_COUNTERS = tuple(field.name for field in fields(Used))
_CHANGING = (
    *("id", "state", "amount", "output_limit", "tokens_taken", "relayed_output", "charged", "written_off", "refunded"),
    *("lease_until", "closed_at", "closed_by"),
)
"""The columns of a hold that change after it was placed."""
_WRITE = Statement(
    "write",
    """
SELECT ledger_apply(%(placed)s::json, %(changed)s::json, %(accounts)s::json, %(keys)s::json, %(usage)s::json,
                    %(transactions)s::json)
""",
)
_CLAIMS = Statement(
    "claims",
    """
INSERT INTO idempotency (account_id, scope, fingerprint, hold_id, expires_at, epoch)
SELECT a, s, f, h, now() + r, e
FROM unnest(%(claim_accounts)s::uuid[], %(claim_scopes)s::bytea[], %(claim_fingerprints)s::bytea[],
            %(claim_holds)s::uuid[], %(claim_times)s::interval[], %(claim_epochs)s::bigint[])
    AS c(a, s, f, h, r, e)
ON CONFLICT (account_id, scope) DO UPDATE SET fingerprint = excluded.fingerprint, hold_id = excluded.hold_id,
    sealed = NULL, created_at = now(), expires_at = excluded.expires_at,
    epoch = excluded.epoch
""",
)
_SEALED = Statement(
    "sealed",
    """
UPDATE idempotency i SET sealed = n.sealed
FROM unnest(%(sealed_holds)s::uuid[], %(sealed)s::bytea[]) AS n(hold_id, sealed)
WHERE i.hold_id = n.hold_id
""",
)
STATEMENTS = (_WRITE, _CLAIMS, _SEALED)


def statements(changes: Changes) -> Iterator[tuple[Statement, dict[str, Any]]]:
    """Yield a statement for the batch's money, and one for each kind of answer that it stores."""
    if changes:
        rows = {
            "placed": changes.placed.values(),
            "changed": map(_changing, changes.changed.values()),
            "accounts": changes.accounts.values(),
            "keys": [_counters(key, called=key.id in changes.called) for key in changes.keys.values()],
            "usage": changes.usage,
            "transactions": _movements(changes.transactions),
        }
        yield _WRITE, {name: _rows(some) for name, some in rows.items()}
    if changes.claims:
        claims = changes.claims.values()
        yield (
            _CLAIMS,
            {
                "claim_accounts": [account for account, _ in changes.claims],
                "claim_scopes": [scope for _, scope in changes.claims],
                "claim_fingerprints": [claim.fingerprint for claim in claims],
                "claim_holds": [claim.hold_id for claim in claims],
                "claim_times": [claim.remembered for claim in claims],
                "claim_epochs": [claim.epoch for claim in claims],
            },
        )
    if changes.sealed:
        yield _SEALED, {"sealed_holds": list(changes.sealed), "sealed": list(changes.sealed.values())}


def _rows(rows: Iterable[Any]) -> str | None:
    """Return the rows as JSON, or None if there are none."""
    listed = list(rows)
    return orjson.dumps(listed).decode() if listed else None


def _movements(transactions: Sequence[Transaction]) -> Iterator[dict[str, Any]]:
    """Yield each transaction with an id, and its postings as amounts by ledger account."""
    if not transactions:
        return
    milliseconds, entropy = time.time_ns() // 1_000_000, os.urandom(10 * len(transactions))
    for number, transaction in enumerate(transactions):
        yield {
            "id": uuid7(milliseconds, entropy[10 * number : 10 * number + 10]),
            "kind": transaction.kind,
            "account_id": transaction.account_id,
            "hold_id": transaction.hold_id,
            "ref": transaction.ref,
            "note": transaction.note,
            "position": transaction.position,
            "created_at": transaction.created_at,
            **{posting.book.value: posting.amount for posting in transaction.postings},
        }


def _changing(hold: Hold) -> dict[str, Any]:
    return {name: getattr(hold, name) for name in _CHANGING}


def _counters(key: Key, *, called: bool) -> dict[str, Any]:
    return {"id": key.id, "called": called} | {name: getattr(key.used, name) for name in _COUNTERS}
