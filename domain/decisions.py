"""The ledger's decisions, as one pure function over a batch: no database, no clock, no randomness.

`decide(state, operations)` takes each operation in order against the state that the ones before it left, and gives each
a verdict of its own: what one operation asks never fails its neighbours.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from domain import reservations, settlements
from domain.books import Books
from domain.errors import AmountTooLarge, BelowZero, GatewayError, KeyReused, NotFound, RequestInvalid
from domain.ledger import (
    Account,
    Adjust,
    Answer,
    Changes,
    Extend,
    Grant,
    Granted,
    Operation,
    Refund,
    Renew,
    Reserve,
    Settle,
    State,
    Sweep,
    Verdict,
    Void,
)
from domain.money import LARGEST_AMOUNT

Rule = Callable[[Books, Any], Answer]


def grant(books: Books, asked: Grant) -> Granted:
    account, repeated = _referred(books, asked)
    if not repeated:
        if not 0 < asked.amount <= _room(account):
            raise AmountTooLarge
        books.grant(account, asked)
        books.state.refs[asked.ref] = (asked.account_id, asked.amount)
    return Granted(account.available, repeated)


def adjust(books: Books, asked: Adjust) -> Granted:
    account, repeated = _referred(books, asked)
    if not repeated:
        if not asked.note.strip():
            raise RequestInvalid("An adjustment needs a reason.", param="reason")
        if asked.amount == 0:
            raise RequestInvalid("An adjustment must not be zero.", param="amount")
        if asked.amount > _room(account):
            raise AmountTooLarge
        if -asked.amount > account.available:
            raise BelowZero(-asked.amount, account.available, account.held)
        books.adjust(account, asked)
        books.state.refs[asked.ref] = (asked.account_id, asked.amount)
    return Granted(account.available, repeated)


def _referred(books: Books, asked: Grant | Adjust) -> tuple[Account, bool]:
    """The account, and whether the reference was used for just this before."""
    account = books.state.accounts.get(asked.account_id)
    if account is None:
        raise NotFound
    before = books.state.refs.get(asked.ref)
    if before not in (None, (asked.account_id, asked.amount)):
        raise KeyReused("This reference was used before, for another account or another amount.")
    return account, before is not None


def _room(account: Account) -> int:
    return LARGEST_AMOUNT - account.available - account.held


RULES: Mapping[type[Operation], Rule] = {
    Reserve: reservations.reserve,
    Extend: reservations.extend,
    Renew: settlements.renew,
    Settle: settlements.settle,
    Void: settlements.void,
    Sweep: settlements.sweep,
    Refund: settlements.refund,
    Grant: grant,
    Adjust: adjust,
}


def decide(
    state: State, operations: Sequence[Operation], rules: Mapping[type[Operation], Rule] = RULES
) -> tuple[list[Verdict], Changes]:
    """Verdicts in the order of the operations, and what has to be written. `state` is consumed."""
    books = Books(state)
    return [_verdict(books, operation, rules) for operation in operations], books.changes


def _verdict(books: Books, operation: Operation, rules: Mapping[type[Operation], Rule]) -> Verdict:
    try:
        return rules[type(operation)](books, operation)
    except GatewayError as refusal:
        return refusal
