"""A provider's limits for media jobs, exact over all workers: the rows of jobs are what is counted.

Each decision about a provider waits for the one before it. Accounts share its places: an account gets none while
another one that waits has fewer.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from db.media_tables import MediaJobRow
from domain.media import ProviderLimits

MIN_PAUSE, MAX_PAUSE = timedelta(seconds=2), timedelta(seconds=110)
PAUSE_BEHIND = timedelta(milliseconds=200)
"""How much later a job asks again for each earlier one of its account: few ask at once, however many wait."""
FRESH = timedelta(seconds=140)
"""A job that asked so long ago waits no more. Longer than any pause between two attempts."""
TURN_PAUSE = timedelta(seconds=1)
"""Until a job asks again that left its place to another account."""

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('media:' || :provider, 0))"
_BUSY = """
SELECT count(*) FROM media_jobs
WHERE provider = :provider AND state = 'running' AND submit_intended_at IS NOT NULL
"""
_SENT = """
SELECT count(*), min(submit_intended_at) + interval '1 minute' - now() FROM media_jobs
WHERE provider = :provider AND submit_intended_at > now() - interval '1 minute'
"""
_AHEAD = """
SELECT count(*) FROM media_jobs
WHERE provider = :provider AND account_id = :account AND state = 'running' AND submit_intended_at IS NULL
    AND slot_wanted_at > now() - :fresh AND created_at < :created
"""
_FEWER = """
WITH sent AS (
    SELECT account_id, count(*) AS jobs FROM media_jobs
    WHERE provider = :provider AND submit_intended_at IS NOT NULL
        AND (state = 'running' OR submit_intended_at > now() - interval '1 minute')
    GROUP BY account_id
), waiting AS (
    SELECT DISTINCT account_id FROM media_jobs
    WHERE provider = :provider AND account_id <> :account AND state = 'running' AND submit_intended_at IS NULL
        AND slot_wanted_at > now() - :fresh
)
SELECT EXISTS (
    SELECT FROM waiting LEFT JOIN sent USING (account_id)
    WHERE coalesce(sent.jobs, 0) < (SELECT coalesce(max(jobs), 0) FROM sent WHERE account_id = :account)
)
"""


async def wait(session: AsyncSession, row: MediaJobRow, limits: ProviderLimits) -> timedelta | None:
    """Return how long the job has to wait for a place, or None if it has one once this transaction is committed."""
    if limits.max_concurrent is None and limits.requests_per_minute is None:
        return None
    values = {"provider": row.provider, "account": row.account_id, "created": row.created_at, "fresh": FRESH}
    await _one(session, _LOCK, provider=row.provider)
    pause = await _full(session, row.provider, limits)
    if pause is not None:
        (ahead,) = await _one(session, _AHEAD, **values)
        return min(max(pause, MIN_PAUSE) + int(ahead) * PAUSE_BEHIND, MAX_PAUSE)
    (fewer,) = await _one(session, _FEWER, provider=row.provider, account=row.account_id, fresh=FRESH)
    return TURN_PAUSE if fewer else None


async def _full(session: AsyncSession, provider: str, limits: ProviderLimits) -> timedelta | None:
    """Return a pause if there is no place now."""
    if limits.max_concurrent is not None:
        (busy,) = await _one(session, _BUSY, provider=provider)
        if busy >= limits.max_concurrent:
            return MIN_PAUSE
    if limits.requests_per_minute is not None:
        sent, until = await _one(session, _SENT, provider=provider)
        if sent >= limits.requests_per_minute:
            pause: timedelta = until
            return max(timedelta(0), pause)
    return None


async def _one(session: AsyncSession, statement: str, **values: Any) -> Any:
    return (await (await session.connection()).execute(text(statement), values)).one()
