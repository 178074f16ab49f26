"""`/api/billing/…`: charges and their receipts, and the account's statement."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api import receipts
from api.body import StrictRoute
from api.deps import CurrentResources, MaySeeBilling
from api.pages import PeriodQuery, cursor, paginate
from api.receipts import Amounts, ReceiptView, TokensUsed, used_of
from db import billing
from db.billing import Charge, Entry, Wanted
from db.pages import Page, Period
from domain.catalog import Model
from domain.errors import RequestInvalid
from domain.holds import HoldState
from domain.ledger import TransactionKind
from domain.receipts import public_id, read_id

router = APIRouter(prefix="/api/billing", tags=["billing"], route_class=StrictRoute)


class ChargeQuery(PeriodQuery):
    model: Annotated[str | None, Field(max_length=200, pattern=r"^[\x20-\x7e]+$")] = None
    key_id: UUID | None = None


class ListedCharge(BaseModel):
    """A charge in a list. `GET /api/billing/charges/<id>/` explains it."""

    id: str
    kind: str
    model: str
    model_name: str | None = Field(repr=False)
    """Null: this server does not know the model any more."""
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
    model_name: str | None = Field(repr=False)
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


@router.get("/charges/")
async def list_charges(
    caller: MaySeeBilling, resources: CurrentResources, query: Annotated[ChargeQuery, Query()]
) -> ChargeList:
    """List calls and jobs, newest first, whether they are in flight, charged or released."""
    wanted = Wanted(query.period(), query.model, query.key_id)
    charges = await billing.charges(resources.database, caller.account_id, wanted, query.page)
    page, last = paginate(charges, query.limit)
    models = resources.catalog().models
    return ChargeList(data=[_listed(charge, models) for charge in page], has_more=last is not None, next=cursor(last))


@router.get("/charges/{charge_id}/")
async def explain_charge(charge_id: str, caller: MaySeeBilling, resources: CurrentResources) -> ReceiptView:
    """Explain a charge. The answer has all that is needed to compute it again.

    `charge_id` is the `id` of a chat answer (`chatcmpl-…`) or a media job's `job_uuid`. 404 also if it is so old that
    its details are no longer kept. The statement keeps its movements without end.
    """
    hold_id = read_id(charge_id)
    receipt = await billing.receipt(resources.database, caller.account_id, hold_id)
    return receipts.view(receipt, _name(receipt.hold.model, resources.catalog().models))


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
    models = resources.catalog().models
    return Statement(
        since=opened.since,
        until=opened.until,
        opening=Balance.model_validate(opened.opening),
        closing=Balance.model_validate(opened.closing),
        data=[_entry(entry, models) for entry in page],
        has_more=last is not None,
        next=None if last is None else resources.statement_cursor.write(account_id, last, opened),
    )


def _listed(charge: Charge, models: Mapping[str, Model]) -> ListedCharge:
    hold = charge.hold
    return ListedCharge(
        id=public_id(hold),
        kind=hold.kind,
        model=hold.model,
        model_name=_name(hold.model, models),
        key_id=hold.key_id,
        key_name=charge.key_name,
        state=hold.state,
        created_at=hold.created_at,
        closed_at=hold.closed_at,
        credits=receipts.amounts_of(hold),
        usage=used_of(charge.hold, charge.usage),
    )


def _name(model: str, models: Mapping[str, Model]) -> str | None:
    return models[model].name if model in models else None


def _entry(entry: Entry, models: Mapping[str, Model]) -> StatementEntry:
    return StatementEntry(
        id=entry.id,
        kind=entry.kind,
        created_at=entry.created_at,
        charge=_charge_of(entry),
        model=entry.hold.model if entry.hold else None,
        model_name=_name(entry.hold.model, models) if entry.hold else None,
        note=entry.note,
        balance=entry.available,
        held=entry.held,
    )


def _charge_of(entry: Entry) -> str | None:
    if entry.hold is not None:
        return public_id(entry.hold)
    return str(entry.hold_id) if entry.hold_id else None
