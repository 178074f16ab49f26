"""Tables on terminals of every width: nothing is cut, and a row stays one thing to the eye."""

import pytest

from cli import terminal

HEADS = ("check", "n", "what")
ROWS = [("database", "7", "PostgreSQL 18.1 at 127.0.0.1:5432/yout"), ("disk", "12", "full")]
WHOLE = ["check      n  what", "database   7  PostgreSQL 18.1 at 127.0.0.1:5432/yout", "disk      12  full"]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (None, WHOLE),
        (80, WHOLE),
        (45, [WHOLE[0], "database   7  PostgreSQL 18.1 at", f"{'':14}127.0.0.1:5432/yout", WHOLE[2]]),
        (
            40,
            [
                *("check  database", "n      7", "what   PostgreSQL 18.1 at 127.0.0.1:5432/yout", ""),
                *("check  disk", "n      12", "what   full"),
            ],
        ),
    ],
)
def test_a_table_takes_the_room_that_there_is(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: int | None,
    expected: list[str],
) -> None:
    monkeypatch.setattr(terminal, "_columns", lambda: columns)
    terminal.print_table(HEADS, ROWS, numbers=("n",))
    assert capsys.readouterr().out.splitlines() == expected


SENTENCE = "fault, schedules: `temporal schedule toggle --unpause` does it, or Temporal's own UI"


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (None, [SENTENCE]),
        (90, [SENTENCE]),
        (40, ["fault, schedules:", "  `temporal schedule toggle --unpause`", "  does it, or Temporal's own UI"]),
        (20, ["fault, schedules:", "  `temporal schedule toggle --unpause`", "  does it, or", "  Temporal's own UI"]),
    ],
)
def test_a_sentence_is_folded_at_words_and_a_command_in_it_stays_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int | None, expected: list[str]
) -> None:
    monkeypatch.setattr(terminal, "_columns", lambda: columns)
    terminal.say_folded(SENTENCE)
    assert capsys.readouterr().out.splitlines() == expected
