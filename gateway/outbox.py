"""Sends mails in the background: an answer waits for none, so its time does not tell whether there was one.

A mail that cannot be sent is tried again a few times, and then reported in one line without its address.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Protocol

import structlog

from domain.errors import where
from domain.mails import Letter

log = structlog.get_logger(__name__)

MAX_WAITING = 1000
"""Mails that wait. One more is reported as lost."""
AT_A_TIME = 4
PAUSES = (timedelta(seconds=1), timedelta(seconds=10), timedelta(seconds=60))
"""The times between the attempts."""


class Mailer(Protocol):
    def send(self, letter: Letter) -> None:
        """Send a mail, or raise. It may block for a bounded time."""


class Outbox:
    """Mails that are on their way. Without a mailer, nothing is sent."""

    def __init__(self, mailer: Mailer | None, pauses: Sequence[timedelta] = PAUSES) -> None:
        self._mailer = mailer
        self._pauses = pauses
        self._places = asyncio.Semaphore(AT_A_TIME)
        self._threads = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="mail")
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def sends(self) -> bool:
        return self._mailer is not None

    def send(self, letter: Letter) -> None:
        """Send a mail soon. Returns at once."""
        if self._mailer is None:
            return
        if len(self._tasks) >= MAX_WAITING:
            log.error("mail lost", kind=letter.kind, reason="too many wait")
            return
        task = asyncio.create_task(self._deliver(self._mailer, letter), name="mail")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, grace: timedelta) -> None:
        """Wait so long for mails on their way; report how many are lost."""
        if self._tasks:
            _, late = await asyncio.wait(list(self._tasks), timeout=grace.total_seconds())
            if late:
                log.error("mails lost", count=len(late), reason="the process stopped")
            for task in late:
                task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _deliver(self, mailer: Mailer, letter: Letter) -> None:
        loop = asyncio.get_running_loop()
        for pause in (*self._pauses, None):
            try:
                async with self._places:
                    await loop.run_in_executor(self._threads, mailer.send, letter)
            except Exception as error:
                if pause is None:
                    log.error("mail lost", kind=letter.kind, reason=where(error))
                    return
                await asyncio.sleep(pause.total_seconds())
            else:
                return
