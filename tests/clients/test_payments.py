"""Plans and payments over HTTP: a model for a plan, Stripe's webhook, and the operator's commands beside it."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx2

from api.payments import MAX_EVENT_BYTES
from domain.plans import month_after
from tests.clients.conftest import OpenAccountClient
from tests.support import stripe_events as stripe
from tests.support.account_client import AccountClient
from tests.support.stack import Stack

WEBHOOK = "/api/billing/stripe/webhook/"


async def post(stack: Stack, body: bytes, signature: str | None, path: str = WEBHOOK) -> httpx2.Response:
    headers = {b"content-type": b"application/json; charset=utf-8"}
    if signature is not None:
        headers[b"stripe-signature"] = signature.encode("latin-1")
    async with httpx2.AsyncClient(base_url=stack.url, timeout=30) as http:
        return await http.post(path, content=body, headers=headers)


async def send(stack: Stack, kind: str, of: dict[str, Any]) -> httpx2.Response:
    return await post(stack, *stripe.signed(stripe.event(kind, of)))


async def pro_call(owner: AccountClient) -> tuple[int, str | None]:
    answer = await owner.chat("test-pro")
    code = None if answer.status_code == 200 else answer.json()["error"]["code"]
    return answer.status_code, code


async def test_a_model_for_a_plan_from_its_start_to_its_end(owner: AccountClient, stack: Stack) -> None:
    account = str(owner.customer.account_id)
    assert await pro_call(owner) == (403, "pro_required")
    started = stack.yout("plans", "start", account, "pro")
    assert (started["plan_active"], started["credits_given"], started["repeated"]) == (True, 5000, False)
    assert stack.yout("plans", "start", account, "pro")["repeated"]
    assert await pro_call(owner) == (200, None)
    limit = (await owner.http.get("/api/chat/limit/")).json()
    assert (limit["plan"], limit["plan_active"]) == ("pro", True)
    assert {"plan": "pro", "name": "pro", "credits_per_month": 5000, "accounts": 1} in stack.yout("plans", "list")
    (term,) = stack.yout("plans", "show", account)["terms"]
    assert (term["plan"], term["months_given"], term["payment_id"]) == ("pro", 1, None)

    assert not stack.yout("plans", "end", account)["plan_active"]
    assert await pro_call(owner) == (403, "pro_required")
    assert (await owner.http.get("/api/chat/limit/")).json()["plan_active"] is False
    models = (await owner.http.get("/api/chat/models/")).json()["data"]
    assert {model["id"]: model["disabled_reason"] for model in models}["test-pro"] == "pro_required"


async def test_a_subscription_that_is_paid_opens_it_too(owner: AccountClient, stack: Stack) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    paid = stripe.invoice("in_http", "sub_http", (now, month_after(now, 1)), customer="cus_http")
    paid["metadata"] = {"account_id": str(owner.customer.account_id)}
    before = (await owner.http.get("/api/chat/limit/")).json()["balance"]
    assert (await send(stack, "invoice.paid", paid)).json() == {"received": True, "processed": True}
    assert await pro_call(owner) == (200, None)
    assert (await owner.http.get("/api/chat/limit/")).json()["balance"] < before + 5000
    entries = (await owner.get("/statement/"))["data"]
    assert [entry["note"] for entry in entries if entry["kind"] == "grant"][-1].startswith("plan pro, month from ")
    over = stripe.subscription("sub_http", period_end=now, customer="cus_http", ended_at=int(now.timestamp()))
    assert (await send(stack, "customer.subscription.deleted", over)).status_code == 200
    assert await pro_call(owner) == (403, "pro_required")


async def test_credits_come_and_go_and_the_operator_sees_it(new_owner: OpenAccountClient, stack: Stack) -> None:
    owner = await new_owner(0)
    account = str(owner.customer.account_id)
    event = stripe.signed(
        stripe.event("checkout.session.completed", stripe.session("pi_http", account=account, amount=2500))
    )
    answers = await asyncio.gather(*(post(stack, *event) for _ in range(4)), post(stack, *event, path=WEBHOOK[:-1]))
    assert sorted(answer.json()["processed"] for answer in answers) == [False] * 4 + [True]
    assert (await send(stack, "charge.refunded", stripe.charge("pi_http", amount=2500, refunded=500))).is_success
    assert (await owner.http.get("/api/chat/limit/")).json()["balance"] == 2000

    await send(stack, "checkout.session.completed", stripe.session("pi_nobody", account=None, amount=100))
    (lost,) = [one for one in stack.yout("payments", "list", "--unmatched") if one["id"] == "pi_nobody"]
    assert lost["problem"] == "no account is known for it"
    assert "pi_nobody" in stack.log("api")
    assigned = stack.yout("payments", "assign", "pi_nobody", account)
    assert (assigned["credits"], assigned["repeated"]) == (100, False)
    assert stack.yout("payments", "assign", "pi_nobody", account)["repeated"]
    assert (await owner.http.get("/api/chat/limit/")).json()["balance"] == 2100
    assert stripe.PERSONAL not in stack.log("api")
    assert stack.yout("audit")["clean"]


async def test_what_is_not_stripes_is_refused_in_our_words(stack: Stack) -> None:
    raw, signature = stripe.signed(stripe.event("customer.created", {"id": "cus_1", "object": "customer"}))
    assert (await post(stack, raw, signature)).json() == {"received": True, "processed": False}
    test_mode = stripe.signed(stripe.event("charge.refunded", stripe.charge("pi_1", refunded=1), livemode=False))
    answers = {
        "no signature": await post(stack, raw, None),
        "no ASCII": await post(stack, raw, signature[:-1] + "\u00fc"),
        "another body": await post(stack, raw.replace(b"cus_1", b"cus_2"), signature),
        "another secret": await post(stack, *stripe.signed(json.loads(raw), "whsec_of_somebody_else_0123")),
        "test mode": await post(stack, *test_mode),
    }
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 400)
    errors = {name: answer.json()["error"] for name, answer in answers.items()}
    assert {error["code"] for error in errors.values()} == {"invalid_value"}
    assert {errors[name]["param"] for name in ("no signature", "no ASCII")} == {"stripe-signature"}
    assert "YOUT_STRIPE_LIVEMODE" in errors["test mode"]["message"]
    large = await post(stack, b" " * (MAX_EVENT_BYTES + 1), signature)
    assert (large.status_code, large.json()["error"]["code"]) == (413, "request_too_large")
    async with httpx2.AsyncClient(base_url=stack.url) as http:
        assert (await http.get(WEBHOOK)).status_code == 405
