"""Stripe's webhook events: checked with Stripe's library, and read as facts. No name, address or card is read.

It reads the fields of the API versions from 2025-03-31 (basil) on, and those of earlier ones where they were moved.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import stripe

from domain.errors import RequestInvalid
from domain.payments import (
    Buyer,
    Disputed,
    Event,
    Fact,
    Line,
    Linked,
    Paid,
    Refunded,
    Subscribed,
    SubscriptionChanged,
)

TOLERANCE = timedelta(minutes=5)
"""How old a signature may be."""
_SIGNATURE = re.compile(r"[a-z0-9]+=[a-z0-9]+(,[a-z0-9]+=[a-z0-9]+)*")
"""Stripe's library reads more than that, and breaks at a text that is not ASCII."""
MAX_ID = 255
MAX_MONEY = 10**15
"""In a currency's smallest unit. The provider takes twelve digits at most."""
MAX_TIME = 10**11
"""In the year 5138."""
_PAID = frozenset(("paid", "no_payment_required"))
_CYCLES = frozenset(("subscription_create", "subscription_cycle"))
Object = Mapping[str, Any]


class StripeEvents:
    """Reads events that one of these endpoint secrets has signed."""

    def __init__(self, secrets: Sequence[str], *, livemode: bool) -> None:
        self._secrets, self._livemode = secrets, livemode

    def read(self, raw: bytes, signature: str) -> Event:
        """Raises `RequestInvalid` for an event that Stripe has not signed, or of the other mode."""
        self._verify(raw, signature)
        try:
            body = orjson.loads(raw)
            if body["livemode"] is not self._livemode:
                other = "live mode" if body["livemode"] else "test mode"
                raise RequestInvalid(f"This is an event of {other}, and this server takes none (YOUT_STRIPE_LIVEMODE).")
            facts = tuple(_facts(body["type"], body["data"]["object"], _time(body["created"])))
            return Event(_text(body["id"]), body["type"], _time(body["created"]), facts)
        except (KeyError, TypeError, AttributeError, ValueError):
            raise RequestInvalid("This event does not have the form of Stripe's events.") from None

    def _verify(self, raw: bytes, signature: str) -> None:
        tolerance = int(TOLERANCE.total_seconds())
        for secret in self._secrets if _SIGNATURE.fullmatch(signature) else ():
            with contextlib.suppress(stripe.SignatureVerificationError, UnicodeDecodeError):
                stripe.WebhookSignature.verify_header(raw, signature, secret, tolerance)
                return
        message = "The signature is not Stripe's, or too old: check the endpoint's secret and this server's clock."
        raise RequestInvalid(message, param="stripe-signature")


def _facts(kind: str, of: Object, at: datetime) -> Iterator[Fact]:
    match kind:
        case "checkout.session.completed" | "checkout.session.async_payment_succeeded":
            yield from _session(of)
        case "invoice.paid":
            yield from _invoice(of)
        case "invoice_payment.paid":
            yield from _links(of)
        case "customer.subscription.created" | "customer.subscription.updated" | "customer.subscription.deleted":
            yield _subscription(of, at, deleted=kind.endswith("deleted"))
        case "charge.refunded":
            yield from _refund(of)
        case (
            "charge.dispute.created"
            | "charge.dispute.updated"
            | "charge.dispute.closed"
            | "charge.dispute.funds_withdrawn"
            | "charge.dispute.funds_reinstated"
        ):
            yield from _dispute(of)


def _session(of: Object) -> Iterator[Fact]:
    buyer = Buyer(
        _account(of.get("client_reference_id")) or _named(of), _id(of.get("customer")), _id(of.get("subscription"))
    )
    if of["mode"] != "payment" or of["payment_status"] not in _PAID:
        yield Subscribed(buyer)
        return
    metadata = of.get("metadata") or {}
    named = (metadata.get(key) for key in ("plan", "pack", "price", "product"))
    lines = (of.get("line_items") or {}).get("data") or ()
    goods = (*named, of.get("payment_link"), *(good for line in lines for good in _goods(line)))
    intent, amount, invoice = _id(of.get("payment_intent")), _money(of["amount_total"]), _id(of.get("invoice"))
    yield Paid(
        payment_id=invoice or intent or _text(of["id"]),
        buyer=buyer,
        amount=amount,
        net=max(0, amount - _money((of.get("total_details") or {}).get("amount_tax"))),
        currency=_text(of["currency"]),
        lines=(Line(_ids(goods)),),
        charges=(intent,) if intent else (),
        invoiced=invoice is not None,
    )


def _invoice(of: Object) -> Iterator[Fact]:
    details = (of.get("parent") or {}).get("subscription_details") or of.get("subscription_details") or {}
    subscription = _id(details.get("subscription")) or _id(of.get("subscription"))
    account = _named(details) or _named(of)
    lines = [line for line in of["lines"]["data"] if not _is_proration(line) and _amount(line["amount"]) >= 0]
    if subscription and of.get("billing_reason") not in _CYCLES:
        lines = []  # it changes a subscription: its credits come with its next period
    lines.sort(key=lambda line: int(line["period"]["end"]), reverse=True)
    total = _money(of["amount_paid"])
    tax = sum(_money(tax["amount"]) for tax in of.get("total_taxes") or ()) or _money(of.get("tax"))
    intents = (_id(of.get("payment_intent")), _id(of.get("charge")))
    yield Paid(
        payment_id=_text(of["id"]),
        buyer=Buyer(account, _id(of.get("customer")), subscription),
        amount=total,
        net=max(0, total - tax),
        currency=_text(of["currency"]),
        lines=tuple(_line(line, subscription) for line in lines),
        charges=tuple(intent for intent in intents[:1] if intent) or tuple(c for c in intents[1:] if c),
    )


def _links(of: Object) -> Iterator[Fact]:
    payment = of.get("payment") or {}
    charge, invoice = _id(payment.get("payment_intent")) or _id(payment.get("charge")), _id(of.get("invoice"))
    if charge and invoice:
        yield Linked(charge, invoice)


def _subscription(of: Object, at: datetime, *, deleted: bool) -> SubscriptionChanged:
    ended = _maybe_time(of.get("ended_at")) or (at if deleted else None)
    cancel = _maybe_time(of.get("cancel_at"))
    if cancel is None and of.get("cancel_at_period_end"):
        items = (of.get("items") or {}).get("data") or ()
        ends = [item.get("current_period_end") for item in items] + [of.get("current_period_end")]
        cancel = max((_time(end) for end in ends if end is not None), default=None)
    subscription = _text(of["id"])
    return SubscriptionChanged(
        subscription, Buyer(_named(of), _id(of.get("customer")), subscription), cancel_at=cancel, ended_at=ended
    )


def _refund(of: Object) -> Iterator[Fact]:
    charge = _charge_of(of, own=_id(of["id"]))
    if invoice := _id(of.get("invoice")):
        yield Linked(charge, invoice)
    yield Refunded(charge, _money(of["amount_refunded"]))


def _dispute(of: Object) -> Iterator[Fact]:
    status = str(of["status"])
    inquiry, closed = status.startswith("warning"), status in ("won", "lost", "warning_closed", "prevented")
    withheld = status == "lost" or not (inquiry or closed)
    charge, dispute = _charge_of(of, own=_id(of.get("charge"))), _text(of["id"])
    yield Disputed(charge, dispute, _money(of["amount"]), withheld, 2 if closed else 0 if inquiry else 1)


def _charge_of(of: Object, own: str | None) -> str:
    charge = _id(of.get("payment_intent")) or own
    if charge is None:
        raise ValueError("no payment intent and no charge")
    return charge


def _goods(line: Object) -> tuple[str | None, ...]:
    """Return the ids of the price and product of a line, in today's form or in the one before."""
    pricing = (line.get("pricing") or {}).get("price_details") or {}
    price = line.get("price") or line.get("plan") or {}
    return pricing.get("price"), price.get("id"), pricing.get("product"), price.get("product")


def _line(of: Object, subscription: str | None) -> Line:
    quantity, period = max(1, _amount(of.get("quantity"))), of["period"]
    return Line(_ids(_goods(of)), quantity, (_time(period["start"]), _time(period["end"])) if subscription else None)


def _is_proration(line: Object) -> bool:
    parent = line.get("parent") or {}
    details = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    return bool(details.get("proration") or line.get("proration"))


def _named(of: Object) -> UUID | None:
    return _account((of.get("metadata") or {}).get("account_id"))


def _account(given: object) -> UUID | None:
    try:
        return UUID(str(given)) if given else None
    except ValueError:
        return None


def _id(given: object) -> str | None:
    """Return the id of an object, which Stripe gives as such or within the whole object."""
    value = given.get("id") if isinstance(given, Mapping) else given
    return value[:MAX_ID] if isinstance(value, str) and value else None


def _text(given: object) -> str:
    """Return an id, or a name, without which an event means nothing. Raises ValueError."""
    value = _id(given)
    if value is None:
        raise ValueError("not a name")
    return value


def _ids(given: Sequence[object]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(known for each in given if (known := _id(each))))


def _amount(given: Any) -> int:
    if given is not None and (isinstance(given, bool) or not isinstance(given, int)):
        raise ValueError("not an amount")
    return given or 0


def _money(given: Any) -> int:
    """Return an amount that was paid, or went back: never below zero, and no more than anybody pays."""
    amount = _amount(given)
    if not 0 <= amount <= MAX_MONEY:
        raise ValueError("not an amount of money")
    return amount


def _time(seconds: Any) -> datetime:
    if not 0 <= seconds <= MAX_TIME:
        raise ValueError("not a time")
    return datetime.fromtimestamp(int(seconds), UTC)


def _maybe_time(seconds: Any) -> datetime | None:
    return None if seconds is None else _time(seconds)
