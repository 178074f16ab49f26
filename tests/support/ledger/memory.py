"""The ledger without a database: what a batch may look at is copied out, and only what was decided is written back."""

import pickle
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from domain.decisions import decide
from domain.holds import Hold
from domain.ledger import Account, Changes, Key, Secret, State
from domain.operations import Operation
from domain.results import Result
from domain.usage import UsageEntry
from tests.support.ledger.machine import BankMachine
from tests.support.ledger.orders import Heeded
from tests.support.ledger.result_codec import EncodedResult, encode
from tests.support.ledger.world import ACCOUNTS, KEYS

Rows = TypeVar("Rows", State, Changes)
Decide = Callable[[State, Sequence[Operation]], tuple[list[Result], Changes]]


def copied(rows: Rows) -> Rows:
    """As `deepcopy` does, but sooner: copies are most of what these machines do."""
    copy: Rows = pickle.loads(pickle.dumps(rows, pickle.HIGHEST_PROTOCOL))
    return copy


class MemoryBank:
    in_order = True

    def __init__(self, decide: Decide = decide) -> None:
        self._decide = decide
        self._rows = State(
            datetime(2026, 1, 31, 12, tzinfo=UTC),
            {account: Account(account, 0, 0, 0) for account in ACCOUNTS},
            {k.id: Key(k.id, k.account_id, frozenset({"chat"}), limits=k.limits, ancestors=k.above) for k in KEYS},
            {k.digest: Secret(k.id) for k in KEYS},
        )
        self._books: dict[tuple[UUID, str], int] = defaultdict(int)
        self._usage: dict[UUID, UsageEntry] = {}

    def now(self) -> datetime:
        return self._rows.now

    def ask(self, operations: Sequence[Operation]) -> list[EncodedResult]:
        """One batch, as one writer commits it."""
        outcomes, changes = self._decide(copied(self._rows), operations)
        encoded = [encode(result) for result in outcomes]
        self._write(copied(changes))
        return encoded

    def at_once(self, batches: Sequence[Sequence[Operation]]) -> list[list[EncodedResult]]:
        """In some order that is not that of asking: last first."""
        return [self.ask(batch) for batch in reversed(batches)][::-1]

    def expire(self, hold_id: UUID) -> None:
        self._rows.holds[hold_id].lease_until = self._rows.now - timedelta(seconds=1)

    def revoke(self, key_id: UUID) -> None:
        self._rows.keys[key_id].dead = True

    def wait(self, span: timedelta) -> None:
        self._rows.now += span

    def taken(self) -> dict[UUID, tuple[int, int]]:
        """Requests and tokens of each key that this minute does not have any more."""
        return {
            key.id: (self._ahead(key.used.requests_tat), self._ahead(key.used.tokens_tat))
            for key in self._rows.keys.values()
        }

    def _ahead(self, arrival: datetime | None) -> int:
        ahead = arrival - self._rows.now if arrival else timedelta(0)
        return max(0, ahead // timedelta(microseconds=1))

    def _write(self, changes: Changes) -> None:
        rows = self._rows
        assert not changes.placed.keys() & rows.holds.keys(), "a hold was placed twice"
        assert changes.changed.keys() <= rows.holds.keys(), "a hold that is not there was changed"
        rows.holds |= changes.placed | changes.changed
        rows.accounts |= changes.accounts
        rows.keys |= changes.keys
        rows.claims |= changes.claims
        for place, claimed in rows.claims.items():
            rows.claims[place] = replace(claimed, sealed=changes.sealed.get(claimed.hold_id, claimed.sealed))
        for transaction in changes.transactions:
            assert sum(posting.amount for posting in transaction.postings) == 0, "a transaction is not balanced"
            for posting in transaction.postings:
                self._books[transaction.account_id, posting.book.value] += posting.amount
            if transaction.ref is not None:
                assert transaction.ref not in rows.refs, "a reference was used twice"
                amount = sum(posting.amount for posting in transaction.postings if posting.book == "available")
                rows.refs[transaction.ref] = (transaction.account_id, amount)
        for entry in changes.usage:
            assert entry.hold_id not in self._usage, "a call was charged twice"
            self._usage[entry.hold_id] = entry

    def facts(self) -> dict[str, dict[Any, Any]]:
        rows = self._rows
        return {
            "accounts": {a.id: (a.available, a.held, a.open_holds) for a in rows.accounts.values()},
            "keys": {key.id: _key_facts(key) for key in rows.keys.values()},
            "holds": {hold.id: _hold_facts(hold) for hold in rows.holds.values()},
            "refs": rows.refs,
            "claims": {place: (c.fingerprint, c.hold_id, c.sealed) for place, c in rows.claims.items()},
            "books": {place: amount for place, amount in self._books.items() if amount},
            "usage": {
                u.hold_id: (u.input_tokens, u.output_tokens, u.credits, u.written_off) for u in self._usage.values()
            },
        }


def _key_facts(key: Key) -> tuple[Any, ...]:
    return key.dead, key.used.open_holds, key.used.day, key.used.day_credits, key.used.month_credits


def _hold_facts(h: Hold) -> tuple[Any, ...]:
    money = (h.amount, h.output_limit, h.relayed_output, h.charged, h.written_off, h.refunded, h.max_credits)
    return h.account_id, h.key_id, h.state.value, *money, h.lease_until is not None, h.closed_by


class MemoryMachine(BankMachine):
    """With a clock that can be set: days pass, leases run out by themselves."""

    def __init__(self, decide: Decide = decide) -> None:
        self.memory = MemoryBank(decide)
        super().__init__(self.memory)

    @rule(span=st.sampled_from((timedelta(minutes=59), timedelta(hours=1), timedelta(hours=13))))
    def time_passes(self, span: timedelta) -> None:
        self.memory.wait(span)
        self.model.now = self.memory.now()

    def explain(self, heeded: list[Heeded]) -> None:
        """An order may explain the books and have given tokens back sooner or later than it was."""
        super().explain(heeded)
        for key_id, (requests, tokens) in self.memory.taken().items():
            key = self.model.keys[key_id]
            key.counted_at, key.requests, key.tokens = self.memory.now(), requests, tokens

    @invariant()
    def minutes_are_as_they_must_be(self) -> None:
        assert self.memory.taken() == self.model.families.taken(self.memory.now())
