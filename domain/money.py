"""Whole credits, and the one place where a fraction becomes one."""

from decimal import Decimal

MINIMUM_CHARGE = 10
"""Every successful call costs at least this, to cover overhead."""
MAX_AMOUNT = 2**62
"""No balance, hold or charge goes above this; a signed 64-bit column holds any sum of two."""
MICRO = 1_000_000
PRICE_PLACES = 6
COST_PLACES = 9
"""Of what a provider bills for a call: a price has six, and is for 1,000 tokens."""


def micros(price: Decimal) -> int:
    """A price in credits as whole millionths of a credit. Exact: prices have at most six decimal places."""
    scaled = price * MICRO
    whole = int(scaled)
    if whole != scaled:
        raise ValueError(f"a price has at most {PRICE_PLACES} decimal places, not {price}")
    return whole


def plain(scaled: int, places: int) -> str:
    """`scaled` x 10^-`places` as a decimal number, every digit of it: `plain(612500, 3)` is 612.5."""
    whole, rest = divmod(scaled, 10**places)
    return f"{whole}.{rest:0{places}d}".rstrip("0").rstrip(".")


def round_up(numerator: int, denominator: int) -> int:
    """The one rounding of money: up, to a whole credit."""
    return -(-numerator // denominator)
