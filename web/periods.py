"""The days of a page about usage, and the months of a statement. Both live in the address, in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

PERIODS: Mapping[str, str] = {"1": "Today", "7": "7 d", "30": "30 d", "90": "90 d"}
DEFAULT = "30"
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period:
    """From the day `since` to before the day `until`."""

    since: date
    until: date
    chosen: str = field(repr=False)
    """One of `PERIODS`. Empty: dates of its reader's."""
    fault: str = field(default="", repr=False)
    """Why the dates that were written do not count."""

    @property
    def last(self) -> date:
        return self.until - _DAY

    @property
    def days(self) -> list[date]:
        return [self.since + timedelta(days=number) for number in range((self.until - self.since).days)]

    @property
    def name(self) -> str:
        if self.chosen == "1":
            return "today"
        count = (self.until - self.since).days
        return f"{count} days" if count != 1 else day(self.since)

    @property
    def query(self) -> dict[str, str]:
        """As the API takes it."""
        return {"from": self.since.isoformat(), "to": self.until.isoformat()}


def period(query: Mapping[str, str], now: datetime, max_days: int) -> Period:
    """Read the period of an address: `days`, or `from` and `to`, both included. At most so many days."""
    since, last = query.get("from", ""), query.get("to", "")
    if not since and not last:
        chosen = query.get("days", DEFAULT)
        return _latest(chosen if chosen in PERIODS else DEFAULT, now.date())
    try:
        end = date.fromisoformat(last) if last else now.date()
        begin = date.fromisoformat(since) if since else max(end, date.min + _DAY * 30) - _DAY * 29
        own = Period(begin, end + _DAY, "")
    except (ValueError, OverflowError):
        return _latest(DEFAULT, now.date(), "A date is written like 2026-01-31.")
    if own.since >= own.until:
        return _latest(DEFAULT, now.date(), "The last day is before the first.")
    if (own.until - own.since).days > max_days:
        return _latest(DEFAULT, now.date(), f"That are more than {max_days} days.")
    return own


def _latest(chosen: str, today: date, fault: str = "") -> Period:
    return Period(today - timedelta(days=int(chosen) - 1), today + _DAY, chosen, fault)


@dataclass(frozen=True, slots=True)
class Month:
    first: date

    @property
    def name(self) -> str:
        return f"{self.first:%B %Y}"

    @property
    def id(self) -> str:
        return f"{self.first:%Y-%m}"

    @property
    def next(self) -> "Month":
        return Month((self.first + timedelta(days=31)).replace(day=1))

    @property
    def previous(self) -> "Month":
        return Month((self.first - _DAY).replace(day=1))

    @property
    def query(self) -> dict[str, str]:
        return {"from": self.first.isoformat(), "to": self.next.first.isoformat()}


def month(written: str, now: datetime) -> Month:
    """Read a month such as `2026-01`. What is none, or has not come, is the present one."""
    present = Month(now.date().replace(day=1))
    try:
        own = Month(date.fromisoformat(f"{written}-01"))
    except ValueError:
        return present
    return own if date(1970, 1, 1) < own.first <= present.first else present


def day(of: date) -> str:
    """Write a day, such as `8 Jun`."""
    return f"{of.day} {of:%b}"
