"""The terms in which accounts have plans, and the credits that they give. The caller's transaction commits.

Everything that gives credits for a payment or a plan runs one after another (`lock`), in all processes. Then come the
locks of the ledger.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, text, tuple_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import accounts, clawbacks, ledger
from db.engine import raw
from db.payment_tables import PaymentSubscriptionRow, PlanTermRow
from db.tables import AccountRow
from domain import plans
from domain.errors import GatewayError, NotFound
from domain.operations import Grant
from domain.payments import Offers
from domain.plans import Plan, Standing, Subscription, Term

_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('yout plans and payments'))")


@dataclass(frozen=True, slots=True)
class DueTerm:
    """A term of which a month is due."""

    id: UUID
    account_id: UUID
    at: datetime


async def lock(session: AsyncSession) -> None:
    """Wait for all others who give credits for payments or plans. Take it before every other lock."""
    await session.connection()
    await session.exec(_LOCK)  # type: ignore[call-overload]  # it takes a text, too


async def due(session: AsyncSession, now: datetime, after: tuple[datetime, UUID] | None, limit: int) -> list[DueTerm]:
    """Return terms with months that are due, the earliest first."""
    query = select(PlanTermRow).where(col(PlanTermRow.next_grant_at) <= now)
    if after is not None:
        query = query.where(tuple_(col(PlanTermRow.next_grant_at), col(PlanTermRow.id)) > tuple_(*after))
    query = query.order_by(col(PlanTermRow.next_grant_at), col(PlanTermRow.id)).limit(limit)
    return [
        DueTerm(row.id, row.account_id, row.next_grant_at) for row in await session.exec(query) if row.next_grant_at
    ]


async def begin(session: AsyncSession, row: PlanTermRow, offers: Offers, now: datetime) -> int:
    """Add a term, and give what is due of it at once. Returns the credits."""
    session.add(row)
    await session.flush()
    credits = await give(session, row.id, offers, now)
    await refresh(session, row.account_id, now)
    return credits


async def give(session: AsyncSession, term_id: UUID, offers: Offers, now: datetime) -> int:
    """Give every month of the term that is due, each once. Returns the credits. Raises if one cannot be given."""
    row = await session.get(PlanTermRow, term_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound("There is no such term of a plan.")
    term = await _term(session, row)
    months, next_at = term.due(row.months_given, now)
    credits = 0
    if months:
        plan = planned(offers, row.plan)
        for number in range(row.months_given, row.months_given + months):
            credits += await _give_month(session, row, plan, term, number)
        row.months_given += months
    row.next_grant_at = next_at
    session.add(row)
    await session.flush()
    if credits and row.payment_id is not None:
        await clawbacks.credit(session, row.payment_id, credits)
    if credits:
        await clawbacks.collect(session, row.account_id)
    return credits


async def _give_month(session: AsyncSession, row: PlanTermRow, plan: Plan, term: Term, number: int) -> int:
    credits = term.credits(plan.credits_per_month)
    if credits:
        month = plans.month_after(row.begins_at, number).date().isoformat()
        grant = Grant(row.account_id, credits, f"plan:{row.id}:{number}", f"plan {row.plan}, month from {month}")
        (result,) = await ledger.execute(await raw(session), [grant])
        if isinstance(result, GatewayError):
            raise result
    return credits


def planned(offers: Offers, name: str) -> Plan:
    """Raises `NotFound` for a plan that the catalog does not have."""
    plan = offers.plans.get(name)
    if plan is None:
        known = (
            f"Its plans: {', '.join(offers.plans)}" if offers.plans else "It has none: docs/payments.md says how to add"
        )
        raise NotFound(f"The catalog has no plan '{name[:100]}'. {known}.")
    return plan


async def refresh(session: AsyncSession, account_id: UUID, now: datetime) -> Standing:
    """Write anew what the account's plan is and until when, after one of its terms or payments has changed."""
    await accounts.lock(session, account_id)
    returned = await clawbacks.wholly_returned(session, account_id)
    terms = [(row.plan, await _term(session, row)) for row in await rows(session, account_id) if row.id not in returned]
    standing = plans.standing(terms, now)
    values = {"plan": standing.plan, "plan_active": standing.active, "plan_until": standing.until}
    await session.exec(update(AccountRow).where(col(AccountRow.id) == account_id).values(**values))
    return standing


async def reschedule(session: AsyncSession, terms: Sequence[PlanTermRow], offers: Offers, now: datetime) -> None:
    """Give what is due of terms whose end or subscription has changed, and find when their next months are due."""
    for account_id in dict.fromkeys([await _rescheduled(session, row, offers, now) for row in terms]):
        await refresh(session, account_id, now)


async def _rescheduled(session: AsyncSession, row: PlanTermRow, offers: Offers, now: datetime) -> UUID:
    if row.plan in offers.plans:
        await give(session, row.id, offers, now)
    return row.account_id


async def rows(session: AsyncSession, account_id: UUID) -> list[PlanTermRow]:
    """Return all terms of an account, the latest first."""
    query = select(PlanTermRow).where(PlanTermRow.account_id == account_id)
    query = query.order_by(col(PlanTermRow.begins_at).desc(), col(PlanTermRow.id).desc())
    return list((await session.exec(query)).all())


async def active(session: AsyncSession) -> dict[str, int]:
    """Return how many accounts have each plan now."""
    lasts = or_(col(AccountRow.plan_until).is_(None), col(AccountRow.plan_until) > func.clock_timestamp())
    query = select(AccountRow.plan, func.count()).where(AccountRow.plan_active, lasts).group_by(col(AccountRow.plan))
    return {str(plan): count for plan, count in await session.exec(query)}


async def by_subscription(session: AsyncSession, subscription_id: str) -> list[PlanTermRow]:
    query = select(PlanTermRow).where(PlanTermRow.subscription_id == subscription_id)
    return list((await session.exec(query)).all())


async def _term(session: AsyncSession, row: PlanTermRow) -> Term:
    subscription = None
    if row.subscription_id is not None:
        known = await session.get(PaymentSubscriptionRow, row.subscription_id)
        subscription = Subscription(known.cancel_at, known.ended_at) if known else Subscription()
    return Term(row.begins_at, row.ends_at, paid=row.payment_id is not None, subscription=subscription)
