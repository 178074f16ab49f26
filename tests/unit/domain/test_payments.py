"""Amounts of payments, as people read them."""

import pytest

from domain.payments import amount_text


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1000, "usd", "10.00 usd"),
        (123_456_789, "eur", "1,234,567.89 eur"),
        (5, "jpy", "5 jpy"),
        (1234, "kwd", "1.234 kwd"),
        (500, "ugx", "5.00 ugx"),
        (0, "usd", "0.00 usd"),
    ],
)
def test_an_amount_is_told_in_whole_units(amount: int, currency: str, text: str) -> None:
    assert amount_text(amount, currency) == text
