"""`GET /api/billing/usage/`: what an account has used, by day, model or key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.responses import Response

from api.body import StrictRoute
from api.deps import CurrentResources, MaySeeBilling
from api.wire.base import JSON
from db import billing, usage_reports
from db.usage_reports import Grouping, Split, Used
from domain.catalog import Catalog
from domain.errors import RequestInvalid

router = APIRouter(prefix="/api/billing", tags=["billing"], route_class=StrictRoute)

USAGE_SPAN = timedelta(days=30)
MAX_SPLIT_DAYS = timedelta(days=100)
"""Of a report by day and model or key."""
MAX_SPLIT_GROUPS = 20
_OTHERS = {"others": True}


class UsageQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    group_by: Grouping = Grouping.DAY
    split_by: Annotated[
        Literal[Grouping.MODEL, Grouping.KEY] | None,
        Field(description="Splits each day into the models or keys that cost most in the period, and all others."),
    ] = None
    top: Annotated[int, Field(ge=1, le=MAX_SPLIT_GROUPS, description="How many `split_by` names.")] = 4
    since: Annotated[date | None, Field(alias="from", description="The first day, in UTC; or the last 30.")] = None
    until: Annotated[date | None, Field(alias="to", description="The day after the last; or tomorrow.")] = None

    def days(self, today: date) -> tuple[date, date]:
        until = self.until or today + timedelta(days=1)
        since = self.since or until - min(USAGE_SPAN, until - date.min)
        if since >= until:
            raise RequestInvalid("'to' must be later than 'from'.", param="to")
        if self.split_by is not None:
            self._require_split(until - since)
        return since, until

    def _require_split(self, span: timedelta) -> None:
        if self.group_by is not Grouping.DAY:
            raise RequestInvalid("'split_by' splits days: 'group_by' must be 'day'.", param="split_by")
        if span > MAX_SPLIT_DAYS:
            raise RequestInvalid(f"With 'split_by' a report has at most {MAX_SPLIT_DAYS.days} days.", param="from")


class Totals(BaseModel):
    calls: int
    input_tokens: int
    output_tokens: int
    credits: int
    """The credits charged. A later refund is in the statement only."""


class ReturnedView(BaseModel):
    """What came back from the calls and jobs that ended in the period, as far as their details are kept."""

    credits: int
    """Held, and not charged. A later refund is in the statement only."""
    calls: int
    """Those that cost nothing: all that they held came back."""


class UsagePart(Totals):
    """The totals of a model, with its `model`; of a key, with its `key_id` and `key_name`; or of all `others`."""

    model: str | None = None
    model_name: str | None = Field(default=None, repr=False)
    """Null: this server does not know the model any more."""
    key_id: UUID | None = None
    """Null for calls that were made without a key."""
    key_name: str | None = Field(default=None, repr=False)
    others: bool = False


class UsageGroup(UsagePart):
    """The totals of a group, with its `day`, its `model`, or its `key_id` and `key_name`."""

    day: date | None = None
    parts: list[UsagePart] = []
    """Of a day that is split: those of `groups` that have used anything on it."""


class UsageReport(BaseModel):
    group_by: Grouping
    since: Annotated[date, Field(serialization_alias="from")]
    until: Annotated[date, Field(serialization_alias="to")]
    total: Totals
    returned: ReturnedView | None = None
    """With `split_by`."""
    groups: list[UsagePart] = []
    """With `split_by`: the models or keys that cost most in the period, and all others as the last."""
    models: list[UsagePart] = []
    """With `split_by`: every model of the period."""
    keys: list[UsagePart] = []
    """With `split_by`: every key of the period, and the calls without one."""
    data: list[UsageGroup]
    has_more: bool
    next: str | None


@dataclass(frozen=True, slots=True)
class _Names:
    """What people call models and keys."""

    catalog: Catalog
    keys: Mapping[UUID, str] = field(repr=False)

    def part(self, by: Grouping, used: Used) -> dict[str, Any]:
        """Return the fields of a `UsagePart`."""
        return _totals(used[1:], self.of(by, used))

    def of(self, by: Grouping, used: Used) -> dict[str, Any]:
        if by is Grouping.DAY:
            return {"day": used.group}
        if by is Grouping.KEY:
            return {"key_id": used.group, "key_name": self.keys.get(used.group)}
        model = self.catalog.models.get(used.group)
        return {"model": used.group, "model_name": model.name if model else None}


@dataclass(frozen=True, slots=True)
class _SplitFields:
    """The fields of a report that has its days split."""

    by: Grouping
    split: Split
    names: _Names

    def all(self) -> dict[str, Any]:
        used = self.split.used
        return {
            "returned": {"credits": self.split.returned.credits, "calls": self.split.returned.calls},
            "groups": self._groups(),
            "models": [self.names.part(Grouping.MODEL, each) for each in used[Grouping.MODEL]],
            "keys": [self.names.part(Grouping.KEY, each) for each in used[Grouping.KEY]],
            "data": self._days(),
        }

    def _groups(self) -> list[dict[str, Any]]:
        named = self.split.named
        groups = [self.names.part(self.by, each) for each in named]
        rest = [each for each in self.split.used[self.by] if each not in named]
        return [*groups, _sum(rest) | _OTHERS] if rest else groups

    def _days(self) -> list[dict[str, Any]]:
        names = [*(self.names.of(self.by, each) for each in self.split.named), _OTHERS]
        days = []
        for used in self.split.used[Grouping.DAY]:
            parts = [_totals(sums, names[place]) for place, sums in self.split.parts[used.group]]
            days.append(_totals(used[1:], {"day": used.group, "parts": parts}))
        return days


@router.get("/usage/", response_model=UsageReport)
async def usage(caller: MaySeeBilling, resources: CurrentResources, query: Annotated[UsageQuery, Query()]) -> Response:
    """Sum up calls, tokens and credits by day, model or key. A call counts on the day (UTC) on which it ended."""
    days = query.days(datetime.now(UTC).date())
    catalog = resources.catalog()
    if query.split_by is None:
        async with resources.database.reading() as session:
            rows: Sequence[Used] = await usage_reports.usage(session, caller.account_id, query.group_by, days)
            fields: dict[str, Any] = {"data": await _groups(session, caller.account_id, query.group_by, rows, catalog)}
    else:
        split = await usage_reports.split(resources.database, caller.account_id, query.split_by, days, query.top)
        rows = split.used[Grouping.DAY]
        fields = _SplitFields(query.split_by, split, _Names(catalog, split.key_names)).all()
    return _written(query.group_by, days, _sum(rows), fields)


def _written(by: Grouping, days: tuple[date, date], total: Mapping[str, int], fields: Mapping[str, Any]) -> Response:
    """Write a `UsageReport`. Pydantic would look at each of its hundreds of parts twice."""
    head = {"group_by": by, "from": days[0], "to": days[1], "total": total}
    return Response(orjson.dumps({**head, **fields, "has_more": False, "next": None}), media_type=JSON)


async def _groups(
    session: AsyncSession, account_id: UUID, by: Grouping, rows: Sequence[Used], catalog: Catalog
) -> list[dict[str, Any]]:
    keys = {used.group for used in rows if used.group is not None} if by is Grouping.KEY else set()
    names = _Names(catalog, await billing.key_names(session, account_id, keys) if keys else {})
    return [names.part(by, used) for used in rows]


def _totals(sums: Sequence[int], names: Mapping[str, Any]) -> dict[str, Any]:
    calls, input_tokens, output_tokens, credits = sums
    return {"calls": calls, "input_tokens": input_tokens, "output_tokens": output_tokens, "credits": credits, **names}


def _sum(several: Sequence[Used]) -> dict[str, Any]:
    return {name: sum(getattr(used, name) for used in several) for name in Totals.model_fields}
