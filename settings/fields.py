"""What settings' values are, as the environment writes them."""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator


def _span(value: object, unit: timedelta) -> object:
    """Read a number of units. Its error does not repeat the value."""
    if not isinstance(value, str | int | float):
        return value
    try:
        return float(value) * unit
    except (ValueError, OverflowError):
        raise ValueError("must be a number") from None


_SECOND, _DAY = timedelta(seconds=1), timedelta(days=1)
Seconds = Annotated[timedelta, BeforeValidator(lambda value: _span(value, _SECOND))]
Days = Annotated[timedelta | None, BeforeValidator(lambda value: _span(value, _DAY) or None)]
"""0 days: for ever."""
Lifetime = Annotated[timedelta | None, BeforeValidator(lambda value: _span(value, _SECOND) or None)]
"""0 seconds: for ever."""


def absent(value: object) -> object:
    return None if value == "" else value


def listed(value: str) -> list[str]:
    """Read what has commas between its items."""
    return [item.strip() for item in value.split(",") if item.strip()]


def networks(value: str) -> list[IPv4Network | IPv6Network]:
    """Read networks, or single addresses, with commas between them. Raises ValueError."""
    return [ip_network(item) for item in listed(value)]


def split_url(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is no number
    except ValueError:
        return None
    return parts
