"""Small mistakes in the ledger's rules, each of which the bank's machine must notice."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from domain import reservations, settlements
from domain.books import Books
from domain.decisions import RULES, Rule, decide, grant
from domain.errors import NotFound
from domain.holds import HoldState
from domain.ledger import TransactionKind
from domain.operations import Extend, Grant, Operation, Refund, Renew, Reserve, Settle, Sweep, Void
from domain.results import Answer, Closed
from tests.support.ledger.memory import Decide


def settles_whatever_the_state(books: Books, asked: Settle) -> Answer:
    hold = books.hold(asked.hold_id)
    books.owner(hold, asked.account_id)
    hold.state = HoldState.OPEN
    return settlements.settle(books, asked)


def forgets_the_minimum(books: Books, asked: Settle) -> Answer:
    return settlements.settle(books, replace(asked, minimum=False))


def always_takes_the_minimum(books: Books, asked: Settle) -> Answer:
    return settlements.settle(books, replace(asked, minimum=True))


def charges_above_the_hold_without_a_write_off(books: Books, asked: Settle) -> Answer:
    verdict = settlements.settle(books, asked)
    hold = books.hold(asked.hold_id)
    hold.charged, hold.written_off = hold.charged + hold.written_off, 0
    return replace(verdict, charged=hold.charged, written_off=0)


def charges_above_the_callers_bound(books: Books, asked: Settle) -> Answer:
    books.hold(asked.hold_id).max_credits = None
    return settlements.settle(books, asked)


def settles_anybodys_hold(books: Books, asked: Settle) -> Answer:
    return settlements.settle(books, replace(asked, account_id=books.hold(asked.hold_id).account_id))


def forgets_the_usage(books: Books, asked: Settle) -> Answer:
    verdict = settlements.settle(books, asked)
    books.changes.usage.clear()
    return verdict


def forgets_the_answer(books: Books, asked: Settle) -> Answer:
    return settlements.settle(books, replace(asked, sealed=None))


def does_not_give_back(books: Books, asked: Void) -> Answer:
    hold = books.state.holds.get(asked.hold_id)
    if hold is None or hold.state is not HoldState.OPEN:
        return settlements.void(books, asked)
    account = books.owner(hold, asked.account_id)
    books.close(hold, account, HoldState.VOID, asked.closed_by)
    books.move(account, hold, TransactionKind.RELEASE, held=-hold.amount, revenue=hold.amount)
    books.free(hold, None)
    return Closed(hold.state, 0, 0, account.available, account.held)


def leaves_no_tombstone(books: Books, asked: Void) -> Answer:
    if asked.hold_id not in books.state.holds:
        raise NotFound
    return settlements.void(books, asked)


def does_not_count_down(books: Books, asked: Void) -> Answer:
    hold = books.state.holds.get(asked.hold_id)
    key = books.key_of(hold) if hold else None
    before = key.used.open_holds if key else 0
    verdict = settlements.void(books, asked)
    if key is not None:
        key.used = replace(key.used, open_holds=before)
    return verdict


def places_again_what_was_released(books: Books, asked: Reserve) -> Answer:
    hold = books.state.holds.get(asked.hold_id)
    if hold is not None and hold.state is HoldState.VOID:
        del books.state.holds[asked.hold_id]
    return reservations.reserve(books, asked)


def does_not_remember_the_claim(books: Books, asked: Reserve) -> Answer:
    verdict = reservations.reserve(books, asked)
    books.changes.claims.clear()
    return verdict


def ignores_the_claim(books: Books, asked: Reserve) -> Answer:
    return reservations.reserve(books, replace(asked, claim=asked.claim and replace(asked.claim, adopts=False)))


def serves_revoked_keys(books: Books, asked: Reserve) -> Answer:
    for key in books.state.keys.values():
        key.dead = False
    return reservations.reserve(books, asked)


def ignores_the_keys_limits(books: Books, asked: Reserve) -> Answer:
    for key in books.state.keys.values():
        key.limits = replace(key.limits, concurrent=None)
    return reservations.reserve(books, asked)


def ignores_the_callers_bound(books: Books, asked: Reserve) -> Answer:
    return reservations.reserve(books, replace(asked, max_credits=None))


def extends_without_looking_at_the_balance(books: Books, asked: Extend) -> Answer:
    hold = books.hold(asked.hold_id)
    account = books.owner(hold, asked.account_id)
    account.available += 10**6
    try:
        return reservations.extend(books, asked)
    finally:
        account.available -= 10**6


def extends_for_nothing(books: Books, asked: Extend) -> Answer:
    verdict = reservations.extend(books, asked)
    books.changes.transactions.clear()
    return verdict


def sweeps_before_the_lease_has_run_out(books: Books, asked: Sweep) -> Answer:
    hold = books.hold(asked.hold_id)
    if hold.lease_until is not None:
        hold.lease_until = books.state.now
    return settlements.sweep(books, asked)


def sweeps_what_was_relayed_for_nothing(books: Books, asked: Sweep) -> Answer:
    books.hold(asked.hold_id).relayed_output = 0
    return settlements.sweep(books, asked)


def renews_no_lease(books: Books, asked: Renew) -> Answer:
    return settlements.renew(books, replace(asked, lease=timedelta(0)))


def forgets_what_was_relayed(books: Books, asked: Renew) -> Answer:
    hold = books.hold(asked.hold_id)
    hold.relayed_output = 0
    return settlements.renew(books, asked)


def refunds_twice(books: Books, asked: Refund) -> Answer:
    books.hold(asked.hold_id).refunded = 0
    return settlements.refund(books, asked)


def refunds_without_giving_back_the_budget(books: Books, asked: Refund) -> Answer:
    kept = {key.id: replace(key.used) for key in books.state.keys.values()}
    released = books.hold(asked.hold_id).state is HoldState.OPEN
    verdict = settlements.refund(books, asked)
    if not released:
        for key in books.state.keys.values():
            key.used = kept[key.id]
    return verdict


def grants_twice(books: Books, asked: Grant) -> Answer:
    books.state.refs.pop(asked.ref, None)
    return grant(books, asked)


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
)


def mutant(operation: type[Operation], rule: Rule) -> Decide:
    return partial(decide, rules={**RULES, operation: rule})
