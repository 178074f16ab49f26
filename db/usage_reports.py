"""Sums up what an account has used, by day, model and key: from its roll-up, never from single rows.

Calls that a purge erases are left out from when it begins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import func, text
from sqlalchemy import select as sql_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.tables import AccountRow, UsageDayRow

_NO_KEY = UUID(int=0)
_SUMS = ("calls", "input_tokens", "output_tokens", "credits")


class Grouping(StrEnum):
    DAY = "day"
    MODEL = "model"
    KEY = "key"


_GROUPINGS = tuple(Grouping)


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


@dataclass(frozen=True, slots=True)
class Split:
    """What was used by each grouping, and the days by what the models or keys have used that cost most."""

    used: Mapping[Grouping, Sequence[Used]]
    named: Sequence[Used]
    """Those that cost most, by the grouping that splits days."""
    parts: Sequence[UsedOfDay]
    returned: Returned
    key_names: Mapping[UUID, str] = field(repr=False)


_PLACES = {0b011: 0, 0b101: 1, 0b110: 2}
"""The place of the grouping in `Grouping`: a bit is set for a column that is not grouped by."""
_PART, _RETURNED = -1, -2
# One statement: all is of one moment, and the days are read once. The sums of what was returned have a partial index.
_SPLIT = """
WITH used AS (
    SELECT day, model, key_id, calls, input_tokens, output_tokens, credits FROM usage_days
    WHERE account_id = :account_id AND day >= :since AND day < :until
      AND epoch >= (SELECT epoch FROM accounts WHERE id = :account_id)
), summed AS (
    SELECT grouping(day, model, key_id) AS grouped, day, model, key_id, {sums}
    FROM used GROUP BY GROUPING SETS (day, model, key_id)
), named AS (
    SELECT {by}, row_number() OVER (ORDER BY credits DESC, {by}) - 1 AS place
    FROM summed WHERE grouped = {grouped} ORDER BY credits DESC, {by} LIMIT :top
)
SELECT grouped, day, model, key_id, CAST(NULL AS bigint) AS place,
       (SELECT name FROM api_keys k WHERE k.account_id = :account_id AND k.id = key_id),
       calls, input_tokens, output_tokens, credits
FROM summed
UNION ALL
SELECT {part}, day, NULL, NULL, coalesce(place, (SELECT count(*) FROM named)), NULL, {sums}
FROM used LEFT JOIN named USING ({by}) GROUP BY day, place
UNION ALL
SELECT {returned}, NULL, NULL, NULL, NULL, NULL, count(*) FILTER (WHERE h.state = 'void' AND h.amount > 0), 0, 0,
       CAST(coalesce(sum(greatest(h.amount - h.charged, 0)), 0) AS bigint)
FROM holds h JOIN accounts a ON a.id = h.account_id AND h.epoch >= a.epoch
WHERE h.account_id = :account_id AND h.state IN ('settled', 'void')
  AND h.closed_at >= CAST(:since AS timestamp) AT TIME ZONE 'UTC'
  AND h.closed_at < CAST(:until AS timestamp) AT TIME ZONE 'UTC'
ORDER BY grouped, day, model, key_id, place
"""
_SUMMED = ", ".join(f"CAST(sum({name}) AS bigint) AS {name}" for name in _SUMS)
_SPLITS = {
    by: text(_SPLIT.format(by=column, grouped=grouped, sums=_SUMMED, part=_PART, returned=_RETURNED))
    for by, column, grouped in ((Grouping.MODEL, "model", 0b101), (Grouping.KEY, "key_id", 0b110))
}


async def usage(session: AsyncSession, account_id: UUID, grouping: Grouping, days: tuple[date, date]) -> list[Used]:
    """Sum usage over the days from the first to the day before the second. A call counts on the UTC day of its end."""
    group = _column(grouping)
    query: Any = _summed(account_id, days, group.label("group")).group_by(group).order_by(group)
    rows: Sequence[Any] = (await session.exec(query)).all()
    return [_used(row[0], row[1:]) for row in rows]


async def split(session: AsyncSession, account_id: UUID, by: Grouping, days: tuple[date, date], top: int) -> Split:
    """Sum usage over the days by each grouping, and each day by the `top` that have cost most: all of one moment."""
    values = {"account_id": account_id, "since": days[0], "until": days[1], "top": top}
    rows: Sequence[Any] = (await (await session.connection()).execute(_SPLITS[by], values)).all()
    used: dict[Grouping, list[Used]] = {grouping: [] for grouping in Grouping}
    names: dict[UUID, str] = {}
    for row in rows:
        if (place := _PLACES.get(row[0])) is not None:
            used[_GROUPINGS[place]].append(_used(row[1 + place], row[6:]))
            if row[5] is not None:
                names[row[3]] = row[5]
    named = sorted(used[by], key=lambda one: -one.credits)[:top]
    groups = [*(one.group for one in named), None]
    parts = [UsedOfDay(row[1], row[4], _used(groups[row[4]], row[6:])) for row in rows if row[0] == _PART]
    ((calls, credits),) = ((row[6], row[9]) for row in rows if row[0] == _RETURNED)
    return Split(used, named, parts, Returned(credits, calls), names)


def _used(group: Any, sums: Sequence[Any]) -> Used:
    calls, input_tokens, output_tokens, credits = sums
    return Used(None if group == _NO_KEY else group, int(calls), int(input_tokens), int(output_tokens), int(credits))


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
