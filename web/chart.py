"""Credits a day as stacked bars. All positions are attributes of the drawing, so that no style is needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from web.periods import day

SLOT = 10
"""The width of a day."""
MAX_SERIES = 4
"""Named ones. All others together are the last."""
_BAR, _GAP, _HEIGHT = 7.8, 0.6, 99.4
_ACROSS, _BACK = f"h{_BAR}v", f"h-{_BAR}z"
_MIN_SLOTS = 7
_STEPS = 3
_LABELS = 5
_THOUSAND, _MILLION = 1000, 1_000_000


@dataclass(frozen=True, slots=True)
class Series:
    number: int
    name: str = field(repr=False)
    credits: int


@dataclass(frozen=True, slots=True)
class Row:
    """A day in the table that has the same numbers."""

    day: date
    credits: Sequence[int]
    """By series."""
    total: int


@dataclass(frozen=True, slots=True)
class Chart:
    width: int
    shapes: Sequence[tuple[int, str]] = field(repr=False)
    """The number of each series, and the outlines of its bars: data of one SVG path."""
    marks: Sequence[str] = field(repr=False)
    """Amounts beside the lines, from the top."""
    days: Sequence[str] = field(repr=False)
    series: Sequence[Series]
    rows: Sequence[Row]


def chart(report: Mapping[str, Any], days: Sequence[date], names: Sequence[str]) -> Chart:
    """Draw a report whose days are split. `names` are those of its groups, in their order."""
    groups = report["groups"]
    series = [
        Series(MAX_SERIES + 1 if group.get("others") else place, name, group["credits"])
        for place, (group, name) in enumerate(zip(groups, names, strict=True), 1)
    ]
    places = {_identity(group): one.number for group, one in zip(groups, series, strict=True)}
    stacks: dict[date, Mapping[int, int]] = {}
    rows = []
    for one in report["data"]:
        at, parts = date.fromisoformat(one["day"]), {places[_identity(part)]: part["credits"] for part in one["parts"]}
        stacks[at] = parts
        rows.append(Row(at, [parts.get(each.number, 0) for each in series], one["credits"]))
    step = _step(max((row.total for row in rows), default=0))
    shapes: dict[int, list[str]] = {}
    for place, at in enumerate(days):
        _stack(shapes, place * SLOT + (SLOT - _BAR) / 2, stacks.get(at, {}), step * _STEPS)
    marks = [short(step * number) for number in range(_STEPS, -1, -1)]
    drawn = [(number, "".join(shapes[number])) for number in sorted(shapes)]
    return Chart(max(len(days), _MIN_SLOTS) * SLOT, drawn, marks, _labels(days), series, rows)


def _identity(group: Mapping[str, Any]) -> object:
    return group.get("others") or group.get("model") or group.get("key_id")


def _stack(shapes: dict[int, list[str]], x: float, parts: Mapping[int, int], whole: int) -> None:
    """Add the bars of a day to the outlines of their series."""
    top, left = _HEIGHT, f"M{x:.1f} "
    for series, amount in sorted(parts.items()):
        height = _HEIGHT * amount / whole
        shown = height - _GAP if height > 2 * _GAP else height
        if amount:
            shapes.setdefault(series, []).append(f"{left}{top - shown:.2f}{_ACROSS}{shown:.2f}{_BACK}")
        top -= height


def _step(highest: int) -> int:
    """Return the distance of two lines: a round number, so that the highest day fits under the last."""
    power = 1
    while True:
        for tenths in (10, 15, 20, 25, 30, 40, 50, 60, 80):
            step, rest = divmod(tenths * power, 10)
            if not rest and step * _STEPS >= highest:
                return step
        power *= 10


def _labels(days: Sequence[date]) -> list[str]:
    """Name some of the days, evenly: the first and the last are among them."""
    count = min(_LABELS, len(days))
    if count < 2:  # one has no distance
        return [day(one) for one in days]
    return [day(days[round(number * (len(days) - 1) / (count - 1))]) for number in range(count)]


def short(amount: int) -> str:
    """Write an amount beside a line, such as `16k`."""
    for size, letter in ((_MILLION * _THOUSAND, "G"), (_MILLION, "M"), (_THOUSAND, "k")):
        if amount >= size:
            return f"{amount / size:,.1f}".removesuffix(".0") + letter
    return str(amount)
