"""Who may make a call, and what is set aside for it. Decided under the account's and the key's lock."""

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from domain import claims, counts, limits, pricing, rates
from domain.books import Books, extension, reserved, token_bound
from domain.bounds import lowest
from domain.errors import (
    AccountSuspended,
    AmountTooLarge,
    CallerUnknown,
    EndedByPurge,
    GatewayError,
    HoldClosed,
    HoldVoided,
    InsufficientCredits,
    KeyReused,
    ModelNotFound,
    ProRequired,
    RateLimited,
    RequestInvalid,
    ScopeMissing,
)
from domain.holds import Hold, HoldState
from domain.key_rules import NO_RULES
from domain.ledger import Account, Key, TransactionKind
from domain.limits import Limits, Used
from domain.money import MAX_AMOUNT
from domain.operations import Admit, Extend, Reserve
from domain.pricing import Bound, FlatTerms, TextTerms
from domain.rates import Rate
from domain.records import record
from domain.results import Admitted, Extended, Replay, Reserved

WAIT_FOR_A_PLACE = timedelta(seconds=1)
MAX_STEP_BACK = timedelta(minutes=5)
Keys = tuple[Key, ...]
"""The key that calls, the key that made it, and so on: the call counts on all of them. Empty without a key."""
_WHOSE = ("key", *itertools.repeat("key's parent", 10))
_SOURCES = ("balance", "key_budget", "max_credits")
"""What a 402 names as what was short."""


@record
class SpendingLimits:
    """What a call may hold credits from."""

    available: int
    held: int
    budget: int | None = None
    """What is left of its key's."""
    max_credits: int | None = None
    """The caller's own bound."""
    tokens: int | None = None
    """What its key may use in a minute."""

    def bound(self, terms: TextTerms | FlatTerms) -> Bound:
        bounds = (self.available, self.budget)
        spendable = min(credits for credits in bounds if credits is not None)
        return pricing.bound(terms, spendable, self.max_credits, self.tokens)

    def shortage(self, amount: int) -> GatewayError | None:
        """The error when `amount` cannot be held, else None."""
        if amount > MAX_AMOUNT:
            return AmountTooLarge()
        for source, left in zip(_SOURCES, (self.available, self.budget, self.max_credits), strict=True):
            if left is not None and amount > left:
                return InsufficientCredits(amount, left, self.held, source)
        return None


def admit(books: Books, operation: Admit) -> Admitted:
    account, keys = _holder(books, operation)
    held_by = _rates(account, keys, operation.ceiling)
    try:
        rates.take(held_by, books.state.now, requests=1)
        _note_counters(books, account, keys)
        for key in keys[:1]:
            _require_scope(key, operation.scope)
    except GatewayError as error:
        _note_left(error, books, operation, held_by)
        raise
    left = rates.left(held_by, books.state.now)
    return Admitted(account.id, account.available, account.held, *left, _key_expires(books, operation))


def reserve(books: Books, operation: Reserve) -> Reserved | Replay:
    account, keys = _caller(books, operation)
    try:
        reserved_ = _reserve(books, operation, account, keys)
    except GatewayError as error:
        held_by = _rates(account, keys, operation.ceiling)
        if not operation.admitted:
            _count_uncalled(books, account, keys, held_by)
        _note_left(error, books, operation, held_by)
        raise
    if isinstance(reserved_, Reserved) and keys and keys[0].rules != NO_RULES:
        reserved_ = replace(reserved_, rules=keys[0].rules)
    expires = _key_expires(books, operation)
    return reserved_ if expires is None else replace(reserved_, key_expires=expires)


def _note_left(error: GatewayError, books: Books, operation: Admit | Reserve, held_by: Sequence[Rate]) -> None:
    error.left, error.key_expires = rates.left(held_by, books.state.now), _key_expires(books, operation)


def _key_expires(books: Books, operation: Admit | Reserve) -> datetime | None:
    secret = books.state.secrets.get(operation.digest) if operation.digest else None
    return secret.expires_at if secret else None


def _reserve(books: Books, operation: Reserve, account: Account, keys: Keys) -> Reserved | Replay:
    placed = books.state.holds.get(operation.hold_id)
    claim = claims.counting(operation, account)
    if placed is not None:
        return _reserved_before(
            operation, placed, account, claimed=claim is not None and claims.is_remembered(books, claim, placed)
        )
    replayed = claims.made_before(books, operation, claim, account) if claim else None
    if replayed is not None:
        hold, sealed = replayed
        held_by = _rates(account, keys, operation.ceiling)
        if not operation.admitted:
            _count_uncalled(books, account, keys, held_by)
        left = rates.left(held_by, books.state.now)
        return Replay(hold.id, account.id, sealed, hold.charged, account.available, *left)
    terms = operation.terms
    if isinstance(terms, GatewayError):
        raise terms
    begins = _beginning(keys, books.state.now)
    counted = _counted(keys, operation.ceiling, begins)
    budget = lowest(*(limits.budget_left(allowed, used) for allowed, used in counted))
    own = operation.max_credits, _tokens(keys, operation.ceiling)
    spending = SpendingLimits(account.available, account.held, budget, *own)
    bound = _affordable(spending, terms, counted, begins)
    hold = _hold(books, operation, terms, account, bound)
    hold.created_at = begins
    _require_place(account.open_holds, operation.ceiling.concurrent, "account")
    _count(books, account, keys, hold, operation)
    books.place(hold)
    books.move(account, hold, TransactionKind.HOLD, available=-bound.amount, held=bound.amount)
    account.open_holds += 1
    if claim is not None:
        claims.remember(books, claim, hold)
    left = rates.left(_rates(account, keys, operation.ceiling), books.state.now)
    return reserved(hold, account, left, claimed=claim is not None)


def extend(books: Books, operation: Extend) -> Extended:
    hold = books.hold(operation.hold_id)
    account = books.owner(hold, operation.account_id)
    now = books.state.now
    _require_alive(hold, account, books.key_of(hold))
    more = operation.output_limit - (hold.output_limit or 0)
    if more <= 0:  # asked before, and the answer was lost
        return Extended(hold.output_limit or 0, hold.amount, account.available)
    amount = extension(hold, operation.output_limit)
    budget = books.budget_of(hold, over=0)  # what it is counted on
    left = None if hold.max_credits is None else hold.max_credits - hold.amount
    if error := SpendingLimits(account.available, account.held, budget, left).shortage(amount):
        raise error
    hold.output_limit = operation.output_limit
    hold.amount += amount
    hold.tokens_taken += more * hold.choices
    books.change(hold)
    if amount:
        books.move(account, hold, TransactionKind.EXTEND, available=-amount, held=amount)
    for key, tokens_limit in books.counting(hold):
        key.used.tokens_tat = limits.advance(key.used.tokens_tat, now, more * hold.choices, tokens_limit)
    limit = hold.account_tokens_limit
    account.tokens_tat = limits.advance(account.tokens_tat, now, more * hold.choices, limit)
    books.changes.accounts[account.id] = account
    books.spend(hold, amount)
    return Extended(operation.output_limit, hold.amount, account.available)


def _require_alive(hold: Hold, account: Account, key: Key | None) -> None:
    if hold.state is not HoldState.OPEN:
        raise HoldClosed
    if hold.epoch < account.epoch:
        raise EndedByPurge
    if key is not None and key.dead:
        raise CallerUnknown
    if account.suspended:
        raise AccountSuspended


def _caller(books: Books, operation: Reserve) -> tuple[Account, Keys]:
    """Authenticate under lock, so that no call starts after a revocation or suspension has committed."""
    account, keys = _holder(books, operation)
    for key in keys[:1]:
        _require_scope(key, operation.scope)
        for model in (operation.model, *operation.others):
            if key.models is not None and model not in key.models:
                raise ModelNotFound(model)
        if key.rules != NO_RULES and operation.unroutable and (error := operation.unroutable(key.rules)):
            raise error
    if operation.pro_only and not account.plan_active:
        raise ProRequired
    return account, keys


def _holder(books: Books, operation: Admit | Reserve) -> tuple[Account, Keys]:
    if operation.digest is None:
        return _account(books, operation.account_id), ()
    secret = books.state.secrets.get(operation.digest)
    key = books.state.keys.get(secret.key_id) if secret and not secret.dead else None
    if key is None or key.dead:
        raise CallerUnknown
    return _account(books, key.account_id), books.family(key)


def _account(books: Books, account_id: UUID | None) -> Account:
    account = books.state.accounts.get(account_id) if account_id else None
    if account is None:
        raise CallerUnknown
    if account.suspended:
        raise AccountSuspended
    return account


def _require_scope(key: Key, scope: str | None) -> None:
    if scope is not None and scope not in key.scopes:
        raise ScopeMissing(scope)


def _reserved_before(operation: Reserve, hold: Hold, account: Account, *, claimed: bool) -> Reserved:
    if hold.account_id != account.id or hold.model != operation.model or hold.kind != operation.kind:
        raise KeyReused
    if hold.state is HoldState.VOID:
        raise HoldVoided
    if hold.state is HoldState.SETTLED:
        raise HoldClosed
    if hold.epoch < account.epoch:
        raise EndedByPurge
    return reserved(hold, account, (None, None), claimed=claimed)


def _affordable(
    spending: SpendingLimits, terms: TextTerms | FlatTerms, counted: Sequence[tuple[Limits, Used]], now: datetime
) -> Bound:
    """What the call holds. Raises when the balance, the key's budget or the caller's own bound cannot cover it."""
    bound = spending.bound(terms)
    error = spending.shortage(bound.amount)
    if isinstance(error, InsufficientCredits) and error.limit_source == "key_budget":
        moments = [limits.budget_resets_at(allowed, used, now, bound.amount) for allowed, used in counted]
        if None not in moments:
            raise error.until(max(moment for moment in moments if moment is not None))
    if error:
        raise error
    return bound


def _hold(books: Books, operation: Reserve, terms: TextTerms | FlatTerms, account: Account, bound: Bound) -> Hold:
    hold = Hold(
        id=operation.hold_id,
        account_id=account.id,
        key_id=None,
        kind=operation.kind,
        model=operation.model,
        state=HoldState.OPEN,
        amount=bound.amount,
        price_version=terms.version,
        output_limit=bound.output_limit,
        lease_until=books.state.now + operation.lease if operation.lease else None,
        max_credits=operation.max_credits,
        epoch=account.epoch,
    )
    if isinstance(terms, TextTerms):
        hold.prices, hold.choices = terms.prices, terms.choices
        hold.input_bound, hold.input_count = terms.input_bound, terms.input_count
    return hold


def _require_place(open_holds: int, limit: int | None, whose: str) -> None:
    if limit is not None and open_holds >= limit:
        most = counts.counted(limit, "call")
        message = f"This {whose} may have {most} at a time, and has as many. Try again when one has ended."
        raise RateLimited(message, retry_after=WAIT_FOR_A_PLACE)


def _rates(account: Account, keys: Keys, ceiling: Limits) -> tuple[Rate, ...]:
    return (*_key_rates(keys), rates.of_account(account, ceiling))


def _key_rates(keys: Keys) -> tuple[Rate, ...]:
    return tuple(rates.of_key(key.used, key.limits, whose) for key, whose in zip(keys, _WHOSE, strict=False))


def _note_counters(books: Books, account: Account, keys: Keys) -> None:
    books.changes.accounts[account.id] = account
    for key in keys:
        books.changes.keys[key.id] = key
    books.changes.called.update(key.id for key in keys[:1])


def _count_uncalled(books: Books, account: Account, keys: Keys, held_by: tuple[Rate, ...]) -> None:
    """What is refused or replayed is a request, too. One for which there are no requests left takes no more of them.

    It begins no day of the key's: a hold of the day before may still grow within that day's budget.
    """
    with contextlib.suppress(RateLimited):
        rates.take(held_by, books.state.now, requests=1)
        _note_counters(books, account, keys)


def _limits(keys: Keys, ceiling: Limits) -> list[Limits]:
    """The limits of each key. The operator's maximum of one key bounds the key that calls."""
    return [key.limits if number else key.limits.within(ceiling) for number, key in enumerate(keys)]


def _beginning(keys: Keys, now: datetime) -> datetime:
    """When a call of these keys begins: in no day before one that they have begun, by a clock that was set back since.

    Their budgets would begin anew, twice. A clock that was wrong by more is believed once it is right.
    """
    today = now.date()
    for key in keys:
        if key.used.day is not None and key.used.day > today:
            tomorrow = datetime.combine(today + timedelta(days=1), time(), UTC)
            return tomorrow if tomorrow <= now + MAX_STEP_BACK else now
    return now


def _counted(keys: Keys, ceiling: Limits, now: datetime) -> list[tuple[Limits, Used]]:
    return [(allowed, key.used.at(now)) for key, allowed in zip(keys, _limits(keys, ceiling), strict=True)]


def _tokens(keys: Keys, ceiling: Limits) -> int | None:
    return lowest(ceiling.tokens, *(key.limits.tokens for key in keys))


def _count(books: Books, account: Account, keys: Keys, hold: Hold, operation: Reserve) -> None:
    """Take the call out of all limits of its keys and account. Raises, having changed none, if one forbids it."""
    now, ceiling, begins = books.state.now, operation.ceiling, _beginning(keys, books.state.now)
    counted = [key.used.at(begins) for key in keys]
    for used, allowed, whose in zip(counted, _limits(keys, ceiling), _WHOSE, strict=False):
        _require_place(used.open_holds, allowed.concurrent, whose)
    hold.tokens_taken, hold.account_tokens_limit = token_bound(hold), ceiling.tokens
    tokens = _tokens(keys, ceiling)
    if tokens is not None and hold.tokens_taken > tokens:
        needed = counts.counted(hold.tokens_taken, "token")
        raise RequestInvalid(
            f"This call may use {needed}, and only {tokens:,} are allowed in a minute: no wait would help. "
            "Ask for less output ('max_tokens'), or raise the limit of the key.",
            param="max_tokens",
        )
    held_by = [rates.of_account(account, ceiling)]
    held_by += [rates.of_key(used, key.limits, whose) for used, key, whose in zip(counted, keys, _WHOSE, strict=False)]
    rates.take(held_by, now, requests=0 if operation.admitted else 1, tokens=hold.tokens_taken)
    for key, used in zip(keys, counted, strict=True):
        key.used = used
        used.open_holds += 1
        used.spend(begins.date(), hold.amount)
    if keys:
        hold.key_id, hold.tokens_limit = keys[0].id, keys[0].limits.tokens
    if keys[1:]:
        hold.ancestor_tokens_limits = [key.limits.tokens for key in keys[1:]]
    _note_counters(books, account, keys)
