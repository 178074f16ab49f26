"""Signs of life of a long activity: what tells the server that it runs, and tells it that it was cancelled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio import activity

from activities import failures

MAX_BEAT_PAUSE = timedelta(seconds=2)


class Beat:
    """The details of an activity's heartbeats. They may get lost: a help to resume, never the truth."""

    def __init__(self, last: str | None) -> None:
        self.last = last
        """What the previous attempt noted, then what this one did."""

    def note(self, detail: str) -> None:
        self.last = detail
        self()

    def __call__(self) -> None:
        activity.heartbeat(*([] if self.last is None else [self.last]))


@asynccontextmanager
async def heartbeating() -> AsyncIterator[Beat]:
    """Beats at least three times per heartbeat timeout, until the block is left.

    A worker that stops cancels what still runs after its drain: raised as a failure that another worker retries.
    """
    info = activity.info()
    beat = Beat(next((detail for detail in info.heartbeat_details if isinstance(detail, str)), None))
    timeout = info.heartbeat_timeout
    beating = asyncio.create_task(_beat(beat, timeout)) if timeout else None
    try:
        yield beat
    except asyncio.CancelledError:
        if activity.is_worker_shutdown() and not _cancel_requested():
            raise failures.worker_stopping() from None
        raise
    finally:
        if beating:
            beating.cancel()


async def _beat(beat: Beat, allowed: timedelta) -> None:
    pause = min(allowed / 3, MAX_BEAT_PAUSE).total_seconds()
    while True:
        beat()
        await asyncio.sleep(pause)


def _cancel_requested() -> bool:
    details = activity.cancellation_details()
    return details is not None and details.cancel_requested
