"""Random payments, refunds and disputes, in any order and repeated, with calls in between."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from db.engine import Database
from db.writer import LedgerWriter
from tests.support import stripe_events as stripe
from tests.support.bank import Customer, reserve, settle
from tests.support.shop import Shop
from tests.support.stripe_events import event

CREDITS_PER_CENT = 1000
SEEDS = range(6)


@pytest.fixture
async def shop(database: Database, ledger: LedgerWriter) -> Shop:
    return Shop(database, ledger)


@dataclass
class PaymentHistory:
    """One payment, and what becomes of it at last."""

    intent: str
    amount: int
    refunded: int = 0
    withheld: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def credits(self) -> int:
        return self.amount * CREDITS_PER_CENT

    @property
    def back(self) -> int:
        return self.credits * min(self.amount, self.refunded + self.withheld) // self.amount


def random_history(rng: random.Random, number: int, customer: Customer) -> PaymentHistory:
    history = PaymentHistory(f"pi_{number}", rng.randrange(50, 3000))
    paid = stripe.session(history.intent, account=str(customer.account_id), amount=history.amount)
    history.events = [event("checkout.session.completed", paid)]
    for _ in range(rng.randrange(3)):
        history.refunded += rng.randrange(0, history.amount - history.refunded + 1)
        charge = stripe.charge(history.intent, amount=history.amount, refunded=history.refunded)
        history.events.append(event("charge.refunded", charge))
    end = rng.choice([None, "won", "lost", "warning_closed"])
    statuses = ["warning_needs_response"] if end == "warning_closed" or rng.random() < 0.3 else []
    statuses += ["needs_response"] if end in ("won", "lost") or rng.random() < 0.3 else []
    statuses += [end] if end else []
    disputed = rng.randrange(1, history.amount + 1)
    history.withheld = disputed if statuses and statuses[-1] in ("needs_response", "lost") else 0
    for status in statuses:
        dispute = stripe.dispute(history.intent, f"du_{number}", status, amount=disputed)
        history.events.append(event("charge.dispute.updated", dispute))
    return history


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_credits_are_what_the_last_state_of_each_payment_says(shop: Shop, seed: int) -> None:
    rng = random.Random(seed)
    customer, spent = await shop.account(), 0
    histories = [random_history(rng, number, customer) for number in range(4)]
    events = [one for history in histories for one in history.events]
    events += rng.choices(events, k=len(events) // 2)
    rng.shuffle(events)
    for one in events:
        await shop.send(one)
        available = await shop.available(customer)
        assert available >= 0
        if available and rng.random() < 0.3:
            call = reserve(customer, credits := rng.randrange(10, max(11, available + 1)))
            if credits <= available:
                await shop.ledger.ask(call)
                await shop.ledger.ask(settle(customer, call.hold_id, credits))
                spent += credits
    await shop.grants.collect()
    left = sum(history.credits - history.back for history in histories) - spent
    assert await shop.available(customer) == max(0, left)
    payments = {payment.id: payment for payment in await shop.list()}
    assert {name: payment.credits for name, payment in payments.items()} == {s.intent: s.credits for s in histories}
    assert {name: p.taken + p.due for name, p in payments.items()} == {s.intent: s.back for s in histories}
    assert sum(payment.due for payment in payments.values()) == max(0, -left)
    assert await shop.audited() == {}
