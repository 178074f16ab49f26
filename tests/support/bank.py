"""A small bank for the ledger's tests: accounts with credits, and operations on them."""

import os
import uuid
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

import psycopg

from db import accounts, keys
from db.engine import Database
from db.keys import KeyTraits, NewKey
from db.writer import LedgerWriter
from domain import keys as tokens
from domain.authority import Authority
from domain.meters import TokenPrices, per_thousand
from domain.operations import Grant, Reserve, Settle, Void
from domain.pricing import TextTerms, Usage, UsageSource
from domain.sealing import Wrapping

WRAPPING = Wrapping.of("a master secret of the tests, long enough")
_RATE = Decimal(1000)
PRICES = TokenPrices(per_thousand(input=_RATE, output=_RATE))


@dataclass(frozen=True, slots=True)
class Customer:
    account_id: UUID
    token: str

    @property
    def digest(self) -> bytes:
        return tokens.digest(self.token)


async def open_account(
    database: Database, ledger: LedgerWriter, credits: int, wrapping: Wrapping = WRAPPING
) -> Customer:
    account_id, token = uuid.uuid4(), tokens.mint(os.urandom(32))
    async with database.transaction() as session:
        email = f"{account_id.hex}@example.test"
        await accounts.create(session, wrapping, account_id=account_id, user_id=uuid.uuid4(), email=email)
        await keys.create(
            session, account_id, NewKey(uuid.uuid4(), token, KeyTraits("first"), Authority(tokens.SCOPES))
        )
    if credits:
        await ledger.ask(Grant(account_id, credits, f"opening:{account_id}"))
    return Customer(account_id, token)


def reserve(customer: Customer, amount: int, hold_id: UUID | None = None) -> Reserve:
    """A call that holds `amount` credits: one a token, no input."""
    terms = TextTerms(PRICES, "v1", 0, 0, amount, amount)
    return Reserve(hold_id or uuid.uuid4(), "chat", "chat", "m", terms, customer.digest)


def settle(customer: Customer, hold_id: UUID, tokens_out: int) -> Settle:
    return Settle(hold_id, customer.account_id, Usage(0, tokens_out, UsageSource.PROVIDER))


def void(customer: Customer, hold_id: UUID) -> Void:
    return Void(hold_id, customer.account_id, "chat", "m")


async def balance(url: str, customer: Customer) -> tuple[int, int, int]:
    """Available, held, open holds."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute(
            "SELECT available, held, open_holds FROM accounts WHERE id = %s", [customer.account_id]
        )
        row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1], row[2]
