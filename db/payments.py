"""What is known of payments, and the credits that follow from it. The caller's transaction commits.

Every fact is merged into what is known before, and the credits are then brought to what all of it says: the order and
the repetition of events do not matter. Callers have `db.plans.lock`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import clawbacks, ledger, plans
from db.engine import raw
from db.payment_tables import (
    PaymentChargeRow,
    PaymentCustomerRow,
    PaymentEventRow,
    PaymentRow,
    PaymentSubscriptionRow,
    PlanTermRow,
)
from db.tables import AccountRow
from domain.errors import AmountTooLarge, GatewayError
from domain.operations import Grant
from domain.payments import (
    Buyer,
    Disputed,
    Event,
    Fact,
    Line,
    Linked,
    Offers,
    Pack,
    Paid,
    Refunded,
    Subscribed,
    SubscriptionChanged,
    disputes_with,
)
from domain.plans import Plan, month_after

NO_ACCOUNT = "no account is known for it"
NO_INVOICE = "its invoice has not come yet: Stripe must send invoice.paid"


@dataclass(frozen=True, slots=True)
class Outcome:
    processed: bool
    """False: it was processed before."""
    payments: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    """Payments that it tells of, each with why it has given nothing. None: it has."""


async def apply(session: AsyncSession, event: Event, offers: Offers, now: datetime) -> Outcome:
    """Process an event once."""
    await plans.lock(session)
    values = {"id": event.id, "type": event.type, "created_at": event.at}
    adding = insert(PaymentEventRow).values(**values).on_conflict_do_nothing().returning(col(PaymentEventRow.id))
    if (await session.exec(adding)).first() is None:
        return Outcome(False)
    facts = Facts(session, offers, event.at, now)
    for fact in event.facts:
        await facts.apply(fact)
    paid = [await session.get(PaymentRow, fact.payment_id) for fact in event.facts if isinstance(fact, Paid)]
    return Outcome(True, {payment.id: payment.problem for payment in paid if payment})


class Facts:
    """Merges the facts of one event."""

    def __init__(self, session: AsyncSession, offers: Offers, at: datetime, now: datetime) -> None:
        self._session, self._offers, self._at, self._now = session, offers, at, now

    async def apply(self, fact: Fact) -> None:
        match fact:
            case Paid():
                await self._paid(fact)
            case Subscribed():
                await self.know(fact.buyer)
            case SubscriptionChanged():
                await self._change(fact)
            case Linked() | Refunded() | Disputed():
                await self._charge(fact)

    async def _paid(self, fact: Paid) -> None:
        for charge in fact.charges:
            await self._link(charge, fact.payment_id)
        payment = await self._session.get(PaymentRow, fact.payment_id)
        if payment is None:
            payment = PaymentRow(
                id=fact.payment_id,
                customer=fact.buyer.customer,
                subscription_id=fact.buyer.subscription,
                bought=_bought(fact),
                amount=fact.amount,
                currency=fact.currency,
                problem=NO_ACCOUNT,
                paid_at=self._at,
            )
        elif payment.problem is not None:
            payment.bought = _all_bought(payment.bought, _bought(fact))
        self._session.add(payment)
        await self._session.flush()
        await self.know(fact.buyer)
        if payment.problem is not None:
            await self.match(payment, payment.account_id or await self._account(fact.buyer))

    async def match(self, payment: PaymentRow, account_id: UUID | None) -> None:
        """Give an account what the payment has bought, if both are known; else say what is missing."""
        if account_id is None:
            return
        payment.account_id = account_id
        self._session.add(payment)
        await self._session.flush()
        await self.give(payment)

    async def give(self, payment: PaymentRow) -> None:
        """Give what the payment has bought to its account, or record why that is not possible."""
        bought = payment.bought
        if bought.get("invoiced"):
            payment.problem = NO_INVOICE
            self._session.add(payment)
            return
        payment.problem = None
        # Of an invoice that sells nothing of the catalog, what the checkout names that made it.
        sold = self._offers.sold(_lines(bought["lines"])) or self._offers.sold(_lines(bought.get("named", ())))
        if not sold:
            await self._give_for_amount(payment)
            return
        packs = [(pack, line.quantity) for pack, line in sold if isinstance(pack, Pack)]
        if packs:
            names = ", ".join(dict.fromkeys(pack.name for pack, _ in packs))
            await self.grant(payment, sum(pack.credits * quantity for pack, quantity in packs), names)
        plan = next(((plan, line) for plan, line in sold if isinstance(plan, Plan)), None)
        if plan is not None and payment.problem is None:
            await self._begin(payment, *plan)

    async def _give_for_amount(self, payment: PaymentRow) -> None:
        credits = self._offers.credits_for(payment.bought["net"], payment.currency)
        if credits is not None:
            await self.grant(payment, credits, "credits")
            return
        goods = [good for line in _lines(payment.bought["lines"]) for good in line.goods]
        names = ", ".join(goods) or f"an amount in {payment.currency}"
        payment.problem = f"the catalog sells nothing as {names}"
        self._session.add(payment)

    async def grant(self, payment: PaymentRow, credits: int, what: str) -> None:
        """Give credits for the payment, once."""
        assert payment.account_id is not None  # noqa: S101  # it was matched
        payment.problem = None
        self._session.add(payment)
        if not credits:
            return
        order = Grant(payment.account_id, credits, f"stripe:{payment.id}", f"payment {payment.id}: {what}")
        (result,) = await ledger.execute(await raw(self._session), [order])
        if isinstance(result, AmountTooLarge):
            payment.problem = f"{credits} credits are more than the account can hold"
            return
        if isinstance(result, GatewayError):
            raise result
        await clawbacks.credit(self._session, payment.id, credits)
        await clawbacks.collect(self._session, payment.account_id)

    async def _begin(self, payment: PaymentRow, plan: Plan, line: Line) -> None:
        assert payment.account_id is not None  # noqa: S101  # it was matched
        since, until = line.period or (payment.paid_at, month_after(payment.paid_at, 1))
        row = PlanTermRow(
            id=uuid5(NAMESPACE_URL, f"stripe:{payment.id}"),
            account_id=payment.account_id,
            plan=plan.id,
            payment_id=payment.id,
            subscription_id=payment.subscription_id,
            begins_at=since,
            ends_at=max(since, until),
        )
        self._session.add(payment)
        await plans.begin(self._session, row, self._offers, self._now)

    async def _account(self, buyer: Buyer) -> UUID | None:
        """Return the account that the event names, else that of its subscription, else that of its customer."""
        account = await self._session.get(AccountRow, buyer.account_id) if buyer.account_id else None
        if account is not None:
            return account.id
        known = await self._session.get(PaymentSubscriptionRow, buyer.subscription) if buyer.subscription else None
        if known is not None and known.account_id is not None:
            return known.account_id
        customer = await self._session.get(PaymentCustomerRow, buyer.customer) if buyer.customer else None
        return customer.account_id if customer else None

    async def know(self, buyer: Buyer) -> None:
        """Remember whose account a customer and a subscription pay for; match what they have paid before."""
        account_id = await self._account(buyer)
        if account_id is None:
            return
        if buyer.customer:
            values = {"id": buyer.customer, "account_id": account_id}
            await self._session.exec(insert(PaymentCustomerRow).values(**values).on_conflict_do_nothing())
        if buyer.subscription:
            row = await self._subscription(buyer.subscription, buyer.customer)
            row.account_id = row.account_id or account_id
            self._session.add(row)
        await self._session.flush()
        for payment in await self._waiting(buyer):
            await self.match(payment, account_id)

    async def _waiting(self, buyer: Buyer) -> list[PaymentRow]:
        """Return payments without an account of this customer or subscription."""
        same = [col(PaymentRow.customer) == buyer.customer] if buyer.customer else []
        same += [col(PaymentRow.subscription_id) == buyer.subscription] if buyer.subscription else []
        if not same:
            return []
        query = select(PaymentRow).where(col(PaymentRow.account_id).is_(None), or_(*same))
        return list((await self._session.exec(query.order_by(col(PaymentRow.created_at)))).all())

    async def _subscription(self, subscription_id: str, customer: str | None) -> PaymentSubscriptionRow:
        values = {"id": subscription_id, "customer": customer}
        await self._session.exec(insert(PaymentSubscriptionRow).values(**values).on_conflict_do_nothing())
        row = await self._session.get(PaymentSubscriptionRow, subscription_id)
        assert row is not None  # noqa: S101  # it was just added, or was there
        return row

    async def _change(self, fact: SubscriptionChanged) -> None:
        row = await self._subscription(fact.id, fact.buyer.customer)
        if row.changed_at is None or self._at >= row.changed_at:
            row.changed_at, row.cancel_at = self._at, fact.cancel_at
        row.ended_at = row.ended_at or fact.ended_at  # what has ended stays so
        self._session.add(row)
        await self._session.flush()
        await self.know(fact.buyer)
        terms = await plans.by_subscription(self._session, fact.id)
        await plans.reschedule(self._session, terms, self._offers, self._now)

    async def _charge(self, fact: Linked | Refunded | Disputed) -> None:
        charge = await self._link(fact.charge, fact.payment_id if isinstance(fact, Linked) else None)
        if isinstance(fact, Refunded):
            charge.refunded = max(charge.refunded, fact.amount)
        elif isinstance(fact, Disputed):
            charge.disputes = disputes_with(charge.disputes, fact, self._at)
        self._session.add(charge)
        await self._session.flush()
        payment = await self._session.get(PaymentRow, charge.payment_id) if charge.payment_id else None
        if payment is not None:
            await clawbacks.settle(self._session, payment)
            if payment.account_id is not None:
                await plans.refresh(self._session, payment.account_id, self._now)

    async def _link(self, charge: str, payment_id: str | None) -> PaymentChargeRow:
        await self._session.exec(insert(PaymentChargeRow).values(id=charge).on_conflict_do_nothing())
        row = await self._session.get(PaymentChargeRow, charge)
        assert row is not None  # noqa: S101  # it was just added, or was there
        row.payment_id = row.payment_id or payment_id
        self._session.add(row)
        await self._session.flush()
        return row


def _bought(fact: Paid) -> dict[str, Any]:
    lines = [[list(line.goods), line.quantity, [time.isoformat() for time in line.period or ()]] for line in fact.lines]
    return {"lines": lines, "net": fact.net} | ({"invoiced": True} if fact.invoiced else {})


def _all_bought(known: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Merge what two events say of a payment: an invoice, and the checkout that made it, in any order."""
    first, second = (known, new) if new.get("invoiced") else (new, known)
    return {**first, "named": second["lines"]}


def _lines(written: Iterable[tuple[list[str], int, list[str]]]) -> Iterator[Line]:
    for goods, quantity, period in written:
        times = [datetime.fromisoformat(time) for time in period]
        yield Line(tuple(goods), quantity, (times[0], times[1]) if times else None)
