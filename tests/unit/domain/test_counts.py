import pytest

from domain.counts import counted


@pytest.mark.parametrize(
    ("number", "noun", "written"),
    [
        (0, "credit", "0 credits"),
        (1, "credit", "1 credit"),
        (2500, "credit", "2,500 credits"),
    ],
)
def test_one_is_no_plural(number: int, noun: str, written: str) -> None:
    assert counted(number, noun) == written
