"""One machine for every ledger: it asks, and compares what is heard and what is written with the model."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain.operations import Grant, Operation, Renew, Reserve, Sweep
from tests.support.ledger.facts import MAX_AMOUNT
from tests.support.ledger.model import Model
from tests.support.ledger.operations import BATCH, HOLD, OPERATION, calls
from tests.support.ledger.orders import Heeded, ordered
from tests.support.ledger.result_codec import EncodedResult
from tests.support.ledger.world import ACCOUNTS, KEYS, LEASE, OneKey, opening


class Bank(Protocol):
    in_order: bool
    """Whether a client's batch is decided in the order of its operations, or in that of each account's alone."""

    def now(self) -> datetime: ...

    def ask(self, operations: Sequence[Operation]) -> list[EncodedResult]:
        """Of one client, asked for in this order."""

    def at_once(self, batches: Sequence[Sequence[Operation]]) -> list[list[EncodedResult]]:
        """Of several clients."""

    def expire(self, hold_id: UUID) -> None: ...
    def revoke(self, key_id: UUID) -> None: ...
    def facts(self) -> dict[str, dict[Any, Any]]: ...


class BankMachine(RuleBasedStateMachine):
    def __init__(self, bank: Bank) -> None:
        super().__init__()
        self.bank = bank
        self.model = opening(Model(bank.now()))

    @initialize(credits=st.lists(st.sampled_from((600, 3000, 12_000, MAX_AMOUNT - 3000)), min_size=2, max_size=2))
    def accounts_are_funded(self, credits: list[int]) -> None:
        self.ask([Grant(account, amount, f"for {account}") for account, amount in zip(ACCOUNTS, credits, strict=True)])

    @rule(operation=OPERATION)
    def ask_one(self, operation: Operation) -> None:
        self.ask([operation])

    @rule(batch=BATCH)
    def ask(self, batch: list[Operation]) -> None:
        self.model.now = self.bank.now()
        results = self.bank.ask(batch)
        if len(batch) > 1 and not self.bank.in_order:
            self.explain([Heeded(*pair) for pair in zip(batch, results, strict=True)])
            return
        for operation, one in zip(batch, results, strict=True):
            expected = self.model.ask(operation)
            assert one == expected, f"heard {one}, not {expected}, of {operation}"

    @rule(batches=st.lists(BATCH, min_size=2, max_size=3))
    def ask_at_once(self, batches: list[list[Operation]]) -> None:
        self.model.now = self.bank.now()
        results = self.bank.at_once(batches)
        pairs = [pair for batch, of in zip(batches, results, strict=True) for pair in zip(batch, of, strict=True)]
        self.explain([Heeded(*pair) for pair in pairs])

    @rule(hold_id=HOLD)
    def lease_runs_out(self, hold_id: UUID) -> None:
        hold = self.model.holds.get(hold_id)
        if hold is not None and hold.state == "open":
            self.model.now = self.bank.now()
            self.model.expire(hold_id)
            self.bank.expire(hold_id)

    @rule(call=calls())
    def ask_a_call(self, call: list[Operation]) -> None:
        for operation in call:
            self.ask([operation])

    @rule(call=calls(), relayed=st.lists(st.integers(0, 300), max_size=2), alive=st.booleans())
    def call_is_left_alone(self, call: list[Operation], relayed: list[int], alive: bool) -> None:
        """Its process is gone, or only slow: then a last sign of life keeps the sweeper away."""
        begun = call[0]
        assert isinstance(begun, Reserve)
        if begun.hold_id in self.model.holds:
            return
        signs: list[Operation] = [Renew(begun.hold_id, output, LEASE) for output in relayed]
        self.ask([begun, *signs])
        self.lease_runs_out(begun.hold_id)
        owner = next(key.account_id for key in KEYS if key.digest == begun.digest)
        for operation in [
            *signs[:alive],
            Sweep(begun.hold_id, owner),
        ]:  # a lease is no fact that an order could explain
            self.ask([operation])

    @rule(key=st.sampled_from(KEYS[1:]), really=st.sampled_from([True] + 7 * [False]))
    def key_is_revoked(self, key: OneKey, really: bool) -> None:
        """Seldom: not much can be done afterwards."""
        if not really:
            return
        self.model.keys[key.id].revoked = True
        self.bank.revoke(key.id)

    @invariant()
    def books_are_as_they_must_be(self) -> None:
        written, must = self.bank.facts(), self.model.facts()
        for what, expected in must.items():
            assert written[what] == expected, what

    def explain(self, heeded: list[Heeded]) -> None:
        written = self.bank.facts()
        explained = ordered(self.model, heeded, lambda model: model.facts() == written)
        assert explained is not None, f"no order explains {heeded}"
        self.model = explained
