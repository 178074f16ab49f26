"""Users, as sign-in knows them: addresses, password hashes, and one-time links.

A request for a link writes one row, for a known address and for an unknown one: both take the same work.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

from sqlalchemy import text, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.engine import Database
from db.tables import AccountRow, UserRow
from domain.errors import NotFound
from domain.media import Kind

MAX_COUNTED_JOBS = 10
"""An account may have more running jobs. Its owner is told so many."""


_PROFILE: LiteralString = """
SELECT u.email, u.email_verified_at IS NOT NULL, a.created_at, a.available, a.held, a.plan, a.plan_active, (
    SELECT count(*) FROM (SELECT FROM holds WHERE account_id = a.id AND state = 'open' AND kind = ANY(%(kinds)s::text[])
                          LIMIT %(limit)s) AS jobs)
FROM users u JOIN accounts a ON a.id = u.account_id WHERE u.account_id = %(account)s
"""


@dataclass(frozen=True, slots=True, repr=False)
class User:
    id: UUID
    account_id: UUID
    email: str = field(repr=False)
    email_verified: bool
    password: str | None = field(repr=False)
    """A hash. None: not chosen yet."""
    suspended: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """What is told to an account's owner about the account."""

    account_id: UUID
    email: str = field(repr=False)
    email_verified: bool
    created_at: datetime
    balance: int
    held: int
    plan: str | None
    plan_active: bool
    running_jobs: int
    """Media jobs that hold credits. At most `MAX_COUNTED_JOBS` are counted."""


@dataclass(frozen=True, slots=True, repr=False)
class NewLink:
    digest: bytes
    email: str = field(repr=False)
    lifetime: timedelta


@dataclass(frozen=True, slots=True, repr=False)
class Link:
    """A link that was used."""

    purpose: str
    user_id: UUID | None
    email: str = field(repr=False)
    password: str | None = field(repr=False)
    mailed: bool


_SIGN_UP = text("""
INSERT INTO one_time_links (digest, purpose, email, password, mailed, expires_at)
SELECT :digest, CASE WHEN known THEN 'none' ELSE 'sign_up' END, :email, CASE WHEN NOT known THEN :password END, true,
       now() + CAST(:lifetime AS interval)
FROM (SELECT EXISTS (SELECT FROM users WHERE email = :email) AS known)
RETURNING purpose
""")
_SIGN_UP_AGAIN = text("""
INSERT INTO one_time_links (digest, purpose, user_id, email, password, mailed, expires_at)
SELECT :digest, CASE WHEN u.id IS NOT NULL THEN 'verify' WHEN p.password IS NOT NULL THEN 'sign_up' ELSE 'none' END,
       u.id, :email, CASE WHEN u.id IS NULL THEN p.password END, true, now() + CAST(:lifetime AS interval)
FROM (SELECT) AS one
LEFT JOIN users u ON u.email = :email AND u.email_verified_at IS NULL
LEFT JOIN LATERAL (
    SELECT l.password FROM one_time_links l
    WHERE l.email = :email AND l.purpose = 'sign_up' AND l.expires_at > now()
        AND NOT EXISTS (SELECT FROM users k WHERE k.email = :email)
    ORDER BY l.created_at DESC, l.digest LIMIT 1) p ON true
RETURNING purpose
""")
_RESET = text("""
INSERT INTO one_time_links (digest, purpose, user_id, email, mailed, expires_at)
SELECT :digest, CASE WHEN u.id IS NULL THEN 'none' ELSE 'reset' END, u.id, :email, :mailed,
       now() + CAST(:lifetime AS interval)
FROM (SELECT) AS one LEFT JOIN users u ON u.email = :email
RETURNING purpose
""")
_CHANGE_EMAIL = text("""
INSERT INTO one_time_links (digest, purpose, user_id, email, mailed, expires_at)
SELECT :digest, CASE WHEN taken THEN 'none' ELSE 'change_email' END,
       CASE WHEN NOT taken THEN CAST(:user_id AS uuid) END, :email, true, now() + CAST(:lifetime AS interval)
FROM (SELECT EXISTS (SELECT FROM users WHERE email = :email) AS taken)
RETURNING purpose
""")
_USE = text("""
DELETE FROM one_time_links WHERE digest = :digest AND expires_at > now() AND purpose = ANY(CAST(:purposes AS text[]))
RETURNING purpose, user_id, email, password, mailed
""")
_LIVES = text("""
SELECT email FROM one_time_links WHERE digest = :digest AND expires_at > now()
    AND purpose = ANY(CAST(:purposes AS text[]))
""")


async def of_email(session: AsyncSession, email: str) -> User | None:
    return await _user(session, UserRow.email == email)


async def of_id(session: AsyncSession, user_id: UUID, *, lock: bool = False) -> User:
    """Return a user. With `lock`, no other transaction changes the user until this one ends. Raises `NotFound`."""
    if lock:
        await session.exec(select(UserRow.id).where(UserRow.id == user_id).with_for_update())
    user = await _user(session, UserRow.id == user_id)
    if user is None:
        raise NotFound
    return user


async def _user(session: AsyncSession, condition: Any) -> User | None:
    query = select(UserRow, AccountRow.suspended_at).join(AccountRow, col(AccountRow.id) == col(UserRow.account_id))
    row = (await session.exec(query.where(condition).execution_options(populate_existing=True))).one_or_none()
    if row is None:
        return None
    user, suspended_at = row
    verified = user.email_verified_at is not None
    return User(user.id, user.account_id, user.email, verified, user.password, suspended_at is not None)


async def profile(database: Database, account_id: UUID) -> Profile:
    """Raises `NotFound`."""
    values = {"account": account_id, "kinds": [kind.value for kind in Kind], "limit": MAX_COUNTED_JOBS}
    rows = await database.rows(_PROFILE, values)
    if not rows:
        raise NotFound
    return Profile(account_id, *rows[0])


async def set_password(session: AsyncSession, user_id: UUID, hashed: str) -> None:
    await session.exec(update(UserRow).where(col(UserRow.id) == user_id).values(password=hashed))


async def verify_email(session: AsyncSession, user_id: UUID, email: str) -> bool:
    """Note that the user reads this address. False if it is not the user's any more."""
    owner = (col(UserRow.id) == user_id, col(UserRow.email) == email)
    values: dict[str, Any] = {"email_verified_at": text("coalesce(email_verified_at, now())")}
    return bool((await session.exec(update(UserRow).where(*owner).values(**values))).rowcount)


async def change_email(session: AsyncSession, user_id: UUID, email: str, *, verified: bool) -> None:
    """Give the user another address, which nobody has: the caller holds its lock."""
    at = text("now()") if verified else None
    await session.exec(update(UserRow).where(col(UserRow.id) == user_id).values(email=email, email_verified_at=at))


async def add_sign_up_link(session: AsyncSession, link: NewLink, password: str) -> bool:
    """Add a link that opens an account with this password. False if the address has one: nobody can use that link."""
    return await _add(session, _SIGN_UP, link, password=password) == "sign_up"


async def add_verification_link(session: AsyncSession, link: NewLink) -> bool:
    """Add a link that verifies an address: of a sign-up that waits for it, or of a user. False if there is none."""
    return await _add(session, _SIGN_UP_AGAIN, link) != "none"


async def add_reset_link(session: AsyncSession, link: NewLink, *, mailed: bool = True) -> bool:
    """Add a link that sets a new password. False for an unknown address."""
    return await _add(session, _RESET, link, mailed=mailed) == "reset"


async def add_change_link(session: AsyncSession, link: NewLink, user_id: UUID) -> bool:
    """Add a link that makes this address the user's. False if another user has it."""
    return await _add(session, _CHANGE_EMAIL, link, user_id=user_id) == "change_email"


async def _add(session: AsyncSession, statement: Any, link: NewLink, **more: Any) -> str:
    values = {"digest": link.digest, "email": link.email, "lifetime": link.lifetime, **more}
    purpose: str = (await (await session.connection()).execute(statement, values)).scalar_one()
    return purpose


async def link_lives(session: AsyncSession, digest: bytes, *purposes: str) -> str | None:
    """Return the address of a link that can be used."""
    values = {"digest": digest, "purposes": list(purposes)}
    email: str | None = (await (await session.connection()).execute(_LIVES, values)).scalar_one_or_none()
    return email


async def use_link(session: AsyncSession, digest: bytes, *purposes: str) -> Link | None:
    """Use a link up. Of several transactions at once, one gets it."""
    values = {"digest": digest, "purposes": list(purposes)}
    row = (await (await session.connection()).execute(_USE, values)).first()
    return None if row is None else Link(*row)


async def drop_links(session: AsyncSession, user_id: UUID, *purposes: str) -> None:
    """Make links of the user unusable."""
    statement = text("DELETE FROM one_time_links WHERE user_id = :user_id AND purpose = ANY(CAST(:purposes AS text[]))")
    await (await session.connection()).execute(statement, {"user_id": user_id, "purposes": list(purposes)})


async def drop_sign_ups(session: AsyncSession, email: str) -> None:
    """Make the other links unusable that would open an account for the address."""
    statement = text("DELETE FROM one_time_links WHERE email = :email AND purpose = 'sign_up'")
    await (await session.connection()).execute(statement, {"email": email})
