"""What the books must say: the ledger's promises once more, as plain as they can be written down.

It shares no code with the rules that it is compared with: no prices, no rounding, no state machine of theirs.
"""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.errors import GatewayError
from domain.operations import Adjust, Admit, Extend, Grant, Operation, Refund, Renew, Reserve, Settle, Sweep, Void
from domain.pricing import FlatTerms, Usage
from tests.support.ledger.facts import (
    CACHED,
    INPUT,
    MAX_AMOUNT,
    MIN_CHARGE,
    OUTPUT,
    WRITTEN,
    Families,
    HoldFacts,
    KeyFacts,
    Refused,
    SpendingFacts,
    thousandths,
)
from tests.support.ledger.result_codec import EncodedResult


@dataclass(slots=True)
class Model:
    now: datetime
    balances: dict[UUID, SpendingFacts] = field(default_factory=dict)
    keys: dict[UUID, KeyFacts] = field(default_factory=dict)
    digests: dict[bytes, UUID] = field(default_factory=dict)
    holds: dict[UUID, HoldFacts] = field(default_factory=dict)
    refs: dict[str, tuple[UUID, int]] = field(default_factory=dict)
    claims: dict[tuple[UUID, bytes], tuple[bytes, UUID, bytes | None]] = field(default_factory=dict)
    books: dict[tuple[UUID, str], int] = field(default_factory=lambda: defaultdict(int))
    usage: dict[UUID, tuple[int, int, int, int]] = field(default_factory=dict)
    """Of every charged hold: tokens in and out, charged, written off."""
    hashed: dict[str, str] = field(default_factory=dict)
    """References that are stored as their hash, since a purge."""

    def copy(self) -> "Model":
        return replace(
            self,
            balances={name: replace(balance) for name, balance in self.balances.items()},
            keys={name: replace(key) for name, key in self.keys.items()},
            holds={name: replace(hold) for name, hold in self.holds.items()},
            refs=dict(self.refs),
            claims=dict(self.claims),
            books=defaultdict(int, self.books),
            usage=dict(self.usage),
        )

    def ask(self, operation: Operation) -> EncodedResult:
        """What a client must hear; the books are afterwards what they must be."""
        try:
            return getattr(self, f"_{type(operation).__name__.lower()}")(operation)  # type: ignore[no-any-return]
        except Refused as refused:
            return refused.result

    def facts(self) -> dict[str, dict[Any, Any]]:
        """To be compared with what a backend has, as it reads it back."""
        still_open = [hold for hold in self.holds.values() if hold.state == "open"]
        return {
            "accounts": {
                name: (p.available, p.held, sum(h.account == name for h in still_open))
                for name, p in self.balances.items()
            },
            "keys": {
                name: (key.revoked, self.families.open(name), *self.families.spent_last(name))
                for name, key in self.keys.items()
            },
            "holds": {name: h.facts() for name, h in self.holds.items()},
            "refs": {self.hashed.get(ref, ref): granted for ref, granted in self.refs.items()},
            "claims": self.claims,
            "books": {place: amount for place, amount in self.books.items() if amount},
            "usage": self.usage,
        }

    @property
    def families(self) -> Families:
        return Families(self.keys, self.holds)

    def is_old(self, hold: HoldFacts) -> bool:
        """A purge has ended the epoch in which it was placed."""
        return hold.epoch < self.balances[hold.account].epoch

    def expire(self, hold_id: UUID) -> None:
        self.holds[hold_id].lease_until = self.now - timedelta(seconds=1)

    def _book(self, account: UUID, **amounts: int) -> None:
        assert sum(amounts.values()) == 0
        balance = self.balances[account]
        balance.available += amounts.get("available", 0)
        balance.held += amounts.get("held", 0)
        assert min(balance.available, balance.held) >= 0, "the model itself is wrong"
        for book, amount in amounts.items():
            self.books[account, book] += amount

    # Credits by the operator's hand

    def _grant(self, operation: Grant) -> EncodedResult:
        return self._referred(operation, operation.amount <= 0, "grants")

    def _adjust(self, operation: Adjust) -> EncodedResult:
        return self._referred(operation, False, "adjustments")

    def _referred(self, operation: Grant | Adjust, absurd: bool, source: str) -> EncodedResult:
        balance = self.balances.get(operation.account_id)
        if balance is None:
            raise Refused("NotFound")
        before = self.refs.get(operation.ref)
        if before == (operation.account_id, operation.amount):
            return "Granted", balance.available, True
        if before is not None:
            raise Refused("KeyReused")
        if isinstance(operation, Adjust) and (operation.amount == 0 or not operation.note.strip()):
            raise Refused("RequestInvalid")
        if absurd or operation.amount + balance.available + balance.held > MAX_AMOUNT:
            raise Refused("AmountTooLarge")
        if operation.amount + balance.available < 0:
            raise Refused("BelowZero")
        self._book(operation.account_id, **{"available": operation.amount, source: -operation.amount})
        self.refs[operation.ref] = (operation.account_id, operation.amount)
        return "Granted", balance.available, False

    # A call's beginning

    def _admit(self, operation: Admit) -> EncodedResult:
        account, key_id = self._caller(operation)
        self.families.take(key_id, self.now, requests=1)
        if key_id is not None and operation.scope not in (None, "chat"):
            raise Refused("ScopeMissing")
        balance = self.balances[account]
        return "Admitted", account, balance.available, balance.held

    def _reserve(self, operation: Reserve) -> EncodedResult:
        account, key_id = self._caller(operation)
        try:
            return self._placed(operation, account, key_id)
        except Refused:
            self.families.take(key_id, self.now, requests=1)
            raise

    def _placed(self, operation: Reserve, account: UUID, key_id: UUID | None) -> EncodedResult:
        claim = operation.claim if operation.claim and not operation.claim.implicit else None
        if operation.hold_id in self.holds:
            self._heed_hold(self.holds[operation.hold_id], account)
            recorded = claim and self.claims.get((account, claim.scope), ("", None))[1] == operation.hold_id
            return self._reserved(operation.hold_id, bool(claim and (recorded or not claim.adopts)))
        if claim is not None and claim.adopts:
            self._heed(account, claim.scope, claim.fingerprint)
        hold = self._fitting(operation, account, key_id)
        for name in self.families.line(key_id):
            most = self.keys[name].limits.concurrent
            if most is not None and self.families.open(name) >= most:
                raise Refused("RateLimited")
        for name in self.families.line(key_id):
            self.keys[name].last_used = self.now.date()
        self.families.take(key_id, self.now, requests=1, tokens=hold.tokens)
        self.holds[operation.hold_id] = hold
        self._book(account, available=-hold.amount, held=hold.amount)
        if claim is not None:
            self.claims[account, claim.scope] = (claim.fingerprint, operation.hold_id, None)
        return self._reserved(operation.hold_id, claim is not None)

    def _heed_hold(self, placed: HoldFacts, account: UUID) -> None:
        """It is the caller's, and open."""
        if placed.account != account or placed.erased:
            raise Refused("KeyReused")
        if placed.state != "open":
            raise Refused("HoldVoided" if placed.state == "void" else "HoldClosed")
        if self.is_old(placed):
            raise Refused("EndedByPurge")

    def _caller(self, operation: Admit | Reserve) -> tuple[UUID, UUID | None]:
        if operation.digest is None:
            assert operation.account_id is not None
            if operation.account_id not in self.balances:
                raise Refused("CallerUnknown")
            return operation.account_id, None
        key_id = self.digests.get(operation.digest)
        if key_id is None or self.keys[key_id].revoked:
            raise Refused("CallerUnknown")
        return self.keys[key_id].account, key_id

    def _reserved(self, hold_id: UUID, claimed: bool) -> EncodedResult:
        hold = self.holds[hold_id]
        balance = self.balances[hold.account]
        return "Reserved", hold.amount, hold.limit, balance.available, balance.held, claimed

    def _heed(self, account: UUID, scope: bytes, fingerprint: bytes) -> None:
        """A claim stands for a call that runs or was charged; given back, it is free again."""
        if (account, scope) not in self.claims:
            return
        known, hold_id, sealed = self.claims[account, scope]
        hold = self.holds[hold_id]
        if hold.state == "void" or hold.refunded or self.is_old(hold):
            return
        if known != fingerprint:
            raise Refused("KeyReused")
        if hold.state == "open":
            raise Refused("AlreadyRunning")
        raise Refused("Replay", hold_id, sealed, hold.charged, self.balances[account].available)

    def _fitting(self, operation: Reserve, account: UUID, key_id: UUID | None) -> HoldFacts:
        """The hold, if balance, budget and the caller's own bound allow it."""
        available, budget = self.balances[account].available, self.families.left(key_id, self.now.date())
        spendable = min(available, budget)
        terms = operation.terms
        assert not isinstance(terms, GatewayError)
        lease = self.now + operation.lease if operation.lease else None
        if isinstance(terms, FlatTerms):
            hold = HoldFacts(account, key_id, terms.amount, flat=True)
        else:
            limit = terms.output_limit
            if limit is None:
                share = spendable // 8 if operation.max_credits is None else min(spendable // 8, operation.max_credits)
                affordable = (share * 1000 - WRITTEN * terms.input_bound) // (OUTPUT * terms.choices)
                limit = min(terms.model_limit, max(256, affordable))
            amount = max(MIN_CHARGE, thousandths(WRITTEN * terms.input_bound + OUTPUT * limit * terms.choices))
            hold = HoldFacts(account, key_id, amount, limit=limit, choices=terms.choices)
            hold.input_bound, hold.input_count = terms.input_bound, terms.input_count
        hold.most, hold.lease_until, hold.began = operation.max_credits, lease, self.now.date()
        hold.epoch = self.balances[account].epoch
        self._pay_for(hold.amount, available, budget, operation.max_credits)
        return hold

    def _pay_for(self, amount: int, available: int, budget: int, most: int | None) -> None:
        if amount > MAX_AMOUNT:
            raise Refused("AmountTooLarge")
        for source, left in (("balance", available), ("key_budget", budget), ("max_credits", most)):
            if left is not None and amount > left:
                raise Refused("InsufficientCredits", amount, left, source)

    # While it runs

    def _renew(self, operation: Renew) -> EncodedResult:
        hold = self._hold(operation.hold_id)
        if hold.state != "open":
            raise Refused("HoldClosed")
        hold.relayed = max(hold.relayed, operation.relayed_output)
        hold.lease_until = self.now + operation.lease
        return "Renewed", True

    def _extend(self, operation: Extend) -> EncodedResult:
        hold = self._owned(operation)
        if hold.state != "open":
            raise Refused("HoldClosed")
        if self.is_old(hold):
            raise Refused("EndedByPurge")
        if hold.key and self.keys[hold.key].revoked:
            raise Refused("CallerUnknown")
        available = self.balances[hold.account].available
        if operation.output_limit > (hold.limit or 0):
            whole = thousandths(WRITTEN * hold.input_bound + OUTPUT * operation.output_limit * hold.choices)
            more = max(MIN_CHARGE, whole) - hold.amount
            left = None if hold.most is None else hold.most - hold.amount
            self._pay_for(more, available, self._budget_left(hold, over=0), left)
            self.families.take(hold.key, self.now, tokens=(operation.output_limit - (hold.limit or 0)) * hold.choices)
            hold.amount, hold.limit = hold.amount + more, operation.output_limit
            self._book(hold.account, available=-more, held=more)
        return "Extended", hold.limit, hold.amount, self.balances[hold.account].available

    def _budget_left(self, hold: HoldFacts, over: int) -> int:
        """Of the budgets of the day and the month in which the call began."""
        return self.families.left(hold.key, hold.began, over) if hold.began else MAX_AMOUNT

    # A call's end

    def _settle(self, operation: Settle) -> EncodedResult:
        hold = self._owned(operation)
        if hold.erased or (hold.state == "void" and self.is_old(hold)):
            raise Refused("EndedByPurge")
        if hold.state == "void":
            raise Refused("HoldVoided")
        if hold.state == "open":
            self._charge(operation.hold_id, operation.usage, operation.minimum, operation.closed_by.value)
            self._seal(operation)
            return self._closed(hold, False)
        return self._closed(hold, True)

    def _void(self, operation: Void) -> EncodedResult:
        if operation.hold_id not in self.holds:
            if operation.account_id not in self.balances:
                raise Refused("NotFound")
            tombstone = HoldFacts(operation.account_id, None, 0, "void", closed_by=operation.closed_by.value)
            tombstone.epoch = self.balances[operation.account_id].epoch
            self.holds[operation.hold_id] = tombstone
            return self._closed(tombstone, False)
        return self._release(self._owned(operation), operation.closed_by.value)

    def _sweep(self, operation: Sweep) -> EncodedResult:
        hold = self._owned(operation)
        if hold.state != "open":
            return self._closed(hold, True)
        if (hold.lease_until is None or hold.lease_until > self.now) and not (operation.cut and self.is_old(hold)):
            raise Refused("HoldClosed")
        if not hold.relayed:
            return self._release(hold, "sweeper")
        relayed = (hold.input_count, hold.relayed, 0, 0)
        self._charge_tokens(operation.hold_id, relayed, False, "sweeper")
        return self._closed(hold, False)

    def _refund(self, operation: Refund) -> EncodedResult:
        hold = self._owned(operation)
        if hold.state == "open":
            return self._release(hold, operation.closed_by.value)
        if self.is_old(hold):
            raise Refused("EndedByPurge")
        if hold.refunded or not hold.charged:
            return self._closed(hold, True)
        balance = self.balances[hold.account]
        if hold.charged + balance.available + balance.held > MAX_AMOUNT:
            raise Refused("AmountTooLarge")
        hold.refunded = hold.charged
        lost = hold.written_off
        self._book(hold.account, available=hold.charged, revenue=-hold.charged - lost, written_off=lost)
        return self._closed(hold, False)

    def _charge(self, hold_id: UUID, usage: Usage | None, minimum: bool, by: str) -> None:
        tokens = (0, 0, 0, 0)
        if usage is not None:
            tokens = (usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.cache_write_tokens)
        self._charge_tokens(hold_id, tokens, minimum, by)

    def _charge_tokens(self, hold_id: UUID, tokens: tuple[int, int, int, int], minimum: bool, by: str) -> None:
        """What is above the hold comes from the balance, within the caller's own bound; then it is written off."""
        hold = self.holds[hold_id]
        tokens_in, tokens_out, cached, written = (0, 0, 0, 0) if hold.flat else tokens
        plain = tokens_in - cached - written
        cost = thousandths(INPUT * plain + CACHED * cached + WRITTEN * written + OUTPUT * tokens_out)
        cost = max(MIN_CHARGE, cost) if minimum else min(cost, hold.amount)
        if hold.flat:
            cost = hold.amount
        payable = hold.amount + min(self.balances[hold.account].available, self._budget_left(hold, over=MAX_AMOUNT))
        hold.charged = min(cost, payable if hold.most is None else min(payable, hold.most))
        hold.written_off = cost - hold.charged
        hold.state, hold.lease_until, hold.closed_by = "settled", None, by
        self.families.take(hold.key, self.now, tokens=min(hold.tokens, tokens_in + tokens_out) - hold.tokens)
        left = hold.amount - hold.charged
        self._book(hold.account, available=left, held=-hold.amount, revenue=cost, written_off=-hold.written_off)
        self.usage[hold_id] = (tokens_in, tokens_out, hold.charged, hold.written_off)

    def _seal(self, operation: Settle) -> None:
        for place, (fingerprint, hold_id, _) in self.claims.items():
            current = not self.is_old(self.holds[hold_id])
            if hold_id == operation.hold_id and operation.sealed is not None and current:
                self.claims[place] = (fingerprint, hold_id, operation.sealed)

    def _release(self, hold: HoldFacts, by: str) -> EncodedResult:
        if hold.state != "open":
            return self._closed(hold, True)
        hold.state, hold.lease_until, hold.closed_by = "void", None, by
        self.families.take(hold.key, self.now, tokens=-hold.tokens)
        self._book(hold.account, available=hold.amount, held=-hold.amount)
        return self._closed(hold, False)

    def _hold(self, hold_id: UUID) -> HoldFacts:
        if hold_id not in self.holds:
            raise Refused("NotFound")
        return self.holds[hold_id]

    def _owned(self, operation: Extend | Settle | Void | Sweep | Refund) -> HoldFacts:
        hold = self._hold(operation.hold_id)
        if hold.account != operation.account_id:
            raise Refused("NotFound")
        return hold

    def _closed(self, hold: HoldFacts, repeated: bool) -> EncodedResult:
        balance = self.balances[hold.account]
        state, *money = ("erased", 0, 0) if hold.erased else (hold.state, hold.charged, hold.written_off)
        return "Closed", state, *money, balance.available, balance.held, repeated
