"""Accounts and the users who own them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import LiteralString
from uuid import UUID

from sqlalchemy import text
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import data_keys
from db.engine import Database
from db.tables import AccountRow, UserRow
from domain import email_addresses
from domain.errors import NotFound, RequestInvalid
from domain.house_account import HOUSE_ACCOUNT
from domain.sealing import Wrapping

VISITORS = "visitors"
"""The operator's name of the house account."""
_BALANCE: LiteralString = """
SELECT available, held, plan, plan_active, plan_until FROM accounts WHERE id = %(account)s
"""


@dataclass(frozen=True, slots=True)
class Balance:
    available: int
    held: int
    plan: str | None
    plan_active: bool
    plan_until: datetime | None = None


async def create(session: AsyncSession, wrapping: Wrapping, *, account_id: UUID, user_id: UUID, email: str) -> None:
    """Create an account without credits, its user and its data key. Raises `RequestInvalid` for a known address."""
    email = email_addresses.normalized(email)
    await lock_email(session, email)
    taken = await of_email(session, email)
    if taken is not None:
        raise RequestInvalid(f"The e-mail address already has the account {taken}.", param="email")
    session.add(AccountRow(id=account_id))
    await session.flush()
    session.add(UserRow(id=user_id, account_id=account_id, email=email))
    await data_keys.provision(session, wrapping, account_id, 1)


async def lock_email(session: AsyncSession, email: str) -> None:
    """Let one transaction at a time give this address to a user. Take it before every other lock."""
    statement = text("SELECT pg_advisory_xact_lock(hashtextextended('email ' || :email, 0))")
    await (await session.connection()).execute(statement, {"email": email})


async def lock(session: AsyncSession, account_id: UUID) -> None:
    """Lock the account until the transaction ends: none of its credits move.

    Take it after a job's row, and before keys and holds.
    """
    await session.exec(select(AccountRow.id).where(AccountRow.id == account_id).with_for_update())


async def suspend(session: AsyncSession, account_id: UUID, *, suspended: bool) -> bool:
    """Suspend or resume an account, from this transaction's commit on. Calls in flight continue.

    Returns False if nothing changed.
    """
    await lock(session, account_id)
    row = await _row(session, account_id)
    if (row.suspended_at is not None) == suspended:
        return False
    row.suspended_at = datetime.now(UTC) if suspended else None
    session.add(row)
    return True


async def recognise_retries(session: AsyncSession, account_id: UUID, *, recognised: bool) -> bool:
    """Set whether a stock SDK's retry of a call is answered with that call's answer. False if nothing changed."""
    await lock(session, account_id)
    row = await _row(session, account_id)
    changed = row.recognise_retries != recognised
    row.recognise_retries = recognised
    session.add(row)
    return changed


async def _row(session: AsyncSession, account_id: UUID) -> AccountRow:
    row = await session.get(AccountRow, account_id)
    if row is None:
        raise NotFound("There is no such account.")
    return row


async def epoch(session: AsyncSession, account_id: UUID) -> int:
    """Return the account's epoch. What is written belongs to it; a purge begins a new one."""
    value = (await session.exec(select(AccountRow.epoch).where(AccountRow.id == account_id))).one_or_none()
    if value is None:
        raise NotFound("There is no such account.")
    return value


def is_active(plan_active: bool, plan_until: datetime | None, now: datetime) -> bool:
    return plan_active and (plan_until is None or plan_until > now)


async def balance(session: AsyncSession, account_id: UUID, *, fresh: bool = False) -> Balance:
    """`fresh`: read it again, after the ledger may have moved credits in this transaction."""
    row = await _row(session, account_id)
    if fresh:
        await session.refresh(row)
    active = is_active(row.plan_active, row.plan_until, datetime.now(UTC))
    return Balance(row.available, row.held, row.plan, active, row.plan_until)


async def committed_balance(database: Database, account_id: UUID) -> Balance:
    """Return what is committed, outside of a transaction. Raises `NotFound`."""
    rows = await database.rows(_BALANCE, {"account": account_id})
    if not rows:
        raise NotFound("There is no such account.")
    ((available, held, plan, plan_active, plan_until),) = rows
    return Balance(available, held, plan, is_active(plan_active, plan_until, datetime.now(UTC)), plan_until)


async def of_email(session: AsyncSession, email: str) -> UUID | None:
    query = select(UserRow.account_id).where(UserRow.email == email.strip().lower())
    return (await session.exec(query)).one_or_none()


async def find(session: AsyncSession, named: str) -> UUID:
    """Find an account by its id or its user's e-mail address; `visitors` is who pays for them. Raises `NotFound`."""
    named = str(HOUSE_ACCOUNT) if named == VISITORS else named
    try:
        account_id = (await session.exec(select(AccountRow.id).where(AccountRow.id == UUID(named)))).one_or_none()
    except ValueError:
        account_id = await of_email(session, named)
    if account_id is None:
        raise NotFound(f"There is no account '{named}'.")
    return account_id
