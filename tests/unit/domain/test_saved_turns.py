"""What is charged and what is saved agree, whatever ends a call, in the ledger's rules."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.conversations import ConversationState
from domain.holds import HoldState
from domain.ledger import State
from domain.operations import Operation, Refund, SavedTurn, Settle
from domain.results import Closed
from tests.support.ledger.cases import ANN, BOB, reserve, run, settle, state, void

TALK, NEW = UUID(int=70), UUID(int=71)


def sealed(first: int, charged: int) -> list[bytes]:
    return [b"question %d" % first, b"answer %d for %d" % (first + 1, charged)]


def saving(number: int = 100, *, conversation: UUID = TALK, epoch: int = 1, title: bytes | None = None) -> Settle:
    charged = settle(number)
    charged.turn = SavedTurn(conversation, epoch, sealed, title)  # type: ignore[misc]
    return charged


def talking(known: State, conversation: ConversationState | None = ConversationState(ANN, 1, 4)) -> State:  # noqa: B008  # never changed
    if conversation is not None:
        known.conversations[TALK] = conversation
    return known


def test_a_turn_is_appended_after_the_last_one_with_its_charge() -> None:
    (*_, first, second), changes = run(talking(state()), reserve(), reserve(101), saving(), saving(101))
    assert isinstance(first, Closed)
    assert isinstance(second, Closed)
    assert first.saved
    assert second.saved
    assert [(turn.first, list(turn.sealed)) for turn in changes.turns] == [
        (5, sealed(5, first.charged)),
        (7, sealed(7, second.charged)),
    ]


def test_a_conversation_begins_with_the_charge_and_once() -> None:
    (_, first, again), changes = run(state(), reserve(), saving(title=b"t"), saving(title=b"t"))
    assert isinstance(first, Closed)
    assert isinstance(again, Closed)
    assert (first.saved, again.saved, again.repeated) == (True, True, True)
    (turn,) = changes.turns
    assert (turn.first, turn.title) == (1, b"t")


@pytest.mark.parametrize(
    ("known", "operation"),
    [
        (talking(state(), None), saving()),
        (talking(state(), ConversationState(BOB, 1, 4)), saving()),
        (talking(state(), ConversationState(ANN, 2, 4)), saving()),
        (talking(state()), saving(epoch=2)),
        (state(), saving(epoch=2, title=b"t")),
    ],
)
def test_what_has_no_place_any_more_is_charged_and_not_saved(known: State, operation: Settle) -> None:
    (_, charged), changes = run(known, reserve(), operation)
    assert isinstance(charged, Closed)
    assert (charged.state, charged.saved, changes.turns) == (HoldState.SETTLED, False, [])
    assert charged.charged > 0


def test_a_call_of_an_epoch_that_a_purge_has_ended_keeps_nothing() -> None:
    known = talking(state())
    run(known, reserve())
    known.accounts[ANN].epoch = 2
    known.conversations[TALK] = ConversationState(ANN, 2, 0)
    (charged,), changes = run(known, saving(epoch=2))
    assert isinstance(charged, Closed)
    assert (charged.state, charged.saved, changes.turns) == (HoldState.SETTLED, False, [])


ENDINGS = st.lists(st.sampled_from(["settle", "void", "refund"]), min_size=1, max_size=6)


@given(ENDINGS)
def test_what_is_saved_is_what_was_charged(endings: list[str]) -> None:
    operations: dict[str, Operation] = {"settle": saving(), "void": void(), "refund": Refund(UUID(int=100), ANN)}
    known = talking(state())
    _, changes = run(known, reserve(), *(operations[ending] for ending in endings))
    assert len(changes.turns) == len(changes.usage) == (endings[0] == "settle")
