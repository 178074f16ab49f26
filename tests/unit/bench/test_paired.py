"""Two sides in turns: who is measured when, what is compared, and what cannot be."""

from collections.abc import Sequence

import pytest

from bench import paired
from bench.measure import Measure, Server
from bench.paired import CALL, CALL_API, Comparison, Figure, Kind, Side, Values
from dev.errors import CannotStart


def side(name: str, errors: int = 0) -> Side:
    measure = Measure(Server(name, 1, "", "", 1), 1.0, print, errors=errors)
    return Side(name, measure, 1.0)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sides in the order in which they were measured; the base costs 100, the other 10 less each time."""
    order: list[str] = []

    async def measure(one: Side) -> Values:
        order.append(one.name)
        return {CALL: 100.0 if one.name == "base" else 100.0 - 10 * order.count("new"), CALL_API: 1.0}

    monkeypatch.setattr(paired, "_MEASUREMENTS", {Kind.CALLS: measure})
    return order


async def test_the_sides_take_turns_and_neither_always_comes_first(measured: list[str]) -> None:
    call, api = await paired.in_turns([side("base"), side("new")], [Kind.CALLS], 3)
    assert measured == ["base", "new", "new", "base", "base", "new"]
    assert call.ratios == pytest.approx([0.9, 0.8, 0.7])
    assert (call.figure, api.figure) == (CALL, CALL_API)


@pytest.mark.usefixtures("measured")
async def test_a_side_with_failed_calls_is_not_measured() -> None:
    with pytest.raises(CannotStart, match="new: 3 calls failed"):
        await paired.in_turns([side("base"), side("new", errors=3)], [Kind.CALLS], 1)


@pytest.mark.parametrize(
    ("new", "wanted", "verdict"),
    [([60, 70, 50], 0.6, "met"), ([61, 70, 50], 0.6, "missed"), ([61, 70, 50], None, "")],
)
def test_the_median_ratio_decides(new: Sequence[float], wanted: float | None, verdict: str) -> None:
    comparison = Comparison(Figure(Kind.CALLS, "calls", wanted=wanted), [100, 100, 100], list(new))
    assert comparison.verdict == comparison.as_dict()["verdict"] == verdict


def test_every_measurement_has_targets_that_the_table_shows() -> None:
    figures = [paired.CALL, paired.ALONE, paired.CHUNK, paired.FIRST_CPU, paired.FIRST_TIME]
    assert {figure.kind for figure in figures} == set(Kind)
    drawn = paired.table("abc", [Comparison(figure, [2.0, 4.0], [1.0, 1.0]) for figure in figures])
    shown = {str(column.header): list(column.cells) for column in drawn.columns}
    assert shown["wanted"] == ["at most 65%", "at most 60%", "at most 45%", "at most 70%", "at most 70%"]
    assert (shown["ratio"][0], shown["least"][0], shown["most"][0]) == ("38%", "25%", "50%")
