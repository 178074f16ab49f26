"""Takes credits back when money goes back: what the account has, and the rest from its next credits.

A balance never goes below zero, and credits that calls in flight hold stay with them. What could not be taken is `due`
of its payment. Everything here is part of a transaction that has `db.plans.lock`.
"""

from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import accounts, ledger
from db.engine import raw
from db.payment_tables import PaymentChargeRow, PaymentRow, PlanTermRow
from domain.errors import GatewayError, NotFound
from domain.operations import Adjust
from domain.payments import credits_back, returned


async def credit(session: AsyncSession, payment_id: str, credits: int) -> None:
    """Record credits that a payment has given, and see what is to go back of them."""
    payment = await load(session, payment_id)
    payment.credits += credits
    session.add(payment)
    await settle(session, payment)


async def load(session: AsyncSession, payment_id: str) -> PaymentRow:
    payment = await session.get(PaymentRow, payment_id)
    if payment is None:
        raise NotFound(f"There is no payment '{payment_id[:100]}'.")
    return payment


async def money_back(session: AsyncSession, payment: PaymentRow) -> int:
    query = select(PaymentChargeRow).where(PaymentChargeRow.payment_id == payment.id)
    return sum(returned(charge.refunded, charge.disputes) for charge in await session.exec(query))


async def settle(session: AsyncSession, payment: PaymentRow) -> None:
    """Bring what was taken to what the money that went back is worth: take, give back, or record it as due."""
    wanted = credits_back(payment.credits, payment.amount, await money_back(session, payment))
    owed = wanted - payment.taken
    payment.due = max(0, owed)
    if owed < 0:
        await _move(session, payment, -owed, "money that came back after all")
    session.add(payment)
    await session.flush()
    if owed > 0 and payment.account_id is not None:
        await collect(session, payment.account_id)


async def collect(session: AsyncSession, account_id: UUID) -> int:
    """Take what is due of the account's payments, oldest first, as far as its balance goes. Returns the credits."""
    query = select(PaymentRow).where(PaymentRow.account_id == account_id, col(PaymentRow.due) > 0)
    payments = list((await session.exec(query.order_by(col(PaymentRow.created_at), col(PaymentRow.id)))).all())
    if not payments:
        return 0
    await accounts.lock(session, account_id)
    available = (await accounts.balance(session, account_id, fresh=True)).available
    taken = 0
    for payment in payments:
        credits = min(payment.due, available - taken)
        if credits > 0:
            await _move(session, payment, -credits, "money that went back")
            payment.due -= credits
            session.add(payment)
            taken += credits
    await session.flush()
    return taken


async def _move(session: AsyncSession, payment: PaymentRow, credits: int, why: str) -> None:
    assert payment.account_id is not None  # noqa: S101  # a payment without an account has given no credits
    payment.moves += 1
    payment.taken -= credits
    adjust = Adjust(payment.account_id, credits, f"stripe:{payment.id}:{payment.moves}", f"payment {payment.id}: {why}")
    (result,) = await ledger.execute(await raw(session), [adjust])
    if isinstance(result, GatewayError):
        raise result


async def owing(session: AsyncSession, after: UUID | None, limit: int) -> list[UUID]:
    """Return accounts that owe credits, by id."""
    query = select(PaymentRow.account_id).where(col(PaymentRow.due) > 0).distinct()
    if after is not None:
        query = query.where(col(PaymentRow.account_id) > after)
    rows = await session.exec(query.order_by(col(PaymentRow.account_id)).limit(limit))
    return [account_id for account_id in rows if account_id is not None]


async def wholly_returned(session: AsyncSession, account_id: UUID) -> set[UUID]:
    """Return the terms of the account whose whole money went back."""
    query = select(PlanTermRow.id, PaymentRow).join(PaymentRow, col(PaymentRow.id) == col(PlanTermRow.payment_id))
    terms = (await session.exec(query.where(PlanTermRow.account_id == account_id))).all()
    return {term_id for term_id, payment in terms if 0 < payment.amount <= await money_back(session, payment)}
