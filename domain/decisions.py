"""The ledger's rules, as one pure function over a batch: no database, no clock, no randomness.

`decide(state, operations)` takes each operation in order against the state that the ones before it left, and gives
each a verdict of its own: what one operation asks never fails its neighbours.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never
from uuid import UUID

from domain import pricing
from domain.errors import (
    AccountSuspended,
    AmountTooLarge,
    CallerUnknown,
    GatewayError,
    HoldClosed,
    HoldVoided,
    InsufficientCredits,
    KeyReused,
    NotFound,
    ProRequired,
    ScopeMissing,
)
from domain.ledger import (
    Account,
    Answer,
    Book,
    Changes,
    Closed,
    ClosedBy,
    Grant,
    Granted,
    Hold,
    HoldState,
    Line,
    Operation,
    Refund,
    Renew,
    Renewed,
    Reserve,
    Reserved,
    Settle,
    State,
    Sweep,
    Transaction,
    TransactionKind,
    UsageEntry,
    Verdict,
    Void,
)
from domain.money import LARGEST_AMOUNT
from domain.pricing import Bound, TextTerms, Usage, UsageSource


def decide(state: State, operations: Sequence[Operation]) -> tuple[list[Verdict], Changes]:
    """Verdicts in the order of the operations, and what has to be written. `state` is consumed."""
    batch = _Batch(state)
    return [batch.verdict(operation) for operation in operations], batch.changes


class _Batch:
    def __init__(self, state: State) -> None:
        self.state = state
        self.changes = Changes()

    def verdict(self, operation: Operation) -> Verdict:
        try:
            return self._decide(operation)
        except GatewayError as refusal:
            return refusal

    def _decide(self, operation: Operation) -> Answer:
        match operation:
            case Reserve():
                return self._reserve(operation)
            case Renew():
                return self._renew(operation)
            case Settle():
                return self._settle(operation)
            case Void():
                return self._void(operation)
            case Sweep():
                return self._sweep(operation)
            case Refund():
                return self._refund(operation)
            case Grant():
                return self._grant(operation)
        assert_never(operation)

    # Reserve

    def _reserve(self, asked: Reserve) -> Reserved:
        account, key_id = self._caller(asked)
        placed = self.state.holds.get(asked.hold_id)
        if placed is not None:
            return self._reserved_before(asked, placed, account)
        bound = pricing.bound(asked.terms, account.available)
        if bound.amount > LARGEST_AMOUNT:
            raise AmountTooLarge
        if bound.amount > account.available:
            raise InsufficientCredits(bound.amount, account.available, account.held)
        hold = self._open(asked, account, key_id, bound)
        self._move(account, hold, TransactionKind.HOLD, available=-bound.amount, held=bound.amount)
        account.open_holds += 1
        return _reserved(hold, account)

    def _caller(self, asked: Reserve) -> tuple[Account, UUID | None]:
        """Under the account's lock, so that no call starts after a revocation or suspension has committed."""
        account_id, key_id = asked.account_id, None
        if asked.digest is not None:
            key = self.state.keys.get(asked.digest)
            if key is None or key.dead:
                raise CallerUnknown
            if asked.scope not in key.scopes:
                raise ScopeMissing(asked.scope)
            account_id, key_id = key.account_id, key.id
        account = self.state.accounts.get(account_id) if account_id else None
        if account is None:
            raise CallerUnknown
        if account.suspended:
            raise AccountSuspended
        if asked.pro_only and not account.plan_active:
            raise ProRequired
        return account, key_id

    def _reserved_before(self, asked: Reserve, hold: Hold, account: Account) -> Reserved:
        if hold.state is HoldState.VOID:
            raise HoldVoided
        if hold.account_id != account.id or hold.model != asked.model or hold.kind != asked.kind:
            raise KeyReused
        if hold.state is HoldState.SETTLED:
            raise HoldClosed
        return _reserved(hold, account)

    def _open(self, asked: Reserve, account: Account, key_id: UUID | None, bound: Bound) -> Hold:
        hold = Hold(
            id=asked.hold_id,
            account_id=account.id,
            key_id=key_id,
            kind=asked.kind,
            model=asked.model,
            state=HoldState.OPEN,
            amount=bound.amount,
            price_version=asked.terms.version,
            output_limit=bound.output_limit,
            lease_until=self.state.now + asked.lease if asked.lease else None,
            created_at=self.state.now,
        )
        if isinstance(asked.terms, TextTerms):
            hold.prices = asked.terms.prices
            hold.input_bound, hold.input_count = asked.terms.input_bound, asked.terms.input_count
        self._place(hold)
        return hold

    # Renew, Settle, Void, Sweep

    def _renew(self, asked: Renew) -> Renewed:
        hold = self._hold(asked.hold_id)
        if hold.state is not HoldState.OPEN:
            raise HoldClosed
        hold.relayed_output = max(hold.relayed_output, asked.relayed_output)
        if hold.lease_until is not None:
            hold.lease_until = self.state.now + asked.lease
        self._change(hold)
        return Renewed(hold.lease_until)

    def _settle(self, asked: Settle) -> Closed:
        hold = self._hold(asked.hold_id)
        account = self._owner(hold, asked.account_id)
        match hold.state:
            case HoldState.OPEN:
                return self._charge(hold, account, asked)
            case HoldState.SETTLED:
                return _closed(hold, account, repeated=True)
            case HoldState.VOID:
                raise HoldVoided
        assert_never(hold.state)

    def _charge(self, hold: Hold, account: Account, asked: Settle) -> Closed:
        """A cost above the hold takes what is available; the rest is written off, visibly."""
        usage = asked.usage or Usage(0, 0, UsageSource.FLAT)
        cost = hold.amount if hold.prices is None else pricing.charge(hold.prices, usage, minimum=asked.minimum)
        if not asked.minimum:
            cost = min(cost, hold.amount)
        from_hold = min(cost, hold.amount)
        extra = min(cost - from_hold, account.available)
        written_off = cost - from_hold - extra
        hold.charged, hold.written_off = from_hold + extra, written_off
        self._close(hold, account, HoldState.SETTLED, asked.closed_by)
        self._move(
            account,
            hold,
            TransactionKind.CHARGE,
            available=hold.amount - from_hold - extra,
            held=-hold.amount,
            revenue=cost,
            written_off=-written_off,
        )
        self.changes.usage.append(_usage_entry(hold, usage))
        return _closed(hold, account)

    def _void(self, asked: Void) -> Closed:
        hold = self.state.holds.get(asked.hold_id)
        if hold is None:
            return self._bury(asked)
        account = self._owner(hold, asked.account_id)
        if hold.state is not HoldState.OPEN:  # whoever committed first won; only a refund reverses a charge
            return _closed(hold, account, repeated=True)
        return self._release(hold, account, asked.closed_by)

    def _release(self, hold: Hold, account: Account, closed_by: ClosedBy) -> Closed:
        self._close(hold, account, HoldState.VOID, closed_by)
        self._move(account, hold, TransactionKind.RELEASE, available=hold.amount, held=-hold.amount)
        return _closed(hold, account)

    def _bury(self, asked: Void) -> Closed:
        account = self.state.accounts.get(asked.account_id)
        if account is None:
            raise NotFound
        now, void = self.state.now, HoldState.VOID
        tombstone = Hold(asked.hold_id, account.id, None, asked.kind, asked.model, void, 0, created_at=now)
        tombstone.closed_at, tombstone.closed_by = now, asked.closed_by
        self._place(tombstone)
        return _closed(tombstone, account)

    def _sweep(self, asked: Sweep) -> Closed:
        hold = self._hold(asked.hold_id)
        account = self._owner(hold, asked.account_id)
        if hold.state is not HoldState.OPEN:
            return _closed(hold, account, repeated=True)
        if hold.lease_until is None or hold.lease_until > self.state.now:
            raise HoldClosed("This hold is alive.")
        if hold.relayed_output == 0:
            return self._release(hold, account, ClosedBy.SWEEPER)
        usage = Usage(hold.input_count, hold.relayed_output, UsageSource.ESTIMATED)
        return self._charge(hold, account, Settle(hold.id, account.id, usage, False, ClosedBy.SWEEPER))

    def _refund(self, asked: Refund) -> Closed:
        hold = self._hold(asked.hold_id)
        account = self._owner(hold, asked.account_id)
        if hold.state is HoldState.OPEN:
            return self._release(hold, account, asked.closed_by)
        if hold.state is HoldState.VOID or hold.refunded or not hold.charged:
            return _closed(hold, account, repeated=True)
        if hold.charged > LARGEST_AMOUNT - account.available - account.held:
            raise AmountTooLarge
        hold.refunded = hold.charged
        self._change(hold)
        back = {"available": hold.charged, "written_off": hold.written_off}
        self._move(account, hold, TransactionKind.REFUND, revenue=-hold.charged - hold.written_off, **back)
        return _closed(hold, account)

    # Grant

    def _grant(self, asked: Grant) -> Granted:
        account = self.state.accounts.get(asked.account_id)
        if account is None:
            raise NotFound
        before = self.state.refs.get(asked.ref)
        if before is not None:
            if before != (asked.account_id, asked.amount):
                raise KeyReused
            return Granted(account.available, repeated=True)
        if not 0 < asked.amount <= LARGEST_AMOUNT - account.available - account.held:
            raise AmountTooLarge
        lines = (Line(Book.AVAILABLE, asked.amount), Line(Book.GRANTS, -asked.amount))
        account.available += asked.amount
        self.state.refs[asked.ref] = (asked.account_id, asked.amount)
        self.changes.accounts[account.id] = account
        self.changes.transactions.append(Transaction(TransactionKind.GRANT, account.id, None, asked.ref, lines))
        return Granted(account.available, repeated=False)

    # Shared

    def _hold(self, hold_id: UUID) -> Hold:
        hold = self.state.holds.get(hold_id)
        if hold is None:
            raise NotFound
        return hold

    def _owner(self, hold: Hold, account_id: UUID) -> Account:
        account = self.state.accounts.get(account_id)
        if account is None or hold.account_id != account_id:
            raise NotFound
        return account

    def _place(self, hold: Hold) -> None:
        self.state.holds[hold.id] = hold
        self.changes.placed[hold.id] = hold

    def _change(self, hold: Hold) -> None:
        if hold.id not in self.changes.placed:
            self.changes.changed[hold.id] = hold

    def _close(self, hold: Hold, account: Account, state: HoldState, closed_by: ClosedBy) -> None:
        hold.state, hold.closed_at, hold.closed_by, hold.lease_until = state, self.state.now, closed_by, None
        account.open_holds -= 1
        self._change(hold)

    def _move(self, account: Account, hold: Hold, kind: TransactionKind, **amounts: int) -> None:
        """Post one transaction; the account's own books move with it."""
        lines = tuple(Line(Book(book), amount) for book, amount in amounts.items() if amount)
        assert sum(line.amount for line in lines) == 0, kind  # noqa: S101  # a bug here must never be written
        account.available += amounts.get("available", 0)
        account.held += amounts.get("held", 0)
        assert account.available >= 0, kind  # noqa: S101
        assert account.held >= 0, kind  # noqa: S101
        self.changes.accounts[account.id] = account
        self.changes.transactions.append(Transaction(kind, account.id, hold.id, None, lines))


def _reserved(hold: Hold, account: Account) -> Reserved:
    return Reserved(hold.id, account.id, hold.key_id, hold.amount, hold.output_limit, account.available, account.held)


def _closed(hold: Hold, account: Account, *, repeated: bool = False) -> Closed:
    return Closed(hold.state, hold.charged, hold.written_off, account.available, account.held, repeated)


def _usage_entry(hold: Hold, usage: Usage) -> UsageEntry:
    return UsageEntry(
        hold.id,
        hold.account_id,
        hold.key_id,
        hold.kind,
        hold.model,
        usage.input_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        hold.charged,
        hold.written_off,
        usage.source,
    )


def copied(state: State) -> State:
    """A state that `decide` may consume without touching this one."""
    return State(
        state.now,
        {k: replace(v) for k, v in state.accounts.items()},
        dict(state.keys),
        {k: replace(v) for k, v in state.holds.items()},
        dict(state.refs),
    )
