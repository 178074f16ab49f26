"""What is remembered of routes, how long, and for how many."""

import pytest

from gateway import unsupported_fields
from gateway.unsupported_fields import UnsupportedFields
from tests.support.doubles.chat_calls import route


def test_it_adds_up_and_ends_after_an_hour() -> None:
    now = [0.0]
    memory = UnsupportedFields(lambda: now[0])
    first, second = route("a"), route("b")
    assert memory.of(first) == frozenset()
    memory.remember(first, frozenset({"seed"}))
    now[0] = 1800
    memory.remember(first, frozenset({"stream_options"}))
    memory.remember(first, frozenset({"seed"}))
    assert memory.of(first) == {"seed", "stream_options"}
    assert memory.of(second) == frozenset()
    now[0] = 1800 + unsupported_fields.REMEMBERED_SECONDS
    assert memory.of(first) == frozenset()
    memory.remember(first, frozenset({"seed"}))
    assert memory.of(first) == {"seed"}


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsupported_fields, "MAX_ROUTES", 2)
    memory = UnsupportedFields()
    routes = [route(name) for name in ("a", "b", "c")]
    for each in routes:
        memory.remember(each, frozenset({"seed"}))
    assert [bool(memory.of(each)) for each in routes] == [False, True, True]
