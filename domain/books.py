"""A batch's working state: every change to holds, accounts, keys and the double-entry books goes through here."""

from datetime import datetime, timedelta
from uuid import UUID

from domain import limits, meters, pricing
from domain.bounds import lowest
from domain.errors import NotFound
from domain.holds import ClosedBy, Hold, HoldState
from domain.ledger import Account, Changes, Key, LedgerAccount, Posting, State, Transaction, TransactionKind
from domain.limits import Left
from domain.meters import Meter
from domain.money import COST_PLACES, MAX_AMOUNT, MINIMUM_CHARGE, plain
from domain.operations import Adjust, Grant, Settle
from domain.pricing import Usage
from domain.results import Closed, Reserved
from domain.usage import UsageEntry

_TICK = timedelta(microseconds=1)
_LEDGER_ACCOUNTS = {book.value: book for book in LedgerAccount}


class Books:
    def __init__(self, state: State) -> None:
        self.state = state
        self.changes = Changes()
        self._moved = set[UUID]()
        """Accounts that have moved in this batch."""

    def hold(self, hold_id: UUID) -> Hold:
        hold = self.state.holds.get(hold_id)
        if hold is None:
            raise NotFound
        return hold

    def owner(self, hold: Hold, account_id: UUID) -> Account:
        account = self.state.accounts.get(account_id)
        if account is None or hold.account_id != account_id:
            raise NotFound
        return account

    def place(self, hold: Hold) -> None:
        self.state.holds[hold.id] = hold
        self.changes.placed[hold.id] = hold

    def change(self, hold: Hold) -> None:
        if hold.id not in self.changes.placed:
            self.changes.changed[hold.id] = hold

    def close(self, hold: Hold, account: Account, state: HoldState, closed_by: ClosedBy) -> None:
        hold.state, hold.closed_at, hold.closed_by, hold.lease_until = state, self.state.now, closed_by, None
        account.open_holds -= 1
        self.change(hold)

    def move(
        self, account: Account, hold: Hold, kind: TransactionKind, note: str | None = None, **amounts: int
    ) -> None:
        """Post one transaction of a hold; the account's own books move with it."""
        postings = tuple([Posting(_LEDGER_ACCOUNTS[book], amount) for book, amount in amounts.items() if amount])
        moved = self._next(account)
        self._post(account, Transaction(kind, account.id, hold.id, None, postings, note, *moved))

    def grant(self, account: Account, operation: Grant) -> None:
        postings = (
            Posting(LedgerAccount.AVAILABLE, operation.amount),
            Posting(LedgerAccount.GRANTS, -operation.amount),
        )
        kind, ref, moved = TransactionKind.GRANT, operation.ref, self._next(account)
        self._post(account, Transaction(kind, account.id, None, ref, postings, operation.note, *moved))

    def adjust(self, account: Account, operation: Adjust) -> None:
        postings = (
            Posting(LedgerAccount.AVAILABLE, operation.amount),
            Posting(LedgerAccount.ADJUSTMENTS, -operation.amount),
        )
        kind, ref, moved = TransactionKind.ADJUST, operation.ref, self._next(account)
        self._post(account, Transaction(kind, account.id, None, ref, postings, operation.note, *moved))

    def moving(self, account: Account) -> datetime:
        """The time of the account's transactions in this batch: later than that of all before."""
        if account.moved_at is None:
            return self.state.now
        return account.moved_at if account.id in self._moved else max(self.state.now, account.moved_at + _TICK)

    def _next(self, account: Account) -> tuple[int, datetime]:
        """Position and time of its next transaction."""
        account.moved_at = self.moving(account)
        account.movements += 1
        self._moved.add(account.id)
        return account.movements, account.moved_at

    def _post(self, account: Account, transaction: Transaction) -> None:
        total = 0
        for posting in transaction.postings:
            total += posting.amount
            if posting.book is LedgerAccount.AVAILABLE:
                account.available += posting.amount
            elif posting.book is LedgerAccount.HELD:
                account.held += posting.amount
        assert total == 0, transaction.kind  # noqa: S101  # a bug here must never be written
        assert account.available >= 0, transaction.kind  # noqa: S101
        assert account.held >= 0, transaction.kind  # noqa: S101
        self.changes.accounts[account.id] = account
        self.changes.transactions.append(transaction)

    def free(self, hold: Hold, usage: Usage | None) -> None:
        """Give back what an ended call has reserved of its key's and account's limits and not used."""
        spent = min(hold.tokens_taken, usage.input_tokens + usage.output_tokens) if usage else 0
        unused, now, account = hold.tokens_taken - spent, self.state.now, self.owner(hold, hold.account_id)
        account.tokens_tat = limits.give_back(account.tokens_tat, now, unused, hold.account_tokens_limit)
        self.changes.accounts[account.id] = account
        for key, limit in self.counting(hold):
            key.used.tokens_tat = limits.give_back(key.used.tokens_tat, now, unused, limit)
            key.used.open_holds -= 1
        self.spend(hold, hold.charged - hold.amount)

    def spend(self, hold: Hold, credits: int) -> None:
        """Count credits on (or, negative, off) its keys' budgets of the periods in which the call began."""
        if hold.created_at is None:
            return
        for key, _ in self.counting(hold):
            key.used.spend(hold.created_at.date(), credits)
            self.changes.keys[key.id] = key

    def headroom(self, hold: Hold) -> int:
        """Credits that a charge may take above its hold: the caller's own bound and the keys' budgets limit them."""
        bounds = [None if hold.max_credits is None else hold.max_credits - hold.amount, self.budget_of(hold)]
        return max(0, min((bound for bound in bounds if bound is not None), default=MAX_AMOUNT))

    def budget_of(self, hold: Hold, over: int | None = None) -> int | None:
        """What is left of the budgets that a call counts on; None when there is none. `over`: as in `Used`."""
        if hold.created_at is None:
            return None
        began = hold.created_at.date()
        left = (key.used.budget_of(began, key.limits, over) for key, _ in self.counting(hold))
        return lowest(*left)

    def counting(self, hold: Hold) -> list[tuple[Key, int | None]]:
        """The keys whose counters have the call, each with its tokens per minute of when it was placed."""
        key = self.key_of(hold)
        if key is None:
            return []
        ancestors = self.family(key)[1:] if hold.ancestor_tokens_limits is not None else ()
        return list(zip((key, *ancestors), (hold.tokens_limit, *(hold.ancestor_tokens_limits or ())), strict=True))

    def family(self, key: Key) -> tuple[Key, ...]:
        """The key and its ancestors."""
        return (key, *(self.state.keys[ancestor] for ancestor in key.ancestors))

    def key_of(self, hold: Hold) -> Key | None:
        return self.state.keys.get(hold.key_id) if hold.key_id else None


def token_bound(hold: Hold) -> int:
    """The bound of a call's tokens, which its key's tokens per minute are charged."""
    return hold.input_bound + (hold.output_limit or 0) * hold.choices if hold.prices else 0


def extension(hold: Hold, output_limit: int) -> int:
    """Credits that a higher limit adds to a hold, the rounding of the whole kept exact."""
    assert hold.prices is not None  # noqa: S101  # only streams are extended
    wanted = pricing.at_most(hold.prices, hold.input_bound, output_limit * hold.choices)
    return max(0, max(MINIMUM_CHARGE, wanted) - hold.amount)


def closed(hold: Hold, account: Account, *, repeated: bool = False) -> Closed:
    return Closed(hold.state, hold.charged, hold.written_off, account.available, account.held, repeated)


def reserved(hold: Hold, account: Account, left: tuple[Left | None, Left | None], *, claimed: bool) -> Reserved:
    """`left` of its key's requests and tokens per minute."""
    key_id, limit = hold.key_id, hold.output_limit
    available, held = account.available, account.held
    return Reserved(
        hold.id,
        account.id,
        key_id,
        hold.amount,
        limit,
        available,
        held,
        *left,
        claimed=claimed,
        epoch=hold.epoch,
        keep_history=account.keep_history,
    )


def usage_entry(hold: Hold, usage: Usage, operation: Settle, at: datetime) -> UsageEntry:
    """Counts as they were billed: a part that had no price of its own was counted with its parent."""
    counts = pricing.counts(hold.prices, usage) if hold.prices else {}
    beyond = not counts.keys() <= set(meters.BASE)
    tier = usage.service_tier if hold.prices and usage.service_tier in hold.prices.service_tiers else None
    return UsageEntry(
        hold_id=hold.id,
        account_id=hold.account_id,
        key_id=hold.key_id,
        kind=hold.kind,
        model=operation.model or hold.model,
        input_tokens=usage.input_tokens,
        cached_tokens=counts.get(Meter.CACHED_INPUT, 0),
        cache_write_tokens=counts.get(Meter.CACHE_WRITE, 0),
        output_tokens=usage.output_tokens,
        credits=hold.charged,
        written_off=hold.written_off,
        source=usage.source,
        created_at=at,
        provider=operation.provider,
        provider_cost=None if operation.cost is None else plain(operation.cost, COST_PLACES),
        meters={meter.value: count for meter, count in counts.items()} if beyond else {},
        service_tier=tier,
        epoch=hold.epoch,
    )
