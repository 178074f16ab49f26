"""Bars of credits a day: what they are high, and where they stand."""

import re
from datetime import date, timedelta
from typing import Any

import pytest

from web.chart import chart, short

DAYS = [date(2026, 1, 1) + timedelta(days=number) for number in range(30)]


def part(credits: int, model: str | None = None) -> dict[str, Any]:
    return {"credits": credits, "model": model} if model else {"credits": credits, "others": True}


def bars(outlines: str) -> list[tuple[float, float, float]]:
    """Each with its left side, its top and its height."""
    bars = re.findall(r"M([\d.]+) ([\d.]+)h7\.8v([\d.]+)h-7\.8z", outlines)
    assert "".join(f"M{x} {y}h7.8v{height}h-7.8z" for x, y, height in bars) == outlines
    return [(float(x), float(y), float(height)) for x, y, height in bars]


def test_each_day_is_a_stack_as_high_as_its_credits() -> None:
    report = {
        "groups": [part(300, "a"), part(30, "b"), part(60)],
        "data": [
            {"day": "2026-01-02", "credits": 300, "parts": [part(240, "a"), part(60)]},
            {"day": "2026-01-30", "credits": 90, "parts": [part(60, "a"), part(30, "b")]},
        ],
    }
    drawn = chart(report, DAYS, ["A", "B", "All others"])
    assert drawn.width == 300
    first, second, others = (bars(outlines) for _, outlines in drawn.shapes)
    assert [number for number, _ in drawn.shapes] == [1, 2, 5]
    assert [[x for x, _, _ in one] for one in (first, second, others)] == [[11.1, 291.1], [291.1], [11.1]]
    assert drawn.marks == ["300", "200", "100", "0"]
    assert first[0][2] == pytest.approx(99.4 * 240 / 300 - 0.6, abs=0.01)
    assert others[0][1] == pytest.approx(0.6, abs=0.01)
    assert (drawn.days[0], drawn.days[-1], len(drawn.days)) == ("1 Jan", "30 Jan", 5)
    assert [(row.day.day, row.credits, row.total) for row in drawn.rows] == [
        (2, [240, 0, 60], 300),
        (30, [60, 30, 0], 90),
    ]
    assert [(one.number, one.name, one.credits) for one in drawn.series] == [
        (1, "A", 300),
        (2, "B", 30),
        (5, "All others", 60),
    ]


@pytest.mark.parametrize("most", [0, 1, 3, 4, 30, 301, 999, 10**15])
def test_the_highest_day_fits(most: int) -> None:
    report = {"groups": [part(most, "a")], "data": [{"day": "2026-01-01", "credits": most, "parts": [part(most, "a")]}]}
    drawn = chart(report, DAYS[:1], ["A"])
    drawn_bars = [bar for _, outlines in drawn.shapes for bar in bars(outlines)]
    assert all(y >= 0 for _, y, _ in drawn_bars)
    assert len(drawn_bars) == (most > 0)
    assert drawn.days == ["1 Jan"]


def test_nothing_to_draw() -> None:
    drawn = chart({"groups": [], "data": []}, DAYS, [])
    assert (drawn.shapes, drawn.rows, drawn.series) == ([], [], [])


def test_short_amounts() -> None:
    assert [short(amount) for amount in (0, 999, 1000, 1500, 16_000, 2_000_000, 3 * 10**9)] == [
        *("0", "999", "1k", "1.5k", "16k", "2M", "3G")
    ]
