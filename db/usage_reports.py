"""Sums up what an account has used, by day, model and key: from its roll-up, never from single rows.

Calls that a purge erases are left out from when it begins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func
from sqlalchemy import select as sql_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.engine import Reader
from db.tables import AccountRow, UsageDayRow

_NO_KEY = UUID(int=0)
_SUMS = ("calls", "input_tokens", "output_tokens", "credits")


class Grouping(StrEnum):
    DAY = "day"
    MODEL = "model"
    KEY = "key"


class Used(NamedTuple):
    """Sums. A tuple, as a report of 90 days has hundreds of them."""

    group: Any
    """A day, a model's name, or a key's id (None for calls without a key)."""
    calls: int
    input_tokens: int
    output_tokens: int
    credits: int


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
    parts: Mapping[date, Sequence[tuple[int, Sequence[int]]]]
    """Of each day that has any: the place among those that were named, or after them for all others; and its sums."""
    returned: Returned
    key_names: Mapping[UUID, str] = field(repr=False)


def _column(grouping: Grouping) -> Any:
    columns = {Grouping.DAY: UsageDayRow.day, Grouping.MODEL: UsageDayRow.model, Grouping.KEY: UsageDayRow.key_id}
    return col(columns[grouping])


_PART, _RETURNED = "part", "returned"
# One statement: all is of one moment, and the days are read once. The sums of what was returned have a partial index.
_SPLIT = """
WITH used AS (
    SELECT day, model, key_id, calls, input_tokens, output_tokens, credits FROM usage_days
    WHERE account_id = %(account_id)s AND day >= %(since)s AND day < %(until)s
      AND epoch >= (SELECT epoch FROM accounts WHERE id = %(account_id)s)
), pairs AS (
    SELECT model, key_id, {sums} FROM used GROUP BY model, key_id
), summed AS (
    SELECT CASE WHEN grouping(model) = 0 THEN 'model' ELSE 'key' END AS kind, model, key_id, {sums}
    FROM pairs GROUP BY GROUPING SETS (model, key_id)
), named AS (
    SELECT {by}, row_number() OVER (ORDER BY credits DESC, {by}) - 1 AS place
    FROM summed WHERE kind = '{kind}' ORDER BY credits DESC, {by} LIMIT %(top)s
)
SELECT kind, CAST(NULL AS date) AS day, model, key_id,
       (SELECT name FROM api_keys k WHERE k.account_id = %(account_id)s AND k.id = key_id) AS key_name,
       CAST(NULL AS bigint) AS place, calls, input_tokens, output_tokens, credits
FROM summed
UNION ALL
SELECT '{part}', day, NULL, NULL, NULL, coalesce(place, (SELECT count(*) FROM named)), {sums}
FROM used LEFT JOIN named USING ({by}) GROUP BY day, place
UNION ALL
SELECT '{returned}', NULL, NULL, NULL, NULL, NULL, count(*) FILTER (WHERE h.state = 'void' AND h.amount > 0), 0, 0,
       CAST(coalesce(sum(greatest(h.amount - h.charged, 0)), 0) AS bigint)
FROM holds h JOIN accounts a ON a.id = h.account_id AND h.epoch >= a.epoch
WHERE h.account_id = %(account_id)s AND h.state IN ('settled', 'void')
  AND h.closed_at >= CAST(%(since)s AS timestamp) AT TIME ZONE 'UTC'
  AND h.closed_at < CAST(%(until)s AS timestamp) AT TIME ZONE 'UTC'
ORDER BY kind, day, model, key_id, place
"""
_SUMMED = ", ".join(f"CAST(sum({name}) AS bigint) AS {name}" for name in _SUMS)
_SPLITS = {
    by: _SPLIT.format(by=_column(by).name, kind=by, sums=_SUMMED, part=_PART, returned=_RETURNED)
    for by in (Grouping.MODEL, Grouping.KEY)
}


async def usage(session: AsyncSession, account_id: UUID, grouping: Grouping, days: tuple[date, date]) -> list[Used]:
    """Sum usage over the days from the first to the day before the second. A call counts on the UTC day of its end."""
    group = _column(grouping)
    query: Any = _summed(account_id, days, group.label("group")).group_by(group).order_by(group)
    rows: Sequence[Any] = (await session.exec(query)).all()
    return [_used(row[0], row[1:]) for row in rows]


async def split(reader: Reader, account_id: UUID, by: Grouping, days: tuple[date, date], top: int) -> Split:
    """Sum usage over the days by each grouping, and each day by the `top` that have cost most: all of one moment."""
    values = {"account_id": account_id, "since": days[0], "until": days[1], "top": top}
    models: list[Used] = []
    keys: list[Used] = []
    parts: dict[date, list[tuple[int, Sequence[int]]]] = {}
    names: dict[UUID, str] = {}
    returned = Returned(0, 0)
    for kind, day, model, key_id, key_name, place, *sums in await reader.rows(_SPLITS[by], values):
        if kind == _PART:
            parts.setdefault(day, []).append((place, sums))
        elif kind == Grouping.MODEL:
            models.append(Used(model, *sums))
        elif kind == Grouping.KEY:
            keys.append(Used(None if key_id == _NO_KEY else key_id, *sums))
            names |= {key_id: key_name} if key_name is not None else {}
        else:
            returned = Returned(credits=sums[-1], calls=sums[0])
    named = sorted(models if by is Grouping.MODEL else keys, key=lambda one: -one.credits)[:top]
    sums_of = {day: map(sum, zip(*(sums for _, sums in several), strict=True)) for day, several in parts.items()}
    by_day = [Used(day, *sums) for day, sums in sums_of.items()]
    return Split({Grouping.DAY: by_day, Grouping.MODEL: models, Grouping.KEY: keys}, named, parts, returned, names)


def _used(group: Any, sums: Sequence[Any]) -> Used:
    calls, input_tokens, output_tokens, credits = sums
    return Used(None if group == _NO_KEY else group, int(calls), int(input_tokens), int(output_tokens), int(credits))


def _summed(account_id: UUID, days: tuple[date, date], *groups: Any) -> Any:
    """Select sums of an account's days, by the primary key, which begins with both."""
    sums = [func.sum(getattr(UsageDayRow, name)).label(name) for name in _SUMS]
    epoch = select(AccountRow.epoch).where(AccountRow.id == account_id).scalar_subquery()
    return (
        sql_select(*groups, *sums)
        .where(col(UsageDayRow.account_id) == account_id, col(UsageDayRow.epoch) >= epoch)
        .where(col(UsageDayRow.day) >= days[0], col(UsageDayRow.day) < days[1])
    )
