"""Sums up what an account has used, by day, model and key: from its roll-up, never from single rows.

Calls that a purge erases are left out from when it begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, text
from sqlalchemy import select as sql_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.tables import AccountRow, UsageDayRow

_NO_KEY = UUID(int=0)
_SUMS = ("calls", "input_tokens", "output_tokens", "credits")
# A partial index has all that is read here.
_RETURNED = """
SELECT coalesce(sum(greatest(h.amount - h.charged, 0)), 0), count(*) FILTER (WHERE h.state = 'void' AND h.amount > 0)
FROM holds h JOIN accounts a ON a.id = h.account_id AND h.epoch >= a.epoch
WHERE h.account_id = :account_id AND h.state IN ('settled', 'void')
  AND h.closed_at >= CAST(:since AS timestamp) AT TIME ZONE 'UTC'
  AND h.closed_at < CAST(:until AS timestamp) AT TIME ZONE 'UTC'
"""


class Grouping(StrEnum):
    DAY = "day"
    MODEL = "model"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Used:
    group: Any
    """A day, a model's name, or a key's id (None for calls without a key)."""
    calls: int
    input_tokens: int
    output_tokens: int
    credits: int


@dataclass(frozen=True, slots=True)
class UsedOfDay:
    """What a model or key has used on a day, or all those together that have no place of their own."""

    day: date
    place: int
    """Among the groups that were named, from 0; after the last: all others."""
    used: Used


@dataclass(frozen=True, slots=True)
class Returned:
    credits: int
    """Held by what ended in the period, and not charged."""
    calls: int
    """Those that were released whole: nothing was charged for them."""


async def usage(session: AsyncSession, account_id: UUID, grouping: Grouping, days: tuple[date, date]) -> list[Used]:
    """Sum usage over the days from the first to the day before the second. A call counts on the UTC day of its end."""
    group = _column(grouping)
    query: Any = _summed(account_id, days, group.label("group")).group_by(group).order_by(group)
    rows: Sequence[Any] = (await session.exec(query)).all()
    return [_used(row[0], row[1:]) for row in rows]


async def usage_by_all(session: AsyncSession, account_id: UUID, days: tuple[date, date]) -> dict[Grouping, list[Used]]:
    """Sum usage over the days as `usage` does, by each grouping, in one reading of the roll-up."""
    columns = [_column(grouping) for grouping in Grouping]
    sets = func.grouping_sets(*columns)
    query: Any = _summed(account_id, days, func.grouping(*columns), *columns).group_by(sets).order_by(*columns)
    usages: dict[Grouping, list[Used]] = {grouping: [] for grouping in Grouping}
    places = {0b011: 0, 0b101: 1, 0b110: 2}  # a bit is set for a column that is not grouped by
    for row in (await session.exec(query)).all():
        place = places[row[0]]
        usages[list(Grouping)[place]].append(_used(row[1 + place], row[4:]))
    return usages


async def usage_of_days(
    session: AsyncSession, account_id: UUID, grouping: Grouping, days: tuple[date, date], named: Sequence[Any]
) -> list[UsedOfDay]:
    """Sum usage of each day by the models or keys that are `named`, and by all others together, in this order."""
    places = {_NO_KEY if group is None else group: place for place, group in enumerate(named)}
    if not places:
        return []
    place = case(places, value=_column(grouping), else_=len(named)).label("place")
    query: Any = (
        _summed(account_id, days, col(UsageDayRow.day), place).group_by("day", "place").order_by("day", "place")
    )
    rows: Sequence[Any] = (await session.exec(query)).all()
    groups = [*named, None]
    return [UsedOfDay(row[0], row[1], _used(groups[row[1]], row[2:])) for row in rows]


async def returned(session: AsyncSession, account_id: UUID, days: tuple[date, date]) -> Returned:
    """Sum up what came back from the calls and jobs that ended on these UTC days, as far as their details are kept."""
    values = {"account_id": account_id, "since": days[0], "until": days[1]}
    row = (await (await session.connection()).execute(text(_RETURNED), values)).one()
    return Returned(int(row[0]), int(row[1]))


def _used(group: Any, sums: Sequence[Any]) -> Used:
    return Used(None if group == _NO_KEY else group, *(int(total) for total in sums))


def _column(grouping: Grouping) -> Any:
    columns = {Grouping.DAY: UsageDayRow.day, Grouping.MODEL: UsageDayRow.model, Grouping.KEY: UsageDayRow.key_id}
    return col(columns[grouping])


def _summed(account_id: UUID, days: tuple[date, date], *groups: Any) -> Any:
    """Select sums of an account's days, by the primary key, which begins with both."""
    sums = [func.sum(getattr(UsageDayRow, name)).label(name) for name in _SUMS]
    epoch = select(AccountRow.epoch).where(AccountRow.id == account_id).scalar_subquery()
    return (
        sql_select(*groups, *sums)
        .where(col(UsageDayRow.account_id) == account_id, col(UsageDayRow.epoch) >= epoch)
        .where(col(UsageDayRow.day) >= days[0], col(UsageDayRow.day) < days[1])
    )
