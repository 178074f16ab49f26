"""Events as Stripe sends them (API version 2026-10-28), with the fields that a real one has around those that are read.

The personal data in them must never be stored: `PERSONAL` is what a test looks for.
"""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import stripe

API_VERSION = "2026-10-28.endive"
SECRET = "whsec_of_the_tests_only_0123456789"
PERSONAL = "jenny.rosen"
BEGIN = datetime(2026, 11, 29, 6, tzinfo=UTC)
Object = dict[str, Any]


def event(kind: str, of: Object, *, at: datetime = BEGIN, livemode: bool = True, event_id: str | None = None) -> Object:
    return {
        "id": event_id or f"evt_{uuid4().hex[:24]}",
        "object": "event",
        "api_version": API_VERSION,
        "created": int(at.timestamp()),
        "data": {"object": of},
        "livemode": livemode,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }


def signed(body: Object, secret: str = SECRET, *, timestamp: int | None = None) -> tuple[bytes, str]:
    """The body as it is sent, and its `Stripe-Signature`."""
    text = json.dumps(body, indent=2)
    return text.encode(), stripe.WebhookSignature.generate_signature_header(text, secret, timestamp)


def session(intent: str | None, *, account: UUID | str | None, amount: int = 1000, **more: Any) -> Object:
    """A checkout session that was paid at once."""
    return {
        "id": f"cs_live_{uuid4().hex}",
        "object": "checkout.session",
        "amount_subtotal": amount,
        "amount_total": amount,
        "client_reference_id": None if account is None else str(account),
        "currency": "usd",
        "customer": None,
        "customer_details": {"email": f"{PERSONAL}@example.test", "name": PERSONAL, "address": {"city": PERSONAL}},
        "invoice": None,
        "livemode": True,
        "metadata": {},
        "mode": "payment",
        "payment_intent": intent,
        "payment_link": None,
        "payment_status": "paid",
        "status": "complete",
        "subscription": None,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
    } | more


def invoice(
    invoice_id: str,
    subscription: str | None,
    period: tuple[datetime, datetime],
    *,
    price: str = "price_pro",
    **more: Any,
) -> Object:
    """An invoice that was paid; `amount_paid` and others by `more`."""
    amount = more.get("amount_paid", 2000)
    start, end = (int(time.timestamp()) for time in period)
    line = {
        "id": f"il_{uuid4().hex[:24]}",
        "object": "line_item",
        "amount": amount,
        "currency": "usd",
        "description": "1 x Pro (at $20.00 / month)",
        "parent": {
            "type": "subscription_item_details",
            "subscription_item_details": {
                "proration": False,
                "subscription": subscription,
                "subscription_item": "si_1",
            },
        },
        "period": {"start": start, "end": end},
        "pricing": {"type": "price_details", "price_details": {"price": price, "product": f"prod_{price[6:]}"}},
        "quantity": 1,
    }
    details: Object = {"metadata": {}, "subscription": subscription}
    return {
        "id": invoice_id,
        "object": "invoice",
        "amount_due": amount,
        "amount_paid": amount,
        "billing_reason": "subscription_cycle" if subscription else "manual",
        "currency": "usd",
        "customer": "cus_1",
        "customer_email": f"{PERSONAL}@example.test",
        "customer_name": PERSONAL,
        "lines": {"object": "list", "data": [line], "has_more": False, "total_count": 1},
        "livemode": True,
        "metadata": {},
        "parent": {"type": "subscription_details", "subscription_details": details} if subscription else None,
        "status": "paid",
        "total_taxes": [],
    } | more


def invoice_payment(invoice_id: str, intent: str) -> Object:
    return {
        "id": f"inpay_{uuid4().hex[:24]}",
        "object": "invoice_payment",
        "amount_paid": 2000,
        "currency": "usd",
        "invoice": invoice_id,
        "livemode": True,
        "payment": {"type": "payment_intent", "payment_intent": intent},
        "status": "paid",
    }


def subscription(subscription_id: str, *, period_end: datetime, **more: Any) -> Object:
    end = int(period_end.timestamp())
    return {
        "id": subscription_id,
        "object": "subscription",
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "customer": "cus_1",
        "ended_at": None,
        "items": {"object": "list", "data": [{"id": "si_1", "current_period_end": end, "price": {"id": "price_pro"}}]},
        "livemode": True,
        "metadata": {},
        "status": "active",
    } | more


def charge(intent: str, *, amount: int = 1000, refunded: int) -> Object:
    return {
        "id": f"ch_{intent}",
        "object": "charge",
        "amount": amount,
        "amount_refunded": refunded,
        "billing_details": {"email": f"{PERSONAL}@example.test", "name": PERSONAL},
        "currency": "usd",
        "livemode": True,
        "payment_intent": intent,
        "payment_method_details": {"card": {"fingerprint": PERSONAL, "last4": "4242"}, "type": "card"},
        "refunded": refunded == amount,
        "status": "succeeded",
    }


def dispute(intent: str, dispute_id: str, status: str, *, amount: int = 1000) -> Object:
    return {
        "id": dispute_id,
        "object": "dispute",
        "amount": amount,
        "charge": f"ch_{intent}",
        "currency": "usd",
        "evidence": {"customer_name": PERSONAL},
        "livemode": True,
        "payment_intent": intent,
        "reason": "fraudulent",
        "status": status,
    }
