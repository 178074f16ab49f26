"""What is charged and what is kept agree, whatever ends a call, in the ledger's rules."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.conversations import Kept
from domain.holds import HoldState
from domain.ledger import State
from domain.operations import KeptTurn, Operation, Refund, Settle
from domain.results import Closed
from tests.support.ledger.cases import ANN, BOB, reserve, run, settle, state, void

TALK, NEW = UUID(int=70), UUID(int=71)


def sealed(first: int, charged: int) -> list[bytes]:
    return [b"question %d" % first, b"answer %d for %d" % (first + 1, charged)]


def keeping(number: int = 100, *, conversation: UUID = TALK, epoch: int = 1, title: bytes | None = None) -> Settle:
    charged = settle(number)
    charged.kept = KeptTurn(conversation, epoch, sealed, title)  # type: ignore[misc]
    return charged


def talking(known: State, kept: Kept | None = Kept(ANN, 1, 4)) -> State:  # noqa: B008  # never changed
    if kept is not None:
        known.conversations[TALK] = kept
    return known


def test_a_turn_is_appended_after_the_last_one_with_its_charge() -> None:
    (*_, first, second), changes = run(talking(state()), reserve(), reserve(101), keeping(), keeping(101))
    assert isinstance(first, Closed)
    assert isinstance(second, Closed)
    assert first.kept
    assert second.kept
    assert [(turn.first, list(turn.sealed)) for turn in changes.turns] == [
        (5, sealed(5, first.charged)),
        (7, sealed(7, second.charged)),
    ]


def test_a_conversation_begins_with_the_charge_and_once() -> None:
    (_, first, again), changes = run(state(), reserve(), keeping(title=b"t"), keeping(title=b"t"))
    assert isinstance(first, Closed)
    assert isinstance(again, Closed)
    assert (first.kept, again.kept, again.repeated) == (True, True, True)
    (turn,) = changes.turns
    assert (turn.first, turn.title) == (1, b"t")


@pytest.mark.parametrize(
    ("known", "operation"),
    [
        (talking(state(), None), keeping()),
        (talking(state(), Kept(BOB, 1, 4)), keeping()),
        (talking(state(), Kept(ANN, 2, 4)), keeping()),
        (talking(state()), keeping(epoch=2)),
        (state(), keeping(epoch=2, title=b"t")),
    ],
)
def test_what_has_no_place_any_more_is_charged_and_not_kept(known: State, operation: Settle) -> None:
    (_, charged), changes = run(known, reserve(), operation)
    assert isinstance(charged, Closed)
    assert (charged.state, charged.kept, changes.turns) == (HoldState.SETTLED, False, [])
    assert charged.charged > 0


def test_a_call_of_an_epoch_that_a_purge_has_ended_keeps_nothing() -> None:
    known = talking(state())
    run(known, reserve())
    known.accounts[ANN].epoch = 2
    known.conversations[TALK] = Kept(ANN, 2, 0)
    (charged,), changes = run(known, keeping(epoch=2))
    assert isinstance(charged, Closed)
    assert (charged.state, charged.kept, changes.turns) == (HoldState.SETTLED, False, [])


ENDINGS = st.lists(st.sampled_from(["settle", "void", "refund"]), min_size=1, max_size=6)


@given(ENDINGS)
def test_what_is_kept_is_what_was_charged(endings: list[str]) -> None:
    made: dict[str, Operation] = {"settle": keeping(), "void": void(), "refund": Refund(UUID(int=100), ANN)}
    known = talking(state())
    _, changes = run(known, reserve(), *(made[ending] for ending in endings))
    assert len(changes.turns) == len(changes.usage) == (endings[0] == "settle")
