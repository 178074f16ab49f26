"""One process at a time does a maintenance task: whoever holds a Postgres advisory lock.

When it dies, the lock is free at once; when it freezes or its machine is gone, Postgres takes the lock from it.
"""

import contextlib
from datetime import timedelta
from typing import Any

import psycopg

from db import connections

MAX_SILENCE = timedelta(seconds=10)
"""A leader that has not asked whether it still leads for so long does not."""

_LOST = (psycopg.OperationalError, psycopg.InterfaceError)


class Leadership:
    def __init__(self, url: str, lock: int, *, max_silence: timedelta = MAX_SILENCE) -> None:
        self._url = url
        self._lock = lock
        self._max_silence = f"{round(max_silence.total_seconds() * 1000)}ms"
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._leads = False

    async def held(self) -> bool:
        """Whether this process leads now; tries to, if nobody does. False while Postgres is away."""
        try:
            if self._connection is None or self._connection.closed:
                self._leads = False
                self._connection = await connections.connect(
                    self._url, "yout-leadership", {"idle_session_timeout": self._max_silence}, writes=True
                )
            question = "SELECT true" if self._leads else "SELECT pg_try_advisory_lock(%(lock)s)"
            row = await (await self._connection.execute(question, {"lock": self._lock})).fetchone()
            self._leads = bool(row and row[0])
        except Exception as error:
            if not connections.is_unavailable(error):
                raise
            await self.release()
        return self._leads

    async def release(self) -> None:
        connection, self._connection, self._leads = self._connection, None, False
        if connection is not None:
            with contextlib.suppress(*_LOST):
                await connection.close()
