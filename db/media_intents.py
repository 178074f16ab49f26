"""Who may submit a media job: the attempt whose intent is in the row."""

from datetime import UTC, datetime, timedelta

from sqlmodel.ext.asyncio.session import AsyncSession

from db import media_slots
from db.media_tables import MediaJobRow
from domain.errors import NotFound, ServiceUnavailable
from domain.media import Job, ProviderLimits, State, SubmitIntent

_NEXT = timedelta(microseconds=1)


async def take(session: AsyncSession, row: MediaJobRow, job: Job, limits: ProviderLimits) -> SubmitIntent | timedelta:
    """Write an intent into the row, in place of an earlier one. Or return how long the job waits for a place."""
    if State(row.state).terminal:
        raise NotFound("This job has already ended.")
    if row.provider != job.provider:
        raise ServiceUnavailable("This job goes to another provider by now.")
    before, now = row.submit_intended_at, datetime.now(UTC)
    unwanted = row.cancel_requested_at is not None
    if unwanted and before is None:
        return SubmitIntent(now, again=False, unwanted=True)
    pause = None if before else await media_slots.wait(session, row, limits)
    if pause is not None:
        row.slot_wanted_at = now
        return pause
    row.submit_intended_at, row.slot_wanted_at = now if before is None else max(now, before + _NEXT), None
    return SubmitIntent(row.submit_intended_at, again=before is not None, unwanted=unwanted)


def has(row: MediaJobRow, intent: SubmitIntent) -> bool:
    return row.submit_intended_at == intent.at
