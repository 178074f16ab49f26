"""Locks and reads the rows of a batch of ledger operations, and decides it; `db/ledger_writes.py` writes the result.

A batch is two round trips around `domain.decisions.decide`, each with a function of the database (`db/functions.sql`):
`lock_batch` locks and reads, `write_batch` writes. Locks are taken in one global order (accounts, then keys, then
holds, each by id), so that batches of several processes cannot deadlock. `execute` is part of its caller's transaction,
which takes its own locks first and commits; `begin` and `commit` are a transaction of their own (`db/writer.py`).
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from psycopg import AsyncConnection
from pydantic import TypeAdapter

from db import ledger_writes
from db.ledger_columns import ACCOUNT, HOLD, KEY
from db.prepared import BEGIN, COMMIT, ROLLBACK, PreparedConnection, Statement
from domain.conversations import ConversationState
from domain.decisions import decide
from domain.holds import ClosedBy, Hold, HoldState
from domain.ledger import Account, Changes, IdempotencyRecord, Key, Secret, State
from domain.limits import Limits, Used
from domain.meters import TokenPrices
from domain.operations import Adjust, Admit, Grant, Operation, Renew, Reserve, Settle
from domain.privacy import Privacy
from domain.records import record
from domain.results import Result

Connection = AsyncConnection[Any]
_READ = Statement(
    "read",
    """
SELECT lock_batch(%(accounts)s::uuid[], %(digests)s::bytea[], %(unknown)s::bytea[], %(ending)s::uuid[],
                  %(holds)s::uuid[], %(placing)s::uuid[], %(claim_digests)s::bytea[], %(claim_scopes)s::bytea[],
                  %(refs)s::text[], %(renewing)s::uuid[], %(wait)s::boolean)::text
""",
)
# After the accounts' locks, under which their conversations change.
_CONVERSATIONS = Statement(
    "conversations",
    """
SELECT coalesce(json_agg(json_build_array(id, account_id, epoch, messages)), '[]')::text
FROM conversations WHERE id = ANY(%(conversations)s::uuid[])
""",
)
STATEMENTS = (BEGIN, COMMIT, ROLLBACK, _READ, _CONVERSATIONS, *ledger_writes.STATEMENTS)
"""All statements that `begin` and `commit` run."""
_STATES = {state.value: state for state in HoldState}
_CLOSERS = {closer.value: closer for closer in ClosedBy}
_PRICES = TypeAdapter(TokenPrices)
_COUNTERS = tuple(field.name for field in fields(Used))
_TIMES = ("lease_until", "created_at", "closed_at")
_known_id = lru_cache(maxsize=4096)(UUID)
"""Caches ids that are read often, such as those of accounts."""


async def execute(connection: Connection, operations: Sequence[Operation]) -> list[Result]:
    """Decide and write a batch inside the caller's transaction. The caller commits. Waits for locks."""
    cursor = await connection.execute(_READ.sql, _Wanted.by(operations).parameters({}) | {"wait": True})
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101  # a function without a set returns one row
    results, changes = decide(_locked(row[0]).state, operations)
    for statement, values in ledger_writes.statements(changes):
        await connection.execute(statement.sql, values)
    return results


@record
class Locked:
    """The rows that a batch needs, and which of them another transaction has locked."""

    state: State
    owners: dict[bytes, UUID]
    """The account of each key's digest."""
    unavailable: frozenset[UUID]
    """Accounts and holds that were left out because another transaction has locked them."""

    def blocked_by(self, operation: Operation) -> UUID | None:
        """Return the account (for a renewal, the hold) whose lock prevents a decision, or None."""
        match operation:
            case Renew(hold_id=hold_id):
                return hold_id if hold_id in self.unavailable else None
            case Reserve():
                return self._blocked_reserve(operation)
            case Admit(digest=bytes() as digest):
                return self._blocked_key(digest)
            case Admit(account_id=account_id):
                return account_id if account_id in self.unavailable else None
            case Grant(account_id=account_id) | Adjust(account_id=account_id):
                return account_id if account_id in self.unavailable else None
        account_id, hold = operation.account_id, self.state.holds.get(operation.hold_id)
        key_missing = hold is not None and hold.account_id == account_id and not self._has(hold.key_id)
        missing = key_missing or not self.unavailable.isdisjoint((account_id, operation.hold_id))
        return account_id if missing else None

    def _blocked_reserve(self, operation: Reserve) -> UUID | None:
        account_id, needs = operation.account_id, {operation.hold_id}
        if operation.digest is not None:
            account_id = self.owners.get(operation.digest)
        if account_id is None:
            return None
        for scope, _ in operation.claim.identities if operation.claim else ():
            if record := self.state.claims.get((account_id, scope)):
                needs.add(record.hold_id)
        secret = self.state.secrets.get(operation.digest) if operation.digest else None
        missing = secret is not None and not self._has(secret.key_id)
        return account_id if missing or not self.unavailable.isdisjoint({account_id, *needs}) else None

    def _blocked_key(self, digest: bytes) -> UUID | None:
        account_id, secret = self.owners.get(digest), self.state.secrets.get(digest)
        missing = secret is not None and not self._has(secret.key_id)
        return account_id if missing or account_id in self.unavailable else None

    def _has(self, key_id: UUID | None) -> bool:
        """Tell whether the key is locked, with the keys that its calls are counted on."""
        if key_id is None:
            return True
        key = self.state.keys.get(key_id)
        return key is not None and all(ancestor in self.state.keys for ancestor in key.ancestors)


async def begin(
    connection: PreparedConnection, operations: Sequence[Operation], owners: Mapping[bytes, UUID], *, wait: bool
) -> Locked:
    """Begin a transaction, lock the rows of the batch and read them, in one round trip.

    `owners` are the known accounts of digests, which never change. With `wait`, it waits for locks of other
    transactions; otherwise locked rows are left out and named in `Locked.unavailable`.
    """
    values = _Wanted.by(operations).parameters(owners) | {"wait": wait}
    conversations = [one.turn.conversation_id for one in operations if isinstance(one, Settle) and one.turn is not None]
    if not conversations:
        _, result = await connection.run((BEGIN, {}), (_READ, values))
        return _locked(result.get_value(0, 0))
    _, result, rows = await connection.run(
        (BEGIN, {}), (_READ, values), (_CONVERSATIONS, {"conversations": conversations})
    )
    locked = _locked(result.get_value(0, 0))
    for id_, account_id, epoch, messages in orjson.loads(rows.get_value(0, 0)):
        locked.state.conversations[UUID(id_)] = ConversationState(_known_id(account_id), epoch, messages)
    return locked


async def commit(connection: PreparedConnection, changes: Changes) -> None:
    """Write and commit in one message. The COMMIT runs only if every statement before it succeeded."""
    await connection.run(*ledger_writes.statements(changes), (COMMIT, {}))


def _locked(document: str | bytes) -> Locked:
    whole: dict[str, Any] = orjson.loads(document)
    tables: dict[str, Sequence[Any]] = {name: rows or () for name, rows in whole.items()}
    owners = {bytes.fromhex(row[0]): _known_id(row[3]) for row in tables["secrets"]}
    return Locked(_state(whole["now"], tables), owners, frozenset(UUID(row) for row in tables["unavailable"]))


def _state(now: str, rows: dict[str, Sequence[Any]]) -> State:
    accounts = [_account(row) for row in rows["accounts"]]
    keys = [_key(row) for row in rows["keys"]]
    holds = [_hold(row) for row in rows["holds"]]
    return State(
        now=datetime.fromisoformat(now),
        accounts={account.id: account for account in accounts},
        keys={key.id: key for key in keys},
        secrets={bytes.fromhex(row[0]): Secret(_known_id(row[1]), row[2], _time(row[4])) for row in rows["secrets"]},
        claims={(_known_id(row[0]), bytes.fromhex(row[1])): _claimed(row) for row in rows["claims"]},
        holds={hold.id: hold for hold in holds},
        cut={UUID(hold_id) for hold_id in rows["cut"]},
        erased={UUID(hold_id) for hold_id in rows["erased"]},
        refs={ref: (_known_id(account_id), amount) for ref, account_id, amount in rows["refs"]},
    )


def _account(row: Sequence[Any]) -> Account:
    values = dict(zip(ACCOUNT, row, strict=True))
    values["id"], values["moved_at"] = _known_id(values["id"]), _time(values["moved_at"])
    values["requests_tat"], values["tokens_tat"] = _time(values["requests_tat"]), _time(values["tokens_tat"])
    return Account(**values)


def _key(row: Sequence[Any]) -> Key:
    values = dict(zip(KEY, row, strict=True))
    used = {name: values.pop(name) for name in _COUNTERS}
    used["requests_tat"], used["tokens_tat"] = _time(used["requests_tat"]), _time(used["tokens_tat"])
    used["day"], used["month"] = _date(used["day"]), _date(used["month"])
    values["id"], values["account_id"] = _known_id(values["id"]), _known_id(values["account_id"])
    values["scopes"], values["limits"] = frozenset(values["scopes"]), Limits(**values["limits"])
    values["models"] = None if values["models"] is None else frozenset(values["models"])
    values["privacy"] = Privacy(values["privacy"])
    values["ancestors"] = tuple(_known_id(ancestor) for ancestor in values["ancestors"])
    return Key(**values, used=Used(**used))


def _hold(row: Sequence[Any]) -> Hold:
    hold = Hold(**dict(zip(HOLD, row, strict=True)))
    hold.id, hold.account_id = UUID(str(hold.id)), _known_id(str(hold.account_id))
    hold.key_id = _known_id(str(hold.key_id)) if hold.key_id else None
    hold.state = _STATES[hold.state]
    hold.prices = _prices(str(hold.prices)) if hold.prices else None
    for name in _TIMES:
        setattr(hold, name, _time(getattr(hold, name)))
    hold.closed_by = _CLOSERS[hold.closed_by] if hold.closed_by else None
    return hold


def _claimed(row: Sequence[Any]) -> IdempotencyRecord:
    sealed = base64.b64decode(row[4]) if row[4] else None
    return IdempotencyRecord(bytes.fromhex(row[2]), UUID(row[3]), sealed, row[5])


@lru_cache(maxsize=4096)
def _prices(written: str) -> TokenPrices:
    return _PRICES.validate_json(written)


def _time(written: str | None) -> datetime | None:
    return datetime.fromisoformat(written) if written else None


def _date(written: str | None) -> date | None:
    return date.fromisoformat(written) if written else None


@dataclass(slots=True)
class _Wanted:
    """The ids that a batch needs, by kind."""

    accounts: set[UUID] = field(default_factory=set)
    digests: set[bytes] = field(default_factory=set)
    holds: set[UUID] = field(default_factory=set)
    placing: set[UUID] = field(default_factory=set)
    """Holds to place. They are new, unless an earlier attempt placed them."""
    ending: set[UUID] = field(default_factory=set)
    """Holds whose keys are locked too, because their counters change."""
    renewing: set[UUID] = field(default_factory=set)
    """Holds to renew. Their owners are read without a lock: a change takes effect at the next renewal."""
    refs: set[str] = field(default_factory=set)
    claims: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Pairs of digest and scope. The digest is empty for a caller without a key."""

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
            case Admit():
                self._add_caller(operation)
            case Grant() | Adjust():
                self.accounts.add(operation.account_id)
                self.refs.add(operation.ref)
            case Renew():
                self.holds.add(operation.hold_id)
                self.renewing.add(operation.hold_id)
            case _:
                self.holds.add(operation.hold_id)
                self.ending.add(operation.hold_id)
                self.accounts.add(operation.account_id)

    def _add_reserve(self, operation: Reserve) -> None:
        self.placing.add(operation.hold_id)
        self._add_caller(operation)
        if operation.claim is not None and operation.claim.adopts:
            self.claims += [(operation.digest or b"", scope) for scope, _ in operation.claim.identities]

    def _add_caller(self, operation: Admit | Reserve) -> None:
        if operation.account_id is not None:
            self.accounts.add(operation.account_id)
        if operation.digest is not None:
            self.digests.add(operation.digest)

    def parameters(self, owners: Mapping[bytes, UUID]) -> dict[str, Any]:
        known = {owners[digest] for digest in self.digests if digest in owners}
        return {
            "accounts": list(self.accounts | known),
            "digests": list(self.digests),
            "unknown": [digest for digest in self.digests if digest not in owners],
            "placing": list(self.placing),
            "holds": list(self.holds),
            "ending": list(self.ending),
            "refs": list(self.refs),
            "renewing": list(self.renewing),
            "claim_digests": [digest for digest, _ in self.claims],
            "claim_scopes": [scope for _, scope in self.claims],
        }
