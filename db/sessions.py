"""Sessions of signed-in users. A session ends when its row is deleted: the next request finds none, in any process."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

from sqlalchemy import delete, func, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.engine import Database
from db.people_tables import SessionRow
from db.tables import UserRow
from domain import keys
from domain.caller import Caller, WebSession
from domain.errors import AccountSuspended, CallerUnknown
from domain.rates import AccountCounters
from domain.sessions import MAX_SESSIONS, SessionLifetime

SEEN_EVERY = timedelta(minutes=5)
"""How exact `last_seen_at` is. A session's own requests write no more often than this."""
_BEGIN = text("""
INSERT INTO sessions (id, user_id, digest, expires_at)
VALUES (:id, :user_id, :digest, now() + CAST(:lifetime AS interval))
""")
_SEEN = text(
    "UPDATE sessions SET last_seen_at = now() WHERE id = :id AND last_seen_at < now() - CAST(:every AS interval)"
)
_FIND: LiteralString = """
SELECT s.id, s.user_id, a.id, a.suspended_at IS NOT NULL, a.requests_tat, a.tokens_tat,
       s.last_seen_at < now() - %(every)s::interval
FROM sessions s JOIN users u ON u.id = s.user_id JOIN accounts a ON a.id = u.account_id
WHERE s.digest = %(digest)s AND s.expires_at > now() AND s.last_seen_at > now() - %(idle)s::interval
"""
_OLDEST = text("""
DELETE FROM sessions WHERE id IN (
    SELECT id FROM sessions WHERE user_id = :user_id ORDER BY last_seen_at DESC, id DESC OFFSET :limit)
""")


@dataclass(frozen=True, slots=True)
class Listed:
    id: UUID
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    """Earlier if nothing is asked with it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Who a cookie's secret belongs to."""

    caller: Caller
    stale: bool
    """True if `last_seen_at` is to be written anew."""


async def begin(
    session: AsyncSession, user_id: UUID, *, session_id: UUID, digest: bytes, lifetime: SessionLifetime
) -> None:
    """Begin a session. The database's clock counts, in which all processes agree."""
    await session.exec(select(UserRow.id).where(UserRow.id == user_id).with_for_update())
    values = {"id": session_id, "user_id": user_id, "digest": digest, "lifetime": lifetime.absolute}
    await _execute(session, _BEGIN, values)
    await _execute(session, _OLDEST, {"user_id": user_id, "limit": MAX_SESSIONS})


async def find(database: Database, digest: bytes, lifetime: SessionLifetime) -> Seen:
    """Return the caller of a session. Raises `CallerUnknown` for one that has ended, for every reason alike."""
    rows = await database.rows(_FIND, {"digest": digest, "idle": lifetime.idle, "every": SEEN_EVERY})
    if not rows:
        raise CallerUnknown
    ((session_id, user_id, account_id, suspended, requests_tat, tokens_tat, stale),) = rows
    if suspended:
        raise AccountSuspended
    counters = AccountCounters(requests_tat, tokens_tat)
    return Seen(Caller(account_id, keys.SCOPES, WebSession(session_id=session_id, user_id=user_id), counters), stale)


async def seen(session: AsyncSession, session_id: UUID) -> None:
    await _execute(session, _SEEN, {"id": session_id, "every": SEEN_EVERY})


async def listed(session: AsyncSession, user_id: UUID, lifetime: SessionLifetime) -> list[Listed]:
    """Return the sessions that live, the last seen first."""
    now = func.now()
    query = (
        select(SessionRow)
        .where(
            SessionRow.user_id == user_id,
            col(SessionRow.expires_at) > now,
            col(SessionRow.last_seen_at) > now - lifetime.idle,
        )
        .order_by(col(SessionRow.last_seen_at).desc(), col(SessionRow.id).desc())
    )
    return [_listed(row) for row in await session.exec(query)]


def _listed(row: SessionRow) -> Listed:
    assert row.created_at is not None  # noqa: S101  # the column is not null
    assert row.last_seen_at is not None  # noqa: S101
    return Listed(row.id, row.created_at, row.last_seen_at, row.expires_at)


async def end(session: AsyncSession, user_id: UUID, session_id: UUID) -> bool:
    """End a session of the user. False if there is none."""
    gone = delete(SessionRow).where(col(SessionRow.id) == session_id, col(SessionRow.user_id) == user_id)
    return bool((await session.exec(gone)).rowcount)


async def end_by_digest(session: AsyncSession, digest: bytes) -> None:
    await session.exec(delete(SessionRow).where(col(SessionRow.digest) == digest))


async def end_all(session: AsyncSession, user_id: UUID, *, but: UUID | None = None) -> int:
    """End all sessions of the user, but one. Returns how many ended."""
    gone = delete(SessionRow).where(col(SessionRow.user_id) == user_id)
    if but is not None:
        gone = gone.where(col(SessionRow.id) != but)
    return int((await session.exec(gone)).rowcount)


async def end_all_of(session: AsyncSession, account_id: UUID) -> int:
    """End all sessions of an account's owner. Returns how many ended."""
    owner = select(UserRow.id).where(UserRow.account_id == account_id)
    return int((await session.exec(delete(SessionRow).where(col(SessionRow.user_id).in_(owner)))).rowcount)


async def _execute(session: AsyncSession, statement: Any, values: dict[str, Any]) -> int:
    return int((await (await session.connection()).execute(statement, values)).rowcount)
