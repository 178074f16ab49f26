"""Accounts: who gets one, with which key and which credits. Part of the caller's transaction, which commits."""

from dataclasses import dataclass, field
from uuid import UUID

from db import accounts as stored
from db import keys as stored_keys
from db import ledger
from db.engine import Session, raw
from domain import keys as tokens
from domain.operations import Grant
from domain.sealing import Wrapping
from gateway import keys
from gateway.ids import new_id
from gateway.keys import KeyOrder


@dataclass(frozen=True, slots=True)
class AccountOrder:
    """An account to open. The order holds its ids, so an order that is carried out twice opens one account."""

    email: str = field(repr=False)
    key: KeyOrder
    credits: int = 0
    exist_ok: bool = False
    """The address's account gets the key when there is one, and no credits."""
    account_id: UUID = field(default_factory=new_id)
    user_id: UUID = field(default_factory=new_id)


def first_key(name: str) -> KeyOrder:
    """A key with every scope: its owner makes narrower ones with it."""
    return KeyOrder(name, sorted(tokens.SCOPES))


async def open_account(session: Session, wrapping: Wrapping, order: AccountOrder) -> UUID:
    """Open the account with its key and its credits, or nothing. Raises `RequestInvalid` for a taken address."""
    known = await stored.of_email(session, order.email)
    if known is not None and await stored_keys.lives(session, order.key.key_id):
        return known  # this order has been carried out
    if known is None or not order.exist_ok:
        new_id, user = order.account_id, order.user_id
        await stored.create(session, wrapping, account_id=new_id, user_id=user, email=order.email)
    account_id = known or order.account_id
    await keys.create(session, account_id, None, order.key)
    if known is None and order.credits:
        grant = Grant(account_id, order.credits, f"opening:{account_id}")
        (result,) = await ledger.execute(await raw(session), [grant])
        if isinstance(result, Exception):
            raise result
    return account_id
