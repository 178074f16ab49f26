"""Which file of tests a process of a run gets next."""

import pytest

from tests.support.scheduling import in_background, next_file

WAITING = [
    *("tests/browser/test_a.py", "tests/browser/test_b.py"),
    *("tests/clients/test_a.py", "tests/clients/test_b.py", "tests/clients/test_c.py"),
    *("tests/contracts/test_a.py", "tests/integration/http/test_a.py", "tests/unit/domain/test_a.py"),
]


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        ("", [], "tests/browser/test_a.py"),
        ("", ["browser"], "tests/clients/test_a.py"),
        ("clients", ["browser", "clients"], "tests/clients/test_a.py"),
        ("temporal", ["browser", "clients"], "tests/integration/http/test_a.py"),
        ("temporal", ["browser", "clients", "integration"], "tests/clients/test_a.py"),
    ],
    ids=["the first", "where no other is", "where it is", "no folder that starts nothing", "the fullest"],
)
def test_a_process_stays_in_its_folder(own: str, others: list[str], expected: str) -> None:
    assert next_file(WAITING, own, others) == expected


def test_what_starts_nothing_comes_last() -> None:
    assert next_file(["tests/contracts/test_a.py", "tests/unit/test_a.py"], "unit", []) == "tests/unit/test_a.py"
    assert next_file(["tests/unit/test_a.py", "tests/replay/test_a.py"], "replay", []) == "tests/replay/test_a.py"
    waiting = ["tests/unit/test_a.py", "tests/temporal/test_a.py"]
    assert next_file(waiting, "unit", ["temporal"]) == "tests/temporal/test_a.py"


@pytest.mark.parametrize(("count", "expected"), [(1, []), (2, []), (3, ["gw2"]), (5, ["gw4"])])
def test_the_last_of_several_processes_is_in_the_background(count: int, expected: list[str]) -> None:
    names = [f"gw{number}" for number in range(count + 1)]  # the last one replaces one that crashed
    assert [name for name in names if in_background(name, count)] == expected
