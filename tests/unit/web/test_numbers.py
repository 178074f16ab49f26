"""How pages write credits, dollars and times."""

from datetime import UTC, datetime, timedelta

import pytest

from web import numbers

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("amount", "credits", "owned", "spent"),
    [
        (0, "0", "$0.00", "$0.00"),
        (438, "438", "$0.00", "$0.01"),
        (2_481_904, "2,481,904", "$24.81", "$24.82"),
        (-438, "\N{MINUS SIGN}438", "$0.00", "\N{MINUS SIGN}$0.01"),
        (123_456_789_012_345, "123,456,789,012,345", "$1,234,567,890.12", "$1,234,567,890.13"),
    ],
)
def test_credits_and_dollars(amount: int, credits: str, owned: str, spent: str) -> None:
    assert numbers.credits(amount) == credits
    assert (numbers.dollars(amount), numbers.dollars(amount, up=True)) == (owned, spent)


@pytest.mark.parametrize(
    ("distance", "text"),
    [
        (timedelta(seconds=-3), "just now"),
        (timedelta(seconds=3), "in a moment"),
        (timedelta(minutes=-1), "1 minute ago"),
        (timedelta(hours=-23, minutes=-59), "23 hours ago"),
        (timedelta(days=61), "in 2 months"),
        (timedelta(minutes=1), "in 1 minute"),
        (timedelta(minutes=59, seconds=50), "in 60 minutes"),
        (timedelta(hours=23, minutes=59), "in 24 hours"),
        (timedelta(days=6, hours=23), "in 7 days"),
        (timedelta(days=29, hours=23), "in 30 days"),
        (timedelta(days=364), "in 12 months"),
        (timedelta(days=-800), "2 years ago"),
    ],
)
def test_times(distance: timedelta, text: str) -> None:
    written = (NOW + distance).isoformat()
    shown = numbers.time(written, NOW)
    assert f">{text}</time>" in shown
    assert f'datetime="{NOW + distance:%Y-%m-%dT%H:%M:%SZ}"' in shown


@pytest.mark.parametrize(
    ("lasting", "text"),
    [
        (timedelta(minutes=1), "1 minute"),
        (timedelta(hours=24), "24 hours"),
        (timedelta(days=7), "7 days"),
        (timedelta(days=45), "45 days"),
    ],
)
def test_how_long_something_lasts(lasting: timedelta, text: str) -> None:
    assert numbers.span(lasting) == text


@pytest.mark.parametrize(("written", "text"), [("100000", "100,000"), ("1234.50", "1,234.50"), ("0.5", "0.5")])
def test_a_number_that_may_have_a_fraction(written: str, text: str) -> None:
    assert numbers.decimal(written) == text


@pytest.mark.parametrize(("part", "whole", "text"), [(331, 1000, "33.10%"), (5, 0, "0.00%"), (9, 3, "100.00%")])
def test_shares_of_a_bar(part: int, whole: int, text: str) -> None:
    assert numbers.percent(part, whole) == text


def test_cells_of_a_table() -> None:
    assert numbers.cells([1200, 0]) == '<td class="end">1,200</td><td class="end"></td>'


def test_the_parts_of_a_bar_lie_side_by_side() -> None:
    drawn = numbers.rects([("spent", 1), ("near", 0), ("free", 3)], 4)
    spent, free = drawn.split("/><")
    assert spent == '<rect class="spent" x="0.00%" width="25.00%" height="100%"'
    assert free == 'rect class="free" x="25.00%" width="75.00%" height="100%"/>'
    assert numbers.rects([("spent", 0)], 0) == '<rect class="free" width="100%" height="100%"/>'


@pytest.mark.parametrize(
    ("written", "read"), [("20,000", 20_000), ("1 000_0", 10_000), ("", ""), ("-5", "-5"), ("\u00b2", "\u00b2")]
)
def test_a_whole_number_is_read_as_people_write_it(written: str, read: int | str) -> None:
    assert numbers.whole(written) == read


def test_a_number_of_thousands_of_digits_is_none() -> None:
    assert numbers.whole("9" * 5000) == "9" * 5000
