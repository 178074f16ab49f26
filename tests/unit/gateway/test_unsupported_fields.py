"""What is remembered of routes, how long, and for how many."""

import pytest

from gateway import unsupported_fields
from gateway.unsupported_fields import UnsupportedFields
from tests.support.doubles.chat_calls import route


def test_it_adds_up_and_ends_after_an_hour() -> None:
    now = [0.0]
    memory = UnsupportedFields(lambda: now[0])
    first, second = route("a"), route("b")
    assert memory.of(first, "a") == frozenset()
    memory.remember(first, frozenset({"seed"}), "a")
    now[0] = 1800
    memory.remember(first, frozenset({"stream_options"}), "a")
    memory.remember(first, frozenset({"seed"}), "a")
    assert memory.of(first, "a") == {"seed", "stream_options"}
    assert memory.of(second, "a") == frozenset()
    now[0] = 1800 + unsupported_fields.REMEMBERED_SECONDS
    assert memory.of(first, "a") == frozenset()
    memory.remember(first, frozenset({"seed"}), "a")
    assert memory.of(first, "a") == {"seed"}


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsupported_fields, "MAX_ROUTES", 2)
    memory = UnsupportedFields()
    routes = [route(name) for name in ("a", "b", "c")]
    for each in routes:
        memory.remember(each, frozenset({"seed"}), "a")
    assert [bool(memory.of(each, "a")) for each in routes] == [False, True, True]


def test_one_account_teaches_nobody_else() -> None:
    """A provider may refuse its values of a field alone."""
    now = [0.0]
    memory, shown = UnsupportedFields(lambda: now[0]), route("a")
    memory.remember(shown, frozenset({"reasoning_effort"}), "a")
    memory.remember(shown, frozenset({"reasoning_effort"}), "a")
    assert [memory.of(shown, who) for who in ("b", None)] == [frozenset()] * 2
    now[0] = 1800
    memory.remember(shown, frozenset({"reasoning_effort", "seed"}), "b")
    assert memory.of(shown, "c") == memory.of(shown) == {"reasoning_effort"}
    assert memory.of(shown, "b") == {"reasoning_effort", "seed"}
    now[0] = 1800 + unsupported_fields.REMEMBERED_SECONDS
    assert memory.of(shown, "b") == frozenset()
    memory.remember(shown, frozenset({"reasoning_effort"}), "c")
    assert memory.of(shown, "d") == frozenset()
