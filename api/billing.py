"""`/api/billing/…`: charges and their receipts, the account's statement, and its usage by day, model or key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel.ext.asyncio.session import AsyncSession

from api import receipts
from api.body import StrictRoute
from api.deps import CurrentResources, MaySeeBilling
from api.pages import PeriodQuery, cursor, paginate
from api.receipts import Amounts, ReceiptView, TokensUsed, used_of
from db import billing
from db.billing import Charge, Entry, Grouping, Used, UsedOfDay, Wanted
from db.pages import Page, Period
from domain.errors import RequestInvalid
from domain.holds import HoldState
from domain.ledger import TransactionKind
from domain.receipts import public_id, read_id

router = APIRouter(prefix="/api/billing", tags=["billing"], route_class=StrictRoute)

USAGE_SPAN = timedelta(days=30)
MAX_SPLIT_DAYS = timedelta(days=100)
"""Of a report by day and model or key."""
MAX_SPLIT_GROUPS = 20


class ChargeQuery(PeriodQuery):
    model: Annotated[str | None, Field(max_length=200, pattern=r"^[\x20-\x7e]+$")] = None
    key_id: UUID | None = None


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


class ListedCharge(BaseModel):
    """A charge in a list. `GET /api/billing/charges/<id>/` explains it."""

    id: str
    kind: str
    model: str
    key_id: UUID | None
    key_name: str | None = Field(repr=False)
    state: HoldState
    created_at: datetime | None
    closed_at: datetime | None
    credits: Amounts
    usage: TokensUsed | None


class ChargeList(BaseModel):
    data: list[ListedCharge]
    has_more: bool
    next: str | None


class Balance(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    balance: Annotated[int, Field(validation_alias="available")]
    """The credits that could be spent at that moment."""
    held: int


class StatementEntry(BaseModel):
    """A movement: by how much `balance` and `held` changed, and why."""

    id: UUID
    kind: TransactionKind
    created_at: datetime
    charge: str | None
    """The charge id of the call or job, or its bare UUID if it is so old that its details are no longer kept."""
    model: str | None
    note: str | None = Field(repr=False)
    """The operator's reason, if there is one."""
    balance: int
    held: int


class Statement(BaseModel):
    """A statement. `opening` plus the `data` of all pages is `closing`; every page repeats both from the first page.

    A statement ends at `to`; one that begins there continues it without a gap. While a movement is being written, `to`
    may be earlier than requested: no movement before `to` can be added later.
    """

    since: Annotated[datetime, Field(serialization_alias="from")]
    until: Annotated[datetime, Field(serialization_alias="to")]
    opening: Balance
    closing: Balance
    data: list[StatementEntry]
    has_more: bool
    next: str | None


class Totals(BaseModel):
    calls: int
    input_tokens: int
    output_tokens: int
    credits: int
    """The credits charged. A later refund is in the statement only."""


class UsagePart(Totals):
    """The totals of a model, with its `model`; of a key, with its `key_id` and `key_name`; or of all `others`."""

    model: str | None = None
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
    groups: list[UsagePart] = []
    """With `split_by`: the models or keys that cost most in the period, and all others as the last."""
    data: list[UsageGroup]
    has_more: bool
    next: str | None


@router.get("/charges/")
async def list_charges(
    caller: MaySeeBilling, resources: CurrentResources, query: Annotated[ChargeQuery, Query()]
) -> ChargeList:
    """List calls and jobs, newest first, whether they are in flight, charged or released."""
    wanted = Wanted(query.period(), query.model, query.key_id)
    async with resources.database.snapshot() as session:
        charges = await billing.charges(session, caller.account_id, wanted, query.page)
        used = {charge.hold.key_id for charge in charges if charge.hold.key_id}
        names = await billing.key_names(session, caller.account_id, used) if used else {}
    page, last = paginate(charges, query.limit)
    return ChargeList(data=[_listed(charge, names) for charge in page], has_more=last is not None, next=cursor(last))


@router.get("/charges/{charge_id}/")
async def explain_charge(charge_id: str, caller: MaySeeBilling, resources: CurrentResources) -> ReceiptView:
    """Explain a charge. The answer has all that is needed to compute it again.

    `charge_id` is the `id` of a chat answer (`chatcmpl-…`) or a media job's `job_uuid`. 404 also if it is so old that
    its details are no longer kept. The statement keeps its movements without end.
    """
    hold_id = read_id(charge_id)
    async with resources.database.reading() as session:
        return receipts.view(await billing.receipt(session, caller.account_id, hold_id))


@router.get("/statement/")
async def statement(
    caller: MaySeeBilling, resources: CurrentResources, query: Annotated[PeriodQuery, Query()]
) -> Statement:
    """List every movement of the account's credits, oldest first, between two balances. The default is this month.

    A `cursor` keeps the period and the balances of the first page: `from` and `to` need not be sent again. A `to` in
    the future means the time of the first page.
    """
    account_id, now = caller.account_id, datetime.now(UTC)
    period = query.period(since=now.replace(day=1, hour=0, minute=0, second=0, microsecond=0), until=now)
    if period.since is not None and period.since > now:
        raise RequestInvalid("'from' has not come yet.", param="from")
    after, opened = resources.statement_cursor.read(account_id, query.cursor) if query.cursor else (None, None)
    certain = await billing.certain_until(resources.database, account_id) if opened is None else now
    async with resources.database.snapshot() as session:
        if opened is None:
            opened = await billing.open_statement(session, account_id, Period(period.since, query.until), certain)
        entries = await billing.movements(session, account_id, opened.span, Page(query.limit, after))
    page, last = paginate(entries, query.limit)
    return Statement(
        since=opened.since,
        until=opened.until,
        opening=Balance.model_validate(opened.opening),
        closing=Balance.model_validate(opened.closing),
        data=[_entry(entry) for entry in page],
        has_more=last is not None,
        next=None if last is None else resources.statement_cursor.write(account_id, last, opened),
    )


@router.get("/usage/", response_model_exclude_unset=True)
async def usage(
    caller: MaySeeBilling, resources: CurrentResources, query: Annotated[UsageQuery, Query()]
) -> UsageReport:
    """Sum up calls, tokens and credits by day, model or key. A call counts on the day (UTC) on which it ended."""
    days = query.days(datetime.now(UTC).date())
    async with resources.database.snapshot() as session:
        rows = await billing.usage(session, caller.account_id, query.group_by, days)
        names: dict[UUID, str] = {}
        if Grouping.KEY in (query.group_by, query.split_by):
            names = await billing.key_names(session, caller.account_id)
        split = await _split(session, caller.account_id, query, days) if query.split_by else None
    report: dict[str, Any] = {
        "group_by": query.group_by,
        "since": days[0],
        "until": days[1],
        "total": Totals(**{name: sum(getattr(used, name) for used in rows) for name in Totals.model_fields}),
        "data": [_group(query.group_by, used, names) for used in rows],
        "has_more": False,
        "next": None,
    }
    if split is not None:
        report |= split.report(report["data"], names)
    return UsageReport(**report)


@dataclass(frozen=True, slots=True)
class _Split:
    """The days of a report, each with what its models or keys have used."""

    by: Grouping
    groups: Sequence[Used]
    others: Used
    parts: Sequence[UsedOfDay]

    def report(self, days: Sequence[UsageGroup], names: dict[UUID, str]) -> dict[str, Any]:
        groups = [self._part(used, names, others=False) for used in self.groups]
        if self.others.calls:
            groups.append(self._part(self.others, names, others=True))
        parts: dict[date, list[UsagePart]] = {}
        for part in self.parts:
            shown = self._part(part.used, names, others=part.place == len(self.groups))
            parts.setdefault(part.day, []).append(shown)
        return {"groups": groups, "data": [_with_parts(day, parts) for day in days]}

    def _part(self, used: Used, names: dict[UUID, str], *, others: bool) -> UsagePart:
        fields: dict[str, Any] = {**_totals(used), "others": True} if others else _named(self.by, used, names)
        return UsagePart(**fields)


async def _split(session: AsyncSession, account_id: UUID, query: UsageQuery, days: tuple[date, date]) -> _Split:
    by = query.split_by or Grouping.MODEL
    ranked = sorted(await billing.usage(session, account_id, by, days), key=lambda used: -used.credits)
    groups, rest = ranked[: query.top], ranked[query.top :]
    parts = await billing.usage_of_days(session, account_id, by, days, [used.group for used in groups])
    others = Used(None, **{name: sum(getattr(used, name) for used in rest) for name in Totals.model_fields})
    return _Split(by, groups, others, parts)


def _with_parts(day: UsageGroup, parts: Mapping[date, list[UsagePart]]) -> UsageGroup:
    assert day.day is not None  # noqa: S101  # it is a report by days
    return day.model_copy(update={"parts": parts[day.day]})


def _listed(charge: Charge, names: dict[UUID, str]) -> ListedCharge:
    hold = charge.hold
    return ListedCharge(
        id=public_id(hold),
        kind=hold.kind,
        model=hold.model,
        key_id=hold.key_id,
        key_name=names.get(hold.key_id) if hold.key_id else None,
        state=hold.state,
        created_at=hold.created_at,
        closed_at=hold.closed_at,
        credits=receipts.amounts_of(hold),
        usage=used_of(charge.hold, charge.usage),
    )


def _entry(entry: Entry) -> StatementEntry:
    return StatementEntry(
        id=entry.id,
        kind=entry.kind,
        created_at=entry.created_at,
        charge=_charge_of(entry),
        model=entry.hold.model if entry.hold else None,
        note=entry.note,
        balance=entry.available,
        held=entry.held,
    )


def _charge_of(entry: Entry) -> str | None:
    if entry.hold is not None:
        return public_id(entry.hold)
    return str(entry.hold_id) if entry.hold_id else None


def _group(grouping: Grouping, used: Used, names: dict[UUID, str]) -> UsageGroup:
    return UsageGroup(**_named(grouping, used, names))


def _named(grouping: Grouping, used: Used, names: dict[UUID, str]) -> dict[str, Any]:
    group: dict[str, Any] = {grouping: used.group}
    if grouping is Grouping.KEY:
        group = {"key_id": used.group, "key_name": names.get(used.group)}
    return _totals(used) | group


def _totals(used: Used) -> dict[str, int]:
    return {name: getattr(used, name) for name in Totals.model_fields}
