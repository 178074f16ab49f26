"""How long what is kept for a time is kept. Money is not in here: `transactions` and `lines` are kept for ever."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

MIN_RETENTION = timedelta(days=2)
"""Longer than any lease, job, retry or clock difference: nobody asks any more for a call that is forgotten."""
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True, slots=True)
class Retention:
    """None: for ever."""

    holds: timedelta | None = None
    """Closed holds, and the media jobs that they paid for."""
    usage: timedelta | None = None
    """Single rows; what is rolled up by day stays."""
    audits: timedelta | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            age = getattr(self, field.name)
            if age is not None and age < MIN_RETENTION:
                raise ValueError(f"{field.name} are to be kept for at least {MIN_RETENTION.days} days, or for ever (0)")

    def outlasts(self, remembered: timedelta) -> bool:
        """Whether a hold is there for as long as an `Idempotency-Key` may name it."""
        return self.holds is None or self.holds >= remembered + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long this server keeps what accounts may see the rule of. None: for ever."""

    outputs: timedelta
    uploads: timedelta
    replays: timedelta
    webhooks: timedelta | None
    jobs: timedelta | None
    usage: timedelta | None

    def words(self) -> dict[str, str]:
        """Write each as people say it, such as `24 hours` and `7 days`."""
        return {one.name: span(getattr(self, one.name)) for one in fields(self)}


def span(time: timedelta | None) -> str:
    """Write a time in its largest whole unit; a single day as hours."""
    if time is None:
        return "for ever"
    seconds = int(time.total_seconds())
    for size, unit in _UNITS:
        if seconds % size == 0 and (unit != "day" or seconds > size):
            return f"{seconds // size:,} {unit}{'' if seconds == size else 's'}"
    raise AssertionError("a second divides every time")


def horizon(now: datetime, retention: timedelta) -> datetime:
    """The UTC midnight before which ended calls are deleted. A day is deleted as a whole, as it is rolled up."""
    return (now - retention).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
