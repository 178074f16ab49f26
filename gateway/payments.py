"""Payments come in: each event is processed once, whole, before it is answered."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from db import payments as stored
from db import plans
from db.clawbacks import load
from db.engine import Database, Session
from domain.catalog import Catalog
from domain.errors import NotFound, RequestInvalid
from domain.faults import FaultLog
from domain.payments import Buyer, Event, Offers

NOT_SET_UP = "events of Stripe are refused"
NOT_GENUINE = "an event is not Stripe's, or of the other mode"
UNMATCHED = "a payment has given nothing yet"
_SECRETS = "YOUT_STRIPE_WEBHOOK_SECRETS"


class EventReader(Protocol):
    """The payment provider's events."""

    def read(self, raw: bytes, signature: str) -> Event:
        """Raises `RequestInvalid` for an event that the provider has not signed."""


class Payments:
    def __init__(
        self, database: Database, catalog: Callable[[], Catalog], reader: EventReader | None, faults: FaultLog
    ) -> None:
        """Without a reader, payments are not set up here."""
        self._database, self._catalog, self._reader, self._faults = database, catalog, reader, faults
        self._turn = asyncio.Lock()
        """One event at a time: others wait without a connection of the pool."""

    async def receive(self, raw: bytes, signature: str) -> bool:
        """Process an event. Returns False if it was processed before, or means nothing to us.

        Raises `NotFound` if payments are not set up, and `RequestInvalid` for an event that is not genuine.
        """
        if self._reader is None:
            self._faults.report(NOT_SET_UP, where=_SECRETS, remedy="set it: docs/payments.md")
            raise NotFound("Payments are not set up on this server.")
        try:
            event = self._reader.read(raw, signature)
        except RequestInvalid:
            remedy = "if Stripe's dashboard shows failed deliveries, compare the endpoint's secret and its mode"
            self._faults.report(NOT_GENUINE, where=_SECRETS, remedy=remedy)
            raise
        self._faults.clear(_SECRETS)
        if not event.facts:
            return False
        async with self._turn, self._database.transaction() as session:
            outcome = await stored.apply(session, event, self._catalog().offers, datetime.now(UTC))
        for payment, problem in outcome.payments.items():
            where, remedy = f"payment {payment}", "yout payments list --unmatched, then yout payments assign"
            if problem is None:
                self._faults.clear(where)
            else:
                self._faults.report(UNMATCHED, where=where, remedy=remedy, problem=problem)
        return outcome.processed


async def assign(
    session: Session, offers: Offers, payment_id: str, account_id: UUID, credits: int | None = None
) -> tuple[int, bool]:
    """Give an account what a payment has bought that was not matched; or `credits`, if the catalog does not sell it.

    Returns the payment's credits, and whether it had been done before. Raises `RequestInvalid` for a payment of another
    account, and for one that the catalog does not sell.
    """
    await plans.lock(session)
    payment = await load(session, payment_id)
    if payment.account_id not in (None, account_id):
        raise RequestInvalid(f"This payment belongs to the account {payment.account_id}.")
    if payment.problem is None:
        return payment.credits, True
    now = datetime.now(UTC)
    facts = stored.Facts(session, offers, now, now)
    payment.account_id = account_id
    if credits is None:
        await facts.match(payment, account_id)
    else:
        session.add(payment)
        await session.flush()
        await facts.grant(payment, credits, "credits")
    if payment.problem is not None:
        raise RequestInvalid(f"Nothing was given: {payment.problem}. Give --credits.")
    await facts.know(Buyer(account_id, payment.customer, payment.subscription_id))
    return payment.credits, False
