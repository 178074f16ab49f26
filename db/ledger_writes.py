"""Turns the changes of a batch of ledger operations into statements. The one for money is in `db/functions.sql`."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any
from uuid import UUID

import orjson

from db.prepared import Statement
from domain.holds import Hold
from domain.ids import uuid7
from domain.ledger import AppendedTurn, Changes, Key, Transaction
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
SELECT write_batch(%(placed)s::json, %(changed)s::json, %(accounts)s::json, %(keys)s::json, %(usage)s::json,
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
_BEGUN = Statement(
    "begun",
    """
INSERT INTO conversations (id, account_id, epoch, title)
SELECT i, a, e, t FROM unnest(%(begun)s::uuid[], %(begun_accounts)s::uuid[], %(begun_epochs)s::bigint[],
                              %(titles)s::bytea[]) AS c(i, a, e, t)
""",
)
# A conversation that is deleted at this moment is locked by its deletion: then nothing is appended.
_APPENDED = Statement(
    "appended",
    """
WITH grown AS (
    UPDATE conversations c SET messages = c.messages + g.more, size = c.size + g.size, updated_at = clock_timestamp()
    FROM unnest(%(grown)s::uuid[], %(more)s::bigint[], %(sizes)s::bigint[]) AS g(id, more, size)
    WHERE c.id = g.id RETURNING c.id
)
INSERT INTO messages (conversation_id, position, account_id, epoch, hold_id, sealed)
SELECT m.conversation, m.position, m.account, m.epoch, m.hold, m.sealed
FROM unnest(%(appended)s::uuid[], %(positions)s::bigint[], %(owners)s::uuid[], %(epochs)s::bigint[],
            %(of_holds)s::uuid[], %(messages)s::bytea[]) AS m(conversation, position, account, epoch, hold, sealed)
JOIN grown g ON g.id = m.conversation
""",
)
STATEMENTS = (_WRITE, _CLAIMS, _SEALED, _BEGUN, _APPENDED)


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
    if changes.turns:
        yield from _appended(changes.turns)


def _appended(turns: Sequence[AppendedTurn]) -> Iterator[tuple[Statement, dict[str, Any]]]:
    """Yield the statements that begin conversations and append turns."""
    if begun := [turn for turn in turns if turn.title is not None]:
        yield (
            _BEGUN,
            {
                "begun": [turn.conversation_id for turn in begun],
                "begun_accounts": [turn.account_id for turn in begun],
                "begun_epochs": [turn.epoch for turn in begun],
                "titles": [turn.title for turn in begun],
            },
        )
    grown: dict[UUID, list[bytes]] = {}
    for turn in turns:
        grown.setdefault(turn.conversation_id, []).extend(turn.sealed)
    rows = [(turn, turn.first + at, one) for turn in turns for at, one in enumerate(turn.sealed)]
    yield (
        _APPENDED,
        {
            "grown": list(grown),
            "more": [len(sealed) for sealed in grown.values()],
            "sizes": [sum(map(len, sealed)) for sealed in grown.values()],
            "appended": [turn.conversation_id for turn, _, _ in rows],
            "positions": [position for _, position, _ in rows],
            "owners": [turn.account_id for turn, _, _ in rows],
            "epochs": [turn.epoch for turn, _, _ in rows],
            "of_holds": [turn.hold_id for turn, _, _ in rows],
            "messages": [sealed for _, _, sealed in rows],
        },
    )


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
