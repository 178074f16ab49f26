"""What a model reads of a conversation that goes on: one set of instructions, first, or none."""

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.conversations import SavedMessage, continued

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def message(text: str) -> dict[str, Any]:
    """Return the message that a word stands for: `s:brief` is one of the role `system`."""
    initial, _, content = text.partition(":")
    return {"role": {"s": "system", "d": "developer", "u": "user", "a": "assistant"}[initial], "content": content}


def seen(saved: str, new: str) -> str:
    stored = [SavedMessage(at, WHEN, message(one), {}) for at, one in enumerate(saved.split(), 1)]
    initials = {"system": "s", "developer": "d", "user": "u", "assistant": "a"}
    read = continued(stored, [message(one) for one in new.split()])
    return " ".join(f"{initials[one['role']]}:{one['content']}" for one in read)


@pytest.mark.parametrize(
    ("saved", "new", "read"),
    [
        ("u:1 a:2", "u:3", "u:1 a:2 u:3"),
        ("s:brief u:1 a:2", "u:3", "s:brief u:1 a:2 u:3"),
        ("s:brief u:1 a:2", "s:loud u:3", "s:loud u:1 a:2 u:3"),
        ("u:1 a:2", "s:loud u:3", "s:loud u:1 a:2 u:3"),
        ("s:brief u:1 a:2 s:loud u:3 a:4", "u:5", "s:loud u:1 a:2 u:3 a:4 u:5"),
        ("s:brief u:1 a:2", "s: u:3", "u:1 a:2 u:3"),
        ("s:brief u:1 a:2 s: u:3 a:4", "u:5", "u:1 a:2 u:3 a:4 u:5"),
        ("s:brief u:1 a:2 s: u:3 a:4", "s:loud u:5", "s:loud u:1 a:2 u:3 a:4 u:5"),
        ("s:brief s:German u:1 a:2", "u:3", "s:brief s:German u:1 a:2 u:3"),
        ("s:brief s:German u:1 a:2", "d:loud u:3", "d:loud u:1 a:2 u:3"),
        ("s:brief", "s:", ""),
        ("", "u:1", "u:1"),
    ],
)
def test_the_newest_instructions_stand_first_and_alone(saved: str, new: str, read: str) -> None:
    assert seen(saved, new) == read


@pytest.mark.parametrize("nothing", ["", None, [], [{"type": "text", "text": ""}], [{"type": "text", "text": ""}] * 2])
def test_instructions_without_a_text_end_those_before_them(nothing: Any) -> None:
    one, two = message("u:1"), message("u:2")
    saved = [SavedMessage(1, WHEN, message("s:brief"), {}), SavedMessage(2, WHEN, one, {})]
    assert continued(saved, [{"role": "system", "content": nothing}, two]) == [one, two]


@pytest.mark.parametrize("part", [{"type": "text", "text": "loud"}, {"type": "image_url", "image_url": {"url": "x"}}])
def test_instructions_with_a_part_that_is_not_empty_count(part: dict[str, Any]) -> None:
    loud = {"role": "system", "content": [{"type": "text", "text": ""}, part]}
    assert continued([SavedMessage(1, WHEN, message("s:brief"), {})], [message("u:1"), loud]) == [loud, message("u:1")]


def test_an_answer_of_one_empty_text_is_left_out() -> None:
    answer = {"role": "assistant", "content": [{"type": "text", "text": ""}]}
    assert continued([SavedMessage(1, WHEN, answer, {})], [message("u:1")]) == [message("u:1")]
