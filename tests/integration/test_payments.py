"""Stripe's events on a real database: in any order, more than once, at the same time, and for nobody that is known."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from db.engine import Database
from db.writer import LedgerWriter
from domain.errors import NotFound, RequestInvalid
from domain.plans import RENEWAL_GRACE, month_after
from gateway import payments as use_cases
from gateway.payments import Payments
from providers.stripe_events import StripeEvents
from tests.support import stripe_events as stripe
from tests.support.bank import reserve, settle, void
from tests.support.shop import OFFERS, Shop
from tests.support.stripe_events import BEGIN, SECRET, event, signed

PERIOD = BEGIN, month_after(BEGIN, 1)


@pytest.fixture
async def shop(database: Database, ledger: LedgerWriter) -> AsyncIterator[Shop]:
    shop = Shop(database, ledger)
    yield shop
    assert await shop.audited() == {}
    assert stripe.PERSONAL not in await shop.everything()


def completed(intent: str = "pi_1", **more: Any) -> dict[str, Any]:
    return event("checkout.session.completed", stripe.session(intent, **more))


def refunded(intent: str, amount: int, *, of: int = 1000) -> dict[str, Any]:
    return event("charge.refunded", stripe.charge(intent, amount=of, refunded=amount))


def disputed(intent: str, status: str, amount: int = 1000) -> dict[str, Any]:
    kind = "closed" if status in ("won", "lost", "warning_closed") else "created"
    return event(f"charge.dispute.{kind}", stripe.dispute(intent, "du_1", status, amount=amount))


async def test_a_payment_gives_credits_once_whatever_tells_of_it(shop: Shop) -> None:
    owner = await shop.account()
    first = completed(account=owner.account_id)
    assert await shop.send(first, first) == [True, False]
    again = completed(account=owner.account_id)
    late = event("checkout.session.async_payment_succeeded", stripe.session("pi_1", account=owner.account_id))
    intent = event("payment_intent.succeeded", {"id": "pi_1", "object": "payment_intent", "amount": 1000})
    assert await shop.send(again, late, intent) == [True, True, False]
    assert await shop.available(owner) == 1_000_000


async def test_the_same_event_at_the_same_time_in_two_processes(shop: Shop) -> None:
    owner = await shop.account()
    other = Payments(shop.database, shop.catalog, StripeEvents([SECRET], livemode=True), shop.faults)
    same = signed(completed(account=owner.account_id))
    several = [signed(completed(account=owner.account_id)) for _ in range(3)]
    receivers = itertools.cycle((shop.payments, other))
    answers = await asyncio.gather(*(next(receivers).receive(*one) for one in [same, same, same, *several]))
    assert answers[:3].count(True) == 1
    assert await shop.available(owner) == 1_000_000


@pytest.mark.parametrize(
    ("more", "credits"),
    [
        ({"payment_link": "plink_small"}, 100_000),
        ({"metadata": {"pack": "small"}}, 100_000),
        ({"amount": 1234}, 1_234_000),
        ({"amount": 1190, "total_details": {"amount_tax": 190}}, 1_000_000),
        ({"payment_status": "unpaid"}, 0),
        ({"amount": 0, "payment_status": "no_payment_required", "payment_link": "plink_small"}, 100_000),
        ({"mode": "setup", "payment_status": "no_payment_required"}, 0),
    ],
)
async def test_what_a_checkout_buys(shop: Shop, more: dict[str, Any], credits: int) -> None:
    owner = await shop.account()
    await shop.send(completed(account=owner.account_id, **more))
    assert await shop.available(owner) == credits


async def test_a_refund_takes_back_its_share_and_an_earlier_state_nothing(shop: Shop) -> None:
    owner = await shop.account()
    await shop.send(completed(account=owner.account_id), refunded("pi_1", 300))
    assert await shop.available(owner) == 700_000
    await shop.send(refunded("pi_1", 1000), refunded("pi_1", 300), refunded("pi_1", 1000))
    assert await shop.available(owner) == 0


async def test_a_refund_that_comes_before_its_payment(shop: Shop) -> None:
    owner = await shop.account()
    await shop.send(refunded("pi_1", 250))
    (unknown,) = await shop.list(unmatched=True)
    assert (unknown.id, unknown.amount) == ("pi_1", 250)
    await shop.send(completed(account=owner.account_id))
    assert await shop.available(owner) == 750_000
    assert await shop.list(unmatched=True) == []


async def test_what_is_spent_or_held_is_taken_from_the_next_credits(shop: Shop) -> None:
    """The balance stays at zero or above, and what calls in flight hold stays with them."""
    owner = await shop.account()
    await shop.send(completed(account=owner.account_id))
    spent, held = reserve(owner, 600_000), reserve(owner, 300_000)
    for call in (spent, held):
        await shop.ledger.ask(call)
    await shop.ledger.ask(settle(owner, spent.hold_id, 600_000))
    await shop.send(refunded("pi_1", 1000))
    balance = await shop.balance(owner.account_id)
    assert (balance.available, balance.held) == (0, 300_000)
    (payment,) = await shop.list()
    assert (payment.taken, payment.due) == (100_000, 900_000)

    await shop.ledger.ask(void(owner, held.hold_id))
    assert await shop.grants.collect() == 1
    assert await shop.available(owner) == 0
    await shop.send(completed("pi_2", account=owner.account_id))
    assert await shop.available(owner) == 400_000
    assert [(payment.taken, payment.due) for payment in await shop.list() if payment.id == "pi_1"] == [(1_000_000, 0)]
    assert await shop.grants.collect() == 0


async def test_a_dispute_that_is_won_gives_back_exactly_what_was_taken(shop: Shop) -> None:
    owner = await shop.account()
    await shop.send(completed(account=owner.account_id))
    call = reserve(owner, 400_000)
    await shop.ledger.ask(call)
    await shop.ledger.ask(settle(owner, call.hold_id, 400_000))
    await shop.send(disputed("pi_1", "needs_response"))
    assert await shop.available(owner) == 0
    await shop.send(disputed("pi_1", "won"), disputed("pi_1", "needs_response"))
    assert await shop.available(owner) == 600_000
    (payment,) = await shop.list()
    assert (payment.credits, payment.taken, payment.due) == (1_000_000, 0, 0)


@pytest.mark.parametrize(
    ("statuses", "left"),
    [
        (["needs_response", "lost"], 0),
        (["lost"], 0),
        (["warning_needs_response"], 1_000_000),
        (["warning_needs_response", "warning_closed"], 1_000_000),
        (["warning_needs_response", "needs_response"], 0),
    ],
)
async def test_disputes_in_any_order(shop: Shop, statuses: list[str], left: int) -> None:
    for number, order in enumerate(itertools.permutations(statuses)):
        owner, intent = await shop.account(), f"pi_{number}"
        await shop.send(completed(intent, account=owner.account_id), *(disputed(intent, status) for status in order))
        assert await shop.available(owner) == left


async def test_a_payment_of_nobody_is_saved_for_the_operator(shop: Shop) -> None:
    unknown = str(uuid4())
    await shop.send(completed("pi_1", account=unknown), completed("pi_2", account="no id", customer="cus_2"))
    listed = {payment.id: payment.problem for payment in await shop.list(unmatched=True)}
    assert listed == dict.fromkeys(("pi_1", "pi_2"), "no account is known for it")
    assert [line.split(" {")[0] for line in shop.faults.lines] == [
        f"a payment has given nothing yet payment {name} yout payments list --unmatched, then yout payments assign"
        for name in ("pi_1", "pi_2")
    ]
    await shop.send(refunded("pi_2", 500))
    owner = await shop.account()
    async with shop.database.transaction() as session:
        assert await use_cases.assign(session, OFFERS, "pi_2", owner.account_id) == (1_000_000, False)
    async with shop.database.transaction() as session:
        assert await use_cases.assign(session, OFFERS, "pi_2", owner.account_id) == (1_000_000, True)
    assert await shop.available(owner) == 500_000, "the refund that came before counts"
    other = await shop.account()
    async with shop.database.transaction() as session:
        with pytest.raises(RequestInvalid, match="belongs to"):
            await use_cases.assign(session, OFFERS, "pi_2", other.account_id)
        with pytest.raises(NotFound, match="no payment"):
            await use_cases.assign(session, OFFERS, "pi_3", other.account_id)
    await shop.send(completed("pi_4", account=None, customer="cus_2"))
    assert await shop.available(owner) == 1_500_000, "its customer is known from then on"


async def test_what_is_not_for_sale_is_saved_too(shop: Shop) -> None:
    owner = await shop.account()
    await shop.send(completed(account=owner.account_id, currency="eur", metadata={"price": "price_gone"}))
    (payment,) = await shop.list(unmatched=True)
    assert payment.problem == "the catalog sells nothing as price_gone"
    async with shop.database.transaction() as session:
        with pytest.raises(RequestInvalid, match="--credits"):
            await use_cases.assign(session, OFFERS, "pi_1", owner.account_id)
    async with shop.database.transaction() as session:
        await use_cases.assign(session, OFFERS, "pi_1", owner.account_id, 70)
    assert await shop.available(owner) == 70


async def test_a_checkout_and_the_invoice_that_it_made_are_one_payment(shop: Shop) -> None:
    """In any order: the checkout tells whose it is, the invoice what and how many, the charge that half went back."""
    for order in itertools.permutations(range(4)):
        owner, suffix = await shop.account(), uuid4().hex
        invoice = stripe.invoice("in_1", None, PERIOD, price="plink_small")
        invoice["lines"]["data"][0]["quantity"] = 3
        events = [
            completed(account=owner.account_id, amount=2000, customer="cus_1", invoice="in_1"),
            event("invoice.paid", invoice),
            event("invoice_payment.paid", stripe.invoice_payment("in_1", "pi_1")),
            refunded("pi_1", 1000, of=2000),
        ]
        await shop.send(*(_renamed(events[number], suffix) for number in order))
        assert await shop.available(owner) == 150_000, order
    assert (await shop.list(unmatched=True), shop.faults.lines) == ([], [])


async def test_an_invoice_that_does_not_say_what_is_sold_gives_what_its_checkout_names(shop: Shop) -> None:
    for order in itertools.permutations(range(2)):
        owner, suffix = await shop.account(), uuid4().hex
        named = completed(account=owner.account_id, customer="cus_1", invoice="in_1", metadata={"pack": "small"})
        events = [_renamed(one, suffix) for one in (named, event("invoice.paid", stripe.invoice("in_1", None, PERIOD)))]
        events[1]["data"]["object"]["lines"]["data"][0]["pricing"] = None
        await shop.send(events[order[0]])
        (waiting,) = await shop.list(unmatched=True)
        assert (waiting.credits, "invoice.paid" in str(waiting.problem)) == (0, order[0] == 0)
        await shop.send(events[order[1]], named)
        assert await shop.available(owner) == 100_000, order


@pytest.mark.parametrize(
    ("subscription", "prices", "credits"),
    [
        ("sub_1", ["price_pro", "plink_small", "price_setup"], 1_300_000),
        (None, ["plink_small", "price_setup", "plink_small"], 600_000),
        (None, ["price_setup", "price_other"], 2_000_000),
    ],
)
async def test_every_line_of_an_invoice_counts(
    shop: Shop, subscription: str | None, prices: list[str], credits: int
) -> None:
    """A pack of a subscription's first invoice has no length, and its plan has one."""
    owner = await shop.account()
    sent = stripe.invoice("in_1", subscription, PERIOD, metadata={"account_id": str(owner.account_id)})
    (plan,) = sent["lines"]["data"]
    at = plan["period"] if subscription is None else {"start": plan["period"]["start"], "end": plan["period"]["start"]}
    named = [{"pricing": {"price_details": {"price": price}}} for price in prices]
    once: list[dict[str, Any]] = [plan | {"period": at, "quantity": 3, "parent": None} | one for one in named]
    sent["lines"]["data"] = [plan | named[0], *once[1:]] if subscription else once
    await shop.send(event("invoice.paid", sent), event("invoice_payment.paid", stripe.invoice_payment("in_1", "pi_1")))
    assert await shop.available(owner) == credits
    assert (await shop.plan(owner))[1] is (subscription is not None)
    await shop.send(refunded("pi_1", 1000, of=2000))
    assert await shop.available(owner) == credits // 2


def subscribing(account_id: object) -> list[dict[str, Any]]:
    """All events of a subscription's beginning: the checkout, the subscription, its first invoice, what paid it."""
    checkout = stripe.session(
        None, account=str(account_id), mode="subscription", subscription="sub_1", customer="cus_1"
    )
    first = stripe.invoice("in_1", "sub_1", PERIOD, billing_reason="subscription_create")
    return [
        event("checkout.session.completed", checkout),
        event("customer.subscription.created", stripe.subscription("sub_1", period_end=PERIOD[1])),
        event("invoice.paid", first),
        event("invoice_payment.paid", stripe.invoice_payment("in_1", "pi_1")),
    ]


async def test_a_subscription_begins_in_any_order_of_its_events(shop: Shop) -> None:
    for order in itertools.permutations(range(4)):
        owner, suffix = await shop.account(), uuid4().hex
        events = [_renamed(one, suffix) for one in subscribing(owner.account_id)]
        await shop.send(*(events[number] for number in order))
        assert await shop.available(owner) == 1_000_000, order
        assert await shop.plan(owner) == ("pro", True, PERIOD[1] + RENEWAL_GRACE), order
    assert await shop.list(unmatched=True) == []


def _renamed(part: Any, suffix: str) -> Any:
    """The same with its own ids at Stripe."""
    if isinstance(part, dict):
        return {name: _renamed(value, suffix) for name, value in part.items()}
    if isinstance(part, list):
        return [_renamed(value, suffix) for value in part]
    return f"{part}_{suffix}" if part in ("cus_1", "sub_1", "in_1", "pi_1") else part


async def test_a_subscription_renews_ends_and_is_refunded(shop: Shop) -> None:
    owner = await shop.account()
    await shop.send(*subscribing(owner.account_id))
    second = PERIOD[1], month_after(BEGIN, 2)
    await shop.send(event("invoice.paid", stripe.invoice("in_2", "sub_1", second)))
    assert await shop.available(owner) == 2_000_000
    assert await shop.grant_round(second[1] - timedelta(seconds=1)) == 0, "the schedule gives no month a second time"
    assert await shop.plan(owner) == ("pro", True, second[1] + RENEWAL_GRACE)

    ending = stripe.subscription("sub_1", period_end=second[1], cancel_at_period_end=True)
    await shop.send(event("customer.subscription.updated", ending, at=BEGIN + timedelta(days=40)))
    assert await shop.plan(owner) == ("pro", True, second[1])
    going_on = stripe.subscription("sub_1", period_end=second[1])
    await shop.send(event("customer.subscription.updated", going_on, at=BEGIN + timedelta(days=20)))
    assert await shop.plan(owner) == ("pro", True, second[1]), "an older event changes nothing"

    await shop.send(refunded("pi_1", 500, of=2000))
    assert await shop.available(owner) == 1_750_000, "a charge is known by what it has paid"
    over = BEGIN + timedelta(days=41)
    ended = stripe.subscription("sub_1", period_end=second[1], status="canceled", ended_at=int(over.timestamp()))
    await shop.send(event("customer.subscription.deleted", ended, at=over))
    assert await shop.plan(owner) == ("pro", True, over)
    assert await shop.available(owner) == 1_750_000


async def test_a_year_is_given_month_by_month_while_its_subscription_lasts(shop: Shop) -> None:
    owner = await shop.account()
    year = BEGIN - timedelta(days=100), BEGIN + timedelta(days=265)
    paid = stripe.invoice("in_1", "sub_1", year, metadata={"account_id": str(owner.account_id)}, amount_paid=24_000)
    await shop.send(event("invoice.paid", paid))
    given = await shop.available(owner)
    assert given % 1_000_000 == 0
    assert await shop.grant_round(year[0] + timedelta(days=190)) == 1
    assert await shop.available(owner) == 7_000_000
    await shop.send(event("invoice_payment.paid", stripe.invoice_payment("in_1", "pi_1")))
    await shop.send(refunded("pi_1", 12_000, of=24_000))
    assert await shop.available(owner) == 3_500_000
    assert await shop.grant_round(year[0] + timedelta(days=220)) == 1
    assert await shop.available(owner) == 4_000_000, "a later month gives what is still paid of it"
    ended = stripe.subscription("sub_1", period_end=year[1], ended_at=int((year[0] + timedelta(days=230)).timestamp()))
    await shop.send(event("customer.subscription.deleted", ended, at=BEGIN))
    assert await shop.grant_round(year[1]) == 0


async def test_a_payment_that_went_back_whole_has_bought_no_plan(shop: Shop) -> None:
    owner = await shop.account()
    await shop.send(*subscribing(owner.account_id), disputed("pi_1", "needs_response", 2000))
    assert (await shop.plan(owner))[1] is False
    await shop.send(disputed("pi_1", "won", 2000))
    assert await shop.plan(owner) == ("pro", True, PERIOD[1] + RENEWAL_GRACE)
    assert await shop.available(owner) == 1_000_000


async def test_a_change_of_a_subscription_gives_no_second_month(shop: Shop) -> None:
    owner = await shop.account()
    shop.offers = OFFERS.__class__(OFFERS.plans, OFFERS.packs, OFFERS.sold_as, {})
    await shop.send(*subscribing(owner.account_id))
    upgrade = stripe.invoice("in_2", "sub_1", PERIOD, price="price_team", billing_reason="subscription_update")
    await shop.send(event("invoice.paid", upgrade))
    assert await shop.available(owner) == 1_000_000
    assert [payment.id for payment in await shop.list(unmatched=True)] == ["in_2"]


async def test_an_event_that_is_not_genuine_is_refused(shop: Shop) -> None:
    owner = await shop.account()
    body = completed(account=owner.account_id)
    raw, signature = signed(body)
    old, foreign = signed(body, timestamp=int(time.time()) - 301), signed(body, "whsec_of_somebody_else_0123")
    for forged in (
        (raw, ""),
        (raw + b" ", signature),
        (raw, "t=1,v1=0"),
        (raw, "t=1,v1=\xe9"),
        old,
        foreign,
        (b"\xff", signature),
    ):
        with pytest.raises(RequestInvalid, match="signature"):
            await shop.payments.receive(*forged)
    wrongs: list[Any] = [{**body, "livemode": False}, {**body, "data": {}}, {"type": "charge.refunded"}, []]
    wrongs += [{**body, "created": moment} for moment in (1e300, 10**18, -(10**18), 10**12)]
    wrongs += [{**body, "id": None}, completed(account=None, currency=None), refunded("pi_1", -1)]
    wrongs += [completed(account=None, amount=amount) for amount in (-1, 2**63, 2**70)]
    for wrong in wrongs:
        with pytest.raises(RequestInvalid):
            await shop.payments.receive(*signed(wrong))
    assert await shop.available(owner) == 0
    rotating = Payments(
        shop.database, shop.catalog, StripeEvents(["whsec_the_next_one", SECRET], livemode=True), shop.faults
    )
    assert await rotating.receive(raw, signature)
    with pytest.raises(NotFound, match="not set up"):
        await Payments(shop.database, shop.catalog, None, shop.faults).receive(raw, signature)
