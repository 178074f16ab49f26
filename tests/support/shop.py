"""A gateway's payments on a real database: what it sells, its customers' accounts, and what becomes of events."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import text

from db import accounts, payment_lists
from db.audit import audit
from db.engine import Database
from db.payment_lists import Payment
from db.writer import LedgerWriter
from domain.catalog import Catalog, ExchangeRate
from domain.payments import Offers, Pack
from domain.plans import Plan
from domain.rounds import MaintenanceErrors
from gateway.payments import Payments
from gateway.plans import PlanGrants
from providers.stripe_events import StripeEvents
from tests.support.bank import Customer, open_account
from tests.support.stripe_events import SECRET, signed

OFFERS = Offers(
    {"pro": Plan("pro", "Pro", 1_000_000), "team": Plan("team", "Team", 5_000_000)},
    {"small": Pack("small", "Small", 100_000)},
    {"price_pro": "pro", "prod_team": "team", "plink_small": "small"},
    {"usd": Decimal(100_000)},
)


class Faults:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def report(self, what: str, *, where: str, remedy: str, **values: object) -> None:
        self.lines.append(f"{what} {where} {remedy} {values}")

    def clear(self, where: str) -> None:
        self.lines = [line for line in self.lines if where not in line]


@dataclass
class Shop:
    database: Database
    ledger: LedgerWriter
    offers: Offers = OFFERS

    def __post_init__(self) -> None:
        self.faults = Faults()
        self.errors = MaintenanceErrors(self.faults, lambda error: type(error).__name__)
        self.payments = Payments(self.database, self.catalog, StripeEvents([SECRET], livemode=True), self.faults)
        self.grants = PlanGrants(self.database, self.catalog, self.errors, batch=2)

    def catalog(self) -> Catalog:
        return Catalog(exchange=ExchangeRate(), providers={}, models={}, offers=self.offers)

    async def account(self, credits: int = 0) -> Customer:
        return await open_account(self.database, self.ledger, credits)

    async def send(self, *events: dict[str, Any]) -> list[bool]:
        return [await self.payments.receive(*signed(event)) for event in events]

    async def balance(self, account_id: UUID) -> accounts.Balance:
        async with self.database.reading() as session:
            return await accounts.balance(session, account_id)

    async def available(self, customer: Customer) -> int:
        return (await self.balance(customer.account_id)).available

    async def plan(self, customer: Customer) -> tuple[str | None, bool, datetime | None]:
        balance = await self.balance(customer.account_id)
        return balance.plan, balance.plan_active, balance.plan_until

    async def list(self, *, unmatched: bool = False) -> list[Payment]:
        async with self.database.reading() as session:
            return await payment_lists.payments(session, unmatched=unmatched, limit=100)

    async def grant_round(self, now: datetime | None = None) -> int:
        """All batches of one round."""
        given, after = 0, None
        while True:
            batch = await self.grants.give(after, now)
            given += batch.given
            after = batch.after
            if after is None:
                return given

    async def audited(self) -> dict[str, int]:
        async with self.database.connection() as connection:
            return (await audit(connection)).counts

    async def everything(self) -> str:
        """All that is stored of payments, as text."""
        tables = ("payments", "payment_charges", "payment_customers", "payment_subscriptions", "payment_events")
        async with self.database.reading() as session:
            connection = await session.connection()
            rows = [await connection.execute(text(f"SELECT t::text FROM {table} t")) for table in tables]
            return "\n".join(str(row[0]) for part in rows for row in part)
