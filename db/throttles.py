"""Tries that are left, exact over all processes: a row has the time until which tries are used up (GCRA)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.throttles import Throttle

# The clock of the moment in which the row is locked: one that waited for another try counts from then.
_TAKE = text("""
INSERT INTO throttles AS t (digest, until)
VALUES (:digest, clock_timestamp() + CAST(:interval AS interval))
ON CONFLICT (digest) DO UPDATE SET until = greatest(t.until, clock_timestamp()) + CAST(:interval AS interval)
WHERE greatest(t.until, clock_timestamp()) + CAST(:interval AS interval) <= clock_timestamp() + CAST(:per AS interval)
RETURNING until
""")
_LEFT = text("SELECT until, clock_timestamp() FROM throttles WHERE digest = :digest")
_RETURN = text("UPDATE throttles SET until = until - CAST(:interval AS interval) WHERE digest = :digest")


@dataclass(frozen=True, slots=True)
class Try:
    """A try of a throttle. `digest` is the keyed hash of who tries."""

    throttle: Throttle
    digest: bytes


async def take(session: AsyncSession, tries: Sequence[Try]) -> timedelta | None:
    """Take one of each of the tries, or tell how long to wait for the first that has none left.

    Then the caller rolls back. They are taken in the order of their digests: transactions do not wait in a circle.
    """
    connection = await session.connection()
    for one in sorted(tries, key=lambda one: one.digest):
        values = {"digest": one.digest, "interval": one.throttle.interval, "per": one.throttle.per}
        if (await connection.execute(_TAKE, values)).first() is None:
            return await _wait(session, one)
    return None


async def _wait(session: AsyncSession, refused: Try) -> timedelta:
    row = (await (await session.connection()).execute(_LEFT, {"digest": refused.digest})).first()
    if row is None:
        return timedelta(0)
    until, now = row
    assert isinstance(until, datetime)  # noqa: S101  # the column's type
    assert isinstance(now, datetime)  # noqa: S101
    return max(timedelta(0), until + refused.throttle.interval - refused.throttle.per - now)


async def give_back(session: AsyncSession, tries: Sequence[Try]) -> None:
    """Give back what was taken for a try that succeeded, and no more."""
    connection = await session.connection()
    for one in sorted(tries, key=lambda one: one.digest):
        await connection.execute(_RETURN, {"digest": one.digest, "interval": one.throttle.interval})
