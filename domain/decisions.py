"""The ledger's decisions, as one pure function over a batch: no database, no clock, no randomness.

`decide(state, operations)` takes each operation in order against the state that the ones before it left, and gives each
a verdict of its own: what one operation asks never fails its neighbours.
"""

from collections.abc import Callable, Sequence
from typing import Any

from domain import reservations, settlements
from domain.books import Books
from domain.errors import AmountTooLarge, GatewayError, KeyReused, NotFound
from domain.ledger import (
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


def decide(state: State, operations: Sequence[Operation]) -> tuple[list[Verdict], Changes]:
    """Verdicts in the order of the operations, and what has to be written. `state` is consumed."""
    books = Books(state)
    return [_verdict(books, operation) for operation in operations], books.changes


def _verdict(books: Books, operation: Operation) -> Verdict:
    try:
        return _RULES[type(operation)](books, operation)
    except GatewayError as refusal:
        return refusal


_RULES: dict[type[Operation], Callable[[Books, Any], Answer]] = {
    Reserve: reservations.reserve,
    Extend: reservations.extend,
    Renew: settlements.renew,
    Settle: settlements.settle,
    Void: settlements.void,
    Sweep: settlements.sweep,
    Refund: settlements.refund,
}


def grant(books: Books, asked: Grant) -> Granted:
    account = books.state.accounts.get(asked.account_id)
    if account is None:
        raise NotFound
    before = books.state.refs.get(asked.ref)
    if before is not None:
        if before != (asked.account_id, asked.amount):
            raise KeyReused
        return Granted(account.available, repeated=True)
    if not 0 < asked.amount <= LARGEST_AMOUNT - account.available - account.held:
        raise AmountTooLarge
    books.state.refs[asked.ref] = (asked.account_id, asked.amount)
    books.grant(account, asked.amount, asked.ref)
    return Granted(account.available, repeated=False)


_RULES[Grant] = grant
