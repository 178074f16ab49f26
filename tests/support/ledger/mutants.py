"""Small mistakes in the ledger's rules, each of which the bank's machine must notice."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from domain import reservations, settlements
from domain.books import Books
from domain.decisions import RULES, Rule, decide, grant
from domain.errors import NotFound
from domain.holds import HoldState
from domain.ledger import Key, TransactionKind
from domain.limits import NO_LIMITS
from domain.operations import Admit, Extend, Grant, Operation, Refund, Renew, Reserve, Settle, Sweep, Void
from domain.results import Answer, Closed
from tests.support.ledger.memory import Decide


def settles_whatever_the_state(books: Books, operation: Settle) -> Answer:
    hold = books.hold(operation.hold_id)
    books.owner(hold, operation.account_id)
    hold.state = HoldState.OPEN
    return settlements.settle(books, operation)


def forgets_the_minimum(books: Books, operation: Settle) -> Answer:
    return settlements.settle(books, replace(operation, minimum=False))


def always_takes_the_minimum(books: Books, operation: Settle) -> Answer:
    return settlements.settle(books, replace(operation, minimum=True))


def charges_above_the_hold_without_a_write_off(books: Books, operation: Settle) -> Answer:
    result = settlements.settle(books, operation)
    hold = books.hold(operation.hold_id)
    hold.charged, hold.written_off = hold.charged + hold.written_off, 0
    return replace(result, charged=hold.charged, written_off=0)


def charges_above_the_callers_bound(books: Books, operation: Settle) -> Answer:
    books.hold(operation.hold_id).max_credits = None
    return settlements.settle(books, operation)


def settles_anybodys_hold(books: Books, operation: Settle) -> Answer:
    return settlements.settle(books, replace(operation, account_id=books.hold(operation.hold_id).account_id))


def forgets_the_usage(books: Books, operation: Settle) -> Answer:
    result = settlements.settle(books, operation)
    books.changes.usage.clear()
    return result


def forgets_the_answer(books: Books, operation: Settle) -> Answer:
    return settlements.settle(books, replace(operation, sealed=None))


def does_not_give_back(books: Books, operation: Void) -> Answer:
    hold = books.state.holds.get(operation.hold_id)
    if hold is None or hold.state is not HoldState.OPEN:
        return settlements.void(books, operation)
    account = books.owner(hold, operation.account_id)
    books.close(hold, account, HoldState.VOID, operation.closed_by)
    books.move(account, hold, TransactionKind.RELEASE, held=-hold.amount, revenue=hold.amount)
    books.free(hold, None)
    return Closed(hold.state, 0, 0, account.available, account.held)


def leaves_no_tombstone(books: Books, operation: Void) -> Answer:
    if operation.hold_id not in books.state.holds:
        raise NotFound
    return settlements.void(books, operation)


def does_not_count_down(books: Books, operation: Void) -> Answer:
    hold = books.state.holds.get(operation.hold_id)
    key = books.key_of(hold) if hold else None
    before = key.used.open_holds if key else 0
    result = settlements.void(books, operation)
    if key is not None:
        key.used = replace(key.used, open_holds=before)
    return result


def places_again_what_was_released(books: Books, operation: Reserve) -> Answer:
    hold = books.state.holds.get(operation.hold_id)
    if hold is not None and hold.state is HoldState.VOID:
        del books.state.holds[operation.hold_id]
    return reservations.reserve(books, operation)


def does_not_remember_the_claim(books: Books, operation: Reserve) -> Answer:
    result = reservations.reserve(books, operation)
    books.changes.claims.clear()
    return result


def ignores_the_claim(books: Books, operation: Reserve) -> Answer:
    claim = operation.claim and replace(operation.claim, adopts=False)
    return reservations.reserve(books, replace(operation, claim=claim))


def serves_revoked_keys(books: Books, operation: Reserve) -> Answer:
    for key in books.state.keys.values():
        key.dead = False
    return reservations.reserve(books, operation)


def ignores_the_keys_limits(books: Books, operation: Reserve) -> Answer:
    for key in books.state.keys.values():
        key.limits = replace(key.limits, concurrent=None)
    return reservations.reserve(books, operation)


def ignores_the_callers_bound(books: Books, operation: Reserve) -> Answer:
    return reservations.reserve(books, replace(operation, max_credits=None))


def extends_without_looking_at_the_balance(books: Books, operation: Extend) -> Answer:
    hold = books.hold(operation.hold_id)
    account = books.owner(hold, operation.account_id)
    account.available += 10**6
    try:
        return reservations.extend(books, operation)
    finally:
        account.available -= 10**6


def extends_for_nothing(books: Books, operation: Extend) -> Answer:
    result = reservations.extend(books, operation)
    books.changes.transactions.clear()
    return result


def sweeps_before_the_lease_has_run_out(books: Books, operation: Sweep) -> Answer:
    hold = books.hold(operation.hold_id)
    if hold.lease_until is not None:
        hold.lease_until = books.state.now
    return settlements.sweep(books, operation)


def sweeps_what_was_relayed_for_nothing(books: Books, operation: Sweep) -> Answer:
    books.hold(operation.hold_id).relayed_output = 0
    return settlements.sweep(books, operation)


def renews_no_lease(books: Books, operation: Renew) -> Answer:
    return settlements.renew(books, replace(operation, lease=timedelta(0)))


def forgets_what_was_relayed(books: Books, operation: Renew) -> Answer:
    hold = books.hold(operation.hold_id)
    hold.relayed_output = 0
    return settlements.renew(books, operation)


def refunds_twice(books: Books, operation: Refund) -> Answer:
    books.hold(operation.hold_id).refunded = 0
    return settlements.refund(books, operation)


def refunds_without_giving_back_the_budget(books: Books, operation: Refund) -> Answer:
    counters = {key.id: replace(key.used) for key in books.state.keys.values()}
    released = books.hold(operation.hold_id).state is HoldState.OPEN
    result = settlements.refund(books, operation)
    if not released:
        for key in books.state.keys.values():
            key.used = counters[key.id]
    return result


def grants_twice(books: Books, operation: Grant) -> Answer:
    books.state.refs.pop(operation.ref, None)
    return grant(books, operation)


def _oldest(books: Books, operation: Any) -> Key | None:
    """The first of the family of the key that calls, or called."""
    secret = books.state.secrets.get(getattr(operation, "digest", None) or b"")
    hold = books.state.holds.get(getattr(operation, "hold_id", None) or UUID(int=0))
    key_id = secret.key_id if secret else hold and hold.key_id
    key = books.state.keys[key_id] if key_id else None
    return books.state.keys[key.ancestors[-1]] if key and key.ancestors else None


def _forgets_an_ancestor(rule: Rule) -> Rule:
    """The call counts on its key, and on all that are behind it but the last."""

    def forgetful(books: Books, operation: Any) -> Answer:
        oldest = _oldest(books, operation)
        before = replace(oldest.used) if oldest else None
        try:
            return rule(books, operation)
        finally:
            if oldest and before:
                oldest.used = before

    forgetful.__name__ = f"{rule.__name__}_forgets_an_ancestor"
    return forgetful


def _ignores_an_ancestors_limits(rule: Rule) -> Rule:
    def ignorant(books: Books, operation: Any) -> Answer:
        oldest = _oldest(books, operation)
        limits = oldest.limits if oldest else NO_LIMITS
        if oldest:
            oldest.limits = replace(limits, concurrent=None, credits_day=None, credits_month=None)
        try:
            return rule(books, operation)
        finally:
            if oldest:
                oldest.limits = limits

    ignorant.__name__ = f"{rule.__name__}_ignores_an_ancestors_limits"
    return ignorant


MUTANTS: Sequence[tuple[type[Operation], Any]] = (
    (Settle, settles_whatever_the_state),
    (Settle, forgets_the_minimum),
    (Settle, always_takes_the_minimum),
    (Settle, charges_above_the_hold_without_a_write_off),
    (Settle, charges_above_the_callers_bound),
    (Settle, settles_anybodys_hold),
    (Settle, forgets_the_usage),
    (Settle, forgets_the_answer),
    (Void, does_not_give_back),
    (Void, leaves_no_tombstone),
    (Void, does_not_count_down),
    (Reserve, places_again_what_was_released),
    (Reserve, does_not_remember_the_claim),
    (Reserve, ignores_the_claim),
    (Reserve, serves_revoked_keys),
    (Reserve, ignores_the_keys_limits),
    (Reserve, ignores_the_callers_bound),
    (Extend, extends_without_looking_at_the_balance),
    (Extend, extends_for_nothing),
    (Sweep, sweeps_before_the_lease_has_run_out),
    (Sweep, sweeps_what_was_relayed_for_nothing),
    (Renew, renews_no_lease),
    (Renew, forgets_what_was_relayed),
    (Refund, refunds_twice),
    (Refund, refunds_without_giving_back_the_budget),
    (Grant, grants_twice),
    *((of, _forgets_an_ancestor(RULES[of])) for of in (Admit, Reserve, Extend, Settle, Void, Sweep, Refund)),
    *((of, _ignores_an_ancestors_limits(RULES[of])) for of in (Reserve, Settle)),
)


def mutant(operation: type[Operation], rule: Rule) -> Decide:
    return partial(decide, rules={**RULES, operation: rule})
