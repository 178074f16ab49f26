"""One page of a list of an account's movements, in the order of their positions."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Page:
    limit: int
    after: int | None = None
    """The position of the last entry of the page before."""


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` on, up to and without `until`. None: open on that side."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Movements from the position `first` up to `last`, both included."""

    first: int
    last: int
