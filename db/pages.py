"""Pages, periods and spans of an account's movements, which are ordered by position."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Page:
    limit: int
    after: int | None = None
    """The position of the last entry of the page before."""


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` (included) to `until` (excluded). None means that the side is open."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """The movements from position `first` to position `last`, both included."""

    first: int
    last: int
