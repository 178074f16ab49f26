"""One page of a list that is ordered by time."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

Place = tuple[datetime, UUID]
"""Where an entry stands in its list; ids decide between equal times."""


@dataclass(frozen=True, slots=True)
class Page:
    limit: int
    after: Place | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` on, up to and without `until`. None: open on that side."""

    since: datetime | None = None
    until: datetime | None = None
