"""How pages write numbers and times. Dollars are rounded down where they are owned, and up where they are spent."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from markupsafe import Markup, escape

CREDITS_PER_DOLLAR = 100_000
"""At the provider's list price."""
MAX_DIGITS = 30
"""Of a number that somebody writes. More than any field takes."""
_CENT = Decimal("0.01")
_MINUS = "\N{MINUS SIGN}"
_UNITS = ((31_536_000, "year"), (2_592_000, "month"), (86_400, "day"), (3_600, "hour"), (60, "minute"))


def credits(amount: int) -> str:
    """Write whole credits, such as `2,481,904`. Less than nothing has the sign of typography."""
    return f"{amount:,}".replace("-", _MINUS)


def cells(amounts: Iterable[int]) -> Markup:
    """Write cells of a table with credits. Nothing is an empty one."""
    written = "".join(f'<td class="end">{credits(amount) if amount else ""}</td>' for amount in amounts)
    return Markup(written)  # noqa: S704  # numbers


def dollars(amount: int, *, up: bool = False) -> str:
    """Write what credits are worth at list price, such as `$24.81`."""
    value = (Decimal(abs(amount)) / CREDITS_PER_DOLLAR).quantize(_CENT, ROUND_CEILING if up else ROUND_FLOOR)
    return f"{_MINUS if amount < 0 and value else ''}${value:,}"


def whole(text: str) -> int | str:
    """Read a number as people write it, such as `20,000`. What is none goes on as it is: the API says so."""
    digits = text.replace(",", "").replace(" ", "").replace("_", "")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS else text


def moment(written: str) -> datetime:
    """Read a time of the API."""
    return datetime.fromisoformat(written).astimezone(UTC)


def relative(when: datetime, now: datetime) -> str:
    """Write the distance to a time, such as `2 minutes ago` and `in 45 days`.

    What is ahead is rounded to the nearest, in the largest unit of which there are two: of a month all of its days.
    """
    seconds = (when - now).total_seconds()
    ahead = seconds > 0
    for size, unit in _UNITS:
        if abs(seconds) < size * (2 if ahead and unit != "minute" else 1):
            continue
        count = int(abs(seconds) / size + (0.5 if ahead else 0))
        text = f"{count} {unit}{'' if count == 1 else 's'}"
        return f"in {text}" if ahead else f"{text} ago"
    return "in a moment" if ahead else "just now"


def decimal(written: str) -> str:
    """Write a number of the API, which may have a fraction, with commas."""
    return f"{Decimal(written):,f}"


def span(lasting: timedelta) -> str:
    """Write how long something lasts, in the largest unit of which there are two: `24 hours`, `7 days`."""
    seconds = lasting.total_seconds()
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= 2 * size), _UNITS[-1])
    count = int(seconds // size)
    return f"{count} {unit}{'' if count == 1 else 's'}"


def time(written: str, now: datetime) -> Markup:
    """Return a `<time>` that reads relatively, and goes on to be true, with UTC to the second beside it."""
    when = moment(written)
    at = when.replace(microsecond=0, tzinfo=None)
    return Markup(  # noqa: S704  # digits, and words of our own
        f'<yout-time><time datetime="{at.isoformat()}Z" title="{at} UTC">{relative(when, now)}</time></yout-time>'
    )


def stamp(written: str) -> Markup:
    """Return a `<time>` that reads exactly, such as `8 Jun, 09:41:07`, in UTC."""
    when = moment(written)
    at = when.replace(microsecond=0, tzinfo=None)
    return Markup(  # noqa: S704  # digits, and a month's name
        f'<time datetime="{at.isoformat()}Z">{at.day} {at:%b, %H:%M:%S}</time>'
    )


def utc(written: str) -> str:
    """Write a time in UTC to the second, such as `30 June 2026, 09:52:14`."""
    when = moment(written)
    return f"{when.day} {when:%B %Y, %H:%M:%S}"


def percent(part: float, whole: float) -> str:
    """Write a share of a bar's width, such as `33.10%`, from nothing to all of it."""
    return f"{100 * min(max(part / whole, 0), 1) if whole > 0 else 0:.2f}%"


def rects(parts: Iterable[tuple[str, float]], whole: float) -> Markup:
    """Draw a bar's parts: pairs of a class and an amount, from the left. A bar of nothing is free."""
    left, drawn = 0.0, []
    for kind, amount in parts:
        if amount > 0:
            place = f'x="{percent(left, whole)}" width="{percent(amount, whole)}"'
            drawn.append(f'<rect class="{escape(kind)}" {place} height="100%"/>')
            left += amount
    if whole <= 0:
        drawn.append('<rect class="free" width="100%" height="100%"/>')
    return Markup("".join(drawn))  # noqa: S704  # numbers, and an escaped class
