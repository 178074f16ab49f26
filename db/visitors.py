"""Counts visitors' messages by day. Functions are part of the caller's transaction, which commits."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from db.tables import AccountRow
from domain.house_account import HOUSE_ACCOUNT

_KEY = text("SELECT wrapped FROM visitor_days WHERE day = :day")
_BEGIN = text(
    "INSERT INTO visitor_days (day, wrapped, wrapped_by) VALUES (:day, :wrapped, :by) ON CONFLICT (day) DO NOTHING"
)
_REPLACE = text(
    "SELECT rewrap_visitor_days(ARRAY[CAST(:day AS date)], ARRAY[CAST(:unreadable AS bytea)], "
    "ARRAY[CAST(:wrapped AS bytea)], :by)"
)
# Rows are taken in one order, so that two messages cannot wait for each other. A row that is full is not returned.
_TAKE = text("""
INSERT INTO visitor_counts AS c (day, digest, used)
SELECT :day, d, 1 FROM unnest(CAST(:digests AS bytea[])) AS u(d) ORDER BY d
ON CONFLICT (day, digest) DO UPDATE SET used = c.used + 1 WHERE c.used < :limit
RETURNING used
""")
# Locked in the same order.
_GIVE_BACK = text("""
UPDATE visitor_counts c SET used = c.used - 1
FROM (SELECT day, digest FROM visitor_counts WHERE day = :day AND digest = ANY(CAST(:digests AS bytea[])) AND used > 0
      ORDER BY digest FOR UPDATE) AS taken
WHERE c.day = taken.day AND c.digest = taken.digest
RETURNING c.used
""")
_USED = text(
    "SELECT coalesce(max(used), 0) FROM visitor_counts WHERE day = :day AND digest = ANY(CAST(:digests AS bytea[]))"
)
_OLD = text("SELECT day FROM visitor_days WHERE day < :before ORDER BY day")
_FORGET = text("DELETE FROM visitor_days WHERE day = :day")
_HOUSE = text("INSERT INTO accounts (id) VALUES (:id) ON CONFLICT (id) DO NOTHING")


def day_aad(day: date) -> str:
    """What the key of a day is bound to."""
    return f"visitor_days|{day.isoformat()}"


async def _run(session: AsyncSession, statement: Any, **values: object) -> Any:
    return await (await session.connection()).execute(statement, values)


async def key_of(session: AsyncSession, day: date) -> bytes | None:
    """Return the wrapped key of a day. None if nobody has visited in it."""
    wrapped: bytes | None = (await _run(session, _KEY, day=day)).scalar_one_or_none()
    return wrapped


async def begin(session: AsyncSession, day: date, wrapped: bytes, by: str) -> bool:
    """Begin a day with this key. False if another process has begun it."""
    return bool((await _run(session, _BEGIN, day=day, wrapped=wrapped, by=by)).rowcount)


async def replace_key(session: AsyncSession, day: date, unreadable: bytes, wrapped: bytes, by: str) -> None:
    """Give a day another key, if it still has the unreadable one."""
    await _run(session, _REPLACE, day=day, unreadable=unreadable, wrapped=wrapped, by=by)


async def take(session: AsyncSession, day: date, digests: Sequence[bytes], limit: int) -> int | None:
    """Count a message under every digest, and return the highest count.

    Returns None when one of them is full: then the caller has to roll back. Waits for messages of the same visitor.
    """
    rows = (await _run(session, _TAKE, day=day, digests=list(digests), limit=limit)).scalars().all()
    return max(rows) if len(rows) == len(digests) else None


async def give_back(session: AsyncSession, day: date, digests: Sequence[bytes]) -> int:
    """Count one message less under every digest, and return the highest count."""
    return max((await _run(session, _GIVE_BACK, day=day, digests=list(digests))).scalars(), default=0)


async def used(session: AsyncSession, day: date, digests: Sequence[bytes]) -> int:
    return int((await _run(session, _USED, day=day, digests=list(digests))).scalar_one())


async def old_days(session: AsyncSession, before: date) -> list[date]:
    return list((await _run(session, _OLD, before=before)).scalars())


async def forget(session: AsyncSession, day: date) -> int:
    """Delete a day with its key and its counts."""
    return int((await _run(session, _FORGET, day=day)).rowcount)


async def open_house(session: AsyncSession) -> bool:
    """Make the house account, without its data key. False if there is one."""
    return bool((await _run(session, _HOUSE, id=HOUSE_ACCOUNT)).rowcount)


async def house_balance(session: AsyncSession) -> tuple[int, int]:
    """Return what the house account has available, and held. It is locked until the transaction ends."""
    row = await session.get_one(AccountRow, HOUSE_ACCOUNT, with_for_update=True)
    return row.available, row.held
