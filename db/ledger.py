"""Reads what a batch of ledger operations needs under lock, and writes what was decided.

A batch is two pipelined round trips around `domain.decisions.decide`. Locks are taken in one global order (accounts,
then
keys, then holds, each by id), so that batches of several processes cannot deadlock. Nothing here commits: the writer
does
(`db/writer.py`), or the transaction that `execute` is part of. Other code that moves credits takes its own locks first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from pydantic import TypeAdapter

from db.ledger_writes import write
from domain.decisions import decide
from domain.ledger import (
    Account,
    Adjust,
    Claimed,
    ClosedBy,
    Grant,
    Hold,
    HoldState,
    Key,
    Operation,
    Renew,
    Reserve,
    Secret,
    State,
    Verdict,
)
from domain.limits import Limits, Used
from domain.pricing import TextPrices

Connection = AsyncConnection[Any]
_PRICES = TypeAdapter(TextPrices)

_ACCOUNTS = """
SELECT id, available, held, open_holds, suspended_at IS NOT NULL, plan_active, recognise_retries FROM accounts
WHERE id IN (
    SELECT unnest(%(accounts)s::uuid[])
    UNION
    SELECT k.account_id FROM api_key_secrets s JOIN api_keys k ON k.id = s.key_id WHERE s.digest = ANY(%(digests)s))
ORDER BY id FOR UPDATE
"""
_KEYS = """
SELECT id, account_id, scopes, revoked_at IS NOT NULL OR coalesce(expires_at <= clock_timestamp(), false), limits,
       requests_tat, tokens_tat, open_holds, day, day_credits, month, month_credits
FROM api_keys
WHERE id IN (
    SELECT key_id FROM api_key_secrets WHERE digest = ANY(%(digests)s)
    UNION
    SELECT key_id FROM holds WHERE id = ANY(%(ending)s))
ORDER BY id FOR UPDATE
"""
_SECRETS = """
SELECT digest, key_id, revoked_at IS NOT NULL OR coalesce(expires_at <= clock_timestamp(), false)
FROM api_key_secrets WHERE digest = ANY(%(digests)s)
"""
_CLAIMED = """
    FROM unnest(%(claim_digests)s::bytea[], %(claim_scopes)s::bytea[]) AS c(digest, scope)
    JOIN api_key_secrets s ON s.digest = c.digest JOIN api_keys k ON k.id = s.key_id
    JOIN idempotency i ON i.account_id = k.account_id AND i.scope = c.scope AND i.expires_at > now()
"""
_CLAIMS = f"SELECT i.account_id, i.scope, i.fingerprint, i.hold_id, i.sealed {_CLAIMED}"
_HOLD_COLUMNS = (
    "id, account_id, key_id, kind, model, state, amount, price_version, prices, input_bound, input_count, "
    "output_limit, choices, tokens_taken, tokens_limit, relayed_output, charged, written_off, refunded, "
    "lease_until, created_at, closed_at, closed_by, max_credits"
)
_HOLDS = f"SELECT {_HOLD_COLUMNS} FROM holds WHERE id = ANY(%(holds)s) ORDER BY id FOR UPDATE"  # noqa: S608
_HOLDS_AND_CLAIMED = f"""
SELECT {_HOLD_COLUMNS} FROM holds WHERE id IN (SELECT unnest(%(holds)s::uuid[]) UNION SELECT i.hold_id {_CLAIMED})
ORDER BY id FOR UPDATE
"""  # noqa: S608
_REFS = """
SELECT t.ref, t.account_id, l.amount FROM transactions t
JOIN lines l ON l.transaction_id = t.id AND l.book = 'available' WHERE t.ref = ANY(%(refs)s)
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
    wanted = _Wanted.by(operations)
    async with connection.pipeline():
        clock = await connection.execute("SELECT clock_timestamp()")
        cursors = {name: await connection.execute(query, wanted.parameters) for name, query in wanted.queries()}
    (row,) = await clock.fetchall()
    rows = {name: await cursor.fetchall() for name, cursor in cursors.items()}
    return State(
        now=row[0],
        accounts={row[0]: Account(*row) for row in rows.get("accounts", ())},
        keys={row[0]: _key(row) for row in rows.get("keys", ())},
        secrets={bytes(row[0]): Secret(row[1], row[2]) for row in rows.get("secrets", ())},
        claims={(row[0], bytes(row[1])): Claimed(bytes(row[2]), row[3], row[4]) for row in rows.get("claims", ())},
        holds={row[0]: _hold(row) for row in rows.get("holds", ())},
        refs={ref: (account_id, amount) for ref, account_id, amount in rows.get("refs", ())},
    )


def _key(row: Sequence[Any]) -> Key:
    return Key(row[0], row[1], frozenset(row[2]), row[3], Limits(**row[4]), Used(*row[5:]))


def _hold(row: Sequence[Any]) -> Hold:
    hold = Hold(*row)
    hold.state = HoldState(hold.state)
    hold.prices = _PRICES.validate_python(row[8]) if row[8] else None
    hold.closed_by = ClosedBy(hold.closed_by) if hold.closed_by else None
    return hold


@dataclass(slots=True)
class _Wanted:
    """Ids that a batch needs, by what they are ids of."""

    accounts: set[UUID] = field(default_factory=set)
    digests: set[bytes] = field(default_factory=set)
    holds: set[UUID] = field(default_factory=set)
    ending: set[UUID] = field(default_factory=set)
    """Holds whose keys' counters change too."""
    refs: set[str] = field(default_factory=set)
    claims: list[tuple[bytes, bytes]] = field(default_factory=list)

    @classmethod
    def by(cls, operations: Sequence[Operation]) -> "_Wanted":
        wanted = cls()
        for operation in operations:
            wanted._add(operation)
        return wanted

    def _add(self, operation: Operation) -> None:
        match operation:
            case Reserve():
                self._add_reserve(operation)
            case Grant() | Adjust():
                self.accounts.add(operation.account_id)
                self.refs.add(operation.ref)
            case Renew():
                self.holds.add(operation.hold_id)
            case _:
                self.holds.add(operation.hold_id)
                self.ending.add(operation.hold_id)
                self.accounts.add(operation.account_id)

    def _add_reserve(self, asked: Reserve) -> None:
        self.holds.add(asked.hold_id)
        if asked.account_id is not None:
            self.accounts.add(asked.account_id)
        if asked.digest is not None:
            self.digests.add(asked.digest)
            if asked.claim is not None and asked.claim.adopts:
                self.claims.append((asked.digest, asked.claim.scope))

    def queries(self) -> Iterator[tuple[str, LiteralString]]:
        """In the order in which locks are taken."""
        if self.accounts or self.digests:
            yield "accounts", _ACCOUNTS
        if self.digests or self.ending:
            yield "keys", _KEYS
        if self.digests:
            yield "secrets", _SECRETS
        if self.claims:
            yield "claims", _CLAIMS
        if self.holds:
            yield "holds", _HOLDS_AND_CLAIMED if self.claims else _HOLDS
        if self.refs:
            yield "refs", _REFS

    @property
    def parameters(self) -> dict[str, list[Any]]:
        return {
            "accounts": list(self.accounts),
            "digests": list(self.digests),
            "holds": list(self.holds),
            "ending": list(self.ending),
            "refs": list(self.refs),
            "claim_digests": [digest for digest, _ in self.claims],
            "claim_scopes": [scope for _, scope in self.claims],
        }
