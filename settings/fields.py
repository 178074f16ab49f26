"""Types of settings' values, as the environment writes them."""

from datetime import timedelta
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import BeforeValidator

Seconds = Annotated[
    timedelta,
    BeforeValidator(lambda v: timedelta(seconds=float(v)) if isinstance(v, str | int | float) else v),
]
Days = Annotated[
    timedelta | None,
    BeforeValidator(lambda v: (timedelta(days=float(v)) or None) if isinstance(v, str | int | float) else v),
]
"""0 days: for ever."""
Lifetime = Annotated[
    timedelta | None,
    BeforeValidator(lambda v: (timedelta(seconds=float(v)) or None) if isinstance(v, str | int | float) else v),
]
"""0 seconds: for ever."""


def absent(value: object) -> object:
    return None if value == "" else value


def split_url(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is no number
    except ValueError:
        return None
    return parts
