"""`GET /api/billing/plan/` and `grants/`: an account's plan, what it can buy here, and the credits that came in."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.body import StrictRoute
from api.deps import CurrentResources, MaySeeBilling
from api.pages import PageQuery, cursor, paginate
from db import accounts, plans
from db.incoming import incoming
from domain.ledger import TransactionKind
from domain.payments import Offers

router = APIRouter(prefix="/api/billing", tags=["billing"], route_class=StrictRoute)


class OwnPlan(BaseModel):
    id: str
    name: str = Field(repr=False)
    active: bool
    until: datetime | None
    """When it ends, or has ended. Null: it has no end yet."""
    credits_per_month: int | None
    """Null if this server no longer has such a plan."""
    next_grant_at: datetime | None
    """When its next credits come. Null: none are due."""


class PlanOffered(BaseModel):
    id: str
    name: str = Field(repr=False)
    credits_per_month: int


class PackOffered(BaseModel):
    id: str
    name: str = Field(repr=False)
    credits: int


class PlanView(BaseModel):
    balance: int
    held: int
    plan: OwnPlan | None
    """Null for an account that never had one."""
    plans: list[PlanOffered]
    packs: list[PackOffered]
    credits_per_unit: dict[str, str]
    """Credits for one unit of a currency, for payments of nothing in particular."""
    buy_url: str | None = Field(repr=False)
    """Where this account buys credits. Null: its operator says how."""


class GrantEntry(BaseModel):
    """Credits that came in, or that were taken back. The statement has the same movement, with the same `id`."""

    id: UUID
    kind: TransactionKind
    created_at: datetime
    credits: int
    note: str | None = Field(repr=False)


class GrantList(BaseModel):
    data: list[GrantEntry]
    has_more: bool
    next: str | None


@router.get("/plan/")
async def plan(caller: MaySeeBilling, resources: CurrentResources) -> PlanView:
    """Tell the account's plan, when its next credits come, and what it can buy here."""
    offers, now = resources.catalog().offers, datetime.now(UTC)
    async with resources.database.snapshot() as session:
        balance = await accounts.balance(session, caller.account_id)
        terms = await plans.rows(session, caller.account_id) if balance.plan else []
    due = [row.next_grant_at for row in terms if row.plan == balance.plan and row.next_grant_at]
    return PlanView(
        balance=balance.available,
        held=balance.held,
        plan=_own(balance, offers, min((at for at in due if at > now), default=None)) if balance.plan else None,
        plans=[PlanOffered(id=p.id, name=p.name, credits_per_month=p.credits_per_month) for p in offers.plans.values()],
        packs=[PackOffered(id=pack.id, name=pack.name, credits=pack.credits) for pack in offers.packs.values()],
        credits_per_unit={currency: str(rate) for currency, rate in offers.credits_per_unit.items()},
        buy_url=offers.link_of(caller.account_id),
    )


@router.get("/grants/")
async def list_grants(
    caller: MaySeeBilling, resources: CurrentResources, query: Annotated[PageQuery, Query()]
) -> GrantList:
    """List the credits that came in by grants, plans and payments, and corrections of them, newest first."""
    async with resources.database.reading() as session:
        entries = await incoming(session, caller.account_id, query.page)
    page, last = paginate(entries, query.limit)
    data = [GrantEntry.model_validate(entry, from_attributes=True) for entry in page]
    return GrantList(data=data, has_more=last is not None, next=cursor(last))


def _own(balance: accounts.Balance, offers: Offers, next_at: datetime | None) -> OwnPlan:
    offered = offers.plans.get(balance.plan or "")
    return OwnPlan(
        id=balance.plan or "",
        name=offered.name if offered else balance.plan or "",
        active=balance.plan_active,
        until=balance.plan_until,
        credits_per_month=offered.credits_per_month if offered else None,
        next_grant_at=next_at if balance.plan_active and offered else None,
    )
