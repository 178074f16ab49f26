"""Whether what several clients heard at once is what one after the other could have heard, in some order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domain.operations import Operation
from tests.support.ledger.model import Model
from tests.support.ledger.result_codec import EncodedResult


@dataclass(frozen=True, slots=True)
class Heeded:
    """An operation and what was heard of it. None: nothing, so it may have happened, or not."""

    operation: Operation
    result: EncodedResult | None


def ordered(model: Model, heeded: Sequence[Heeded], fits: Callable[[Model], bool]) -> Model | None:
    """The books after an order that explains every verdict and that `fits`, or None when there is no such order.

    An operation that changes nothing is taken where it fits first: that shuts no other out.
    """
    seen: set[str] = set()

    def search(books: Model, left: tuple[Heeded, ...]) -> Model | None:
        left = _without_changeless(books, left)
        if all(one.result is None for one in left) and fits(books):
            return books
        state = repr((books.facts(), [id(one) for one in left]))
        if state in seen:
            return None
        seen.add(state)
        for n, one in enumerate(left):
            after = books.copy()
            if after.ask(one.operation) != one.result and one.result is not None:
                continue
            if after.facts() != books.facts() and (order := search(after, left[:n] + left[n + 1 :])):
                return order
        return None

    return search(model, tuple(heeded))


def _without_changeless(books: Model, left: tuple[Heeded, ...]) -> tuple[Heeded, ...]:
    remaining = []
    for one in left:
        after = books.copy()
        explained = one.result is not None and after.ask(one.operation) == one.result
        if not (explained and after.facts() == books.facts()):
            remaining.append(one)
    return tuple(remaining)
