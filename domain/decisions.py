"""The ledger's decisions, as one pure function over a batch: no database, no clock, no randomness.

`decide(state, operations)` takes each operation in order against the state that the ones before it left, and gives each
a result of its own: what one operation asks never fails its neighbours.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from domain import reservations, settlements
from domain.books import Books
from domain.errors import AmountTooLarge, BelowZero, GatewayError, KeyReused, NotFound, RequestInvalid
from domain.ledger import Account, Changes, State
from domain.money import MAX_AMOUNT
from domain.operations import Adjust, Admit, Extend, Grant, Operation, Refund, Renew, Reserve, Settle, Sweep, Void
from domain.results import Answer, Granted, Result

Rule = Callable[[Books, Any], Answer]


def grant(books: Books, operation: Grant) -> Granted:
    account, repeated = _referred(books, operation)
    if not repeated:
        if not 0 < operation.amount <= _headroom(account):
            raise AmountTooLarge
        books.grant(account, operation)
        books.state.refs[operation.ref] = (operation.account_id, operation.amount)
    return Granted(account.available, repeated)


def adjust(books: Books, operation: Adjust) -> Granted:
    account, repeated = _referred(books, operation)
    if not repeated:
        if not operation.note.strip():
            raise RequestInvalid("An adjustment needs a reason.", param="reason")
        if operation.amount == 0:
            raise RequestInvalid("An adjustment must not be zero.", param="amount")
        if operation.amount > _headroom(account):
            raise AmountTooLarge
        if -operation.amount > account.available:
            raise BelowZero(-operation.amount, account.available, account.held)
        books.adjust(account, operation)
        books.state.refs[operation.ref] = (operation.account_id, operation.amount)
    return Granted(account.available, repeated)


def _referred(books: Books, operation: Grant | Adjust) -> tuple[Account, bool]:
    """Find the account, and whether this very operation has used the reference before."""
    account = books.state.accounts.get(operation.account_id)
    if account is None:
        raise NotFound
    before = books.state.refs.get(operation.ref)
    if before not in (None, (operation.account_id, operation.amount)):
        raise KeyReused("This reference was used before, for another account or another amount.")
    return account, before is not None


def _headroom(account: Account) -> int:
    return MAX_AMOUNT - account.available - account.held


RULES: Mapping[type[Operation], Rule] = {
    Admit: reservations.admit,
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
) -> tuple[list[Result], Changes]:
    """Return the results in the order of the operations, and what must be written. `state` is changed."""
    books = Books(state)
    return [_result(books, operation, rules) for operation in operations], books.changes


def _result(books: Books, operation: Operation, rules: Mapping[type[Operation], Rule]) -> Result:
    try:
        return rules[type(operation)](books, operation)
    except GatewayError as error:
        return error
