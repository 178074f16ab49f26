"""The size check finds what it should, and nothing else."""

from pathlib import Path

import pytest

from scripts import check_sizes

LONG = "    x = 1\n"


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("x = 1\n" * 401, "m.py:1: the file has 401 lines, at most 400"),
        ("def f():\n" + LONG * 70, "m.py:1: f has 71 lines, at most 70"),
        ("class A:\n  async def f(self):\n" + LONG * 70, "m.py:2: f has 71 lines, at most 70"),
        ("def f(a, b, /, c, d, *, e, f): ...", "m.py:1: f has 6 parameters, at most 5"),
        ("class A:\n  def f(self, a, b, c, d, e, f): ...", "m.py:2: f has 6 parameters, at most 5"),
        ("class A:\n  @staticmethod\n  def f(a, b, c, d, e, f): ...", "m.py:3: f has 6 parameters, at most 5"),
        ("def g():\n  def f(a, b, c, d, e, f): ...", "m.py:2: f has 6 parameters, at most 5"),
    ],
)
def test_too_large(source: str, fault: str) -> None:
    assert list(check_sizes.faults(Path("m.py"), source)) == [fault]


@pytest.mark.parametrize(
    "source",
    [
        "x = 1\n" * 400,
        "def f():\n" + LONG * 69,
        "def f(a, b, /, c, d, *rest, e, **more): ...",
        "class A:\n  def f(self, a, b, c, d, e): ...",
        "class A:\n  @classmethod\n  def f(cls, a, b, c, d, e): ...",
        "class A:\n  @staticmethod\n  def f(a, b, c, d, e): ...",
    ],
)
def test_just_small_enough(source: str) -> None:
    assert list(check_sizes.faults(Path("m.py"), source)) == []


def test_every_file_of_the_project_is_looked_at() -> None:
    root = Path(__file__).parents[3]
    names = {path.relative_to(root).as_posix() for path in check_sizes.our_files(root)}
    assert {"settings/people.py", "domain/catalog.py", "tests/unit/scripts/test_check_sizes.py"} <= names
    assert "web/static/js/chat.js" in names
    assert not [name for name in names if name.startswith((".venv", "web/static/vendor"))]


def test_a_script_of_the_web_app_has_the_limit_of_a_file_too() -> None:
    script = Path("web/static/js/m.js")
    assert list(check_sizes.faults(script, "let x;\n" * 401)) == [f"{script}:1: the file has 401 lines, at most 400"]
    assert list(check_sizes.faults(script, "let x;\n" * 400)) == []


def test_a_commit_subject_has_a_limit() -> None:
    fits, long = f"abc1234 {'x' * 72}", f"abc1235 {'x' * 73}"
    assert check_sizes.subject_faults([fits]) == []
    assert [fault.split()[1] for fault in check_sizes.subject_faults([fits, long])] == ["abc1235"]


def test_the_newest_commits_are_looked_at() -> None:
    assert check_sizes.newest_subjects(Path(__file__).parents[3])
