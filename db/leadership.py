"""Lets one process at a time run maintenance: the one that holds an advisory lock of PostgreSQL.

When that process dies, the lock is free at once. When it freezes or its machine is gone, a timeout frees the lock.
"""

import contextlib
from datetime import timedelta
from typing import Any

import psycopg

from db import connections

MAX_SILENCE = timedelta(seconds=10)
"""A leader that has not checked its lock for this long loses it."""

_LOST = (psycopg.OperationalError, psycopg.InterfaceError)


class Leadership:
    def __init__(self, url: str, lock: int, *, max_silence: timedelta = MAX_SILENCE) -> None:
        self._url = url
        self._lock = lock
        self._max_silence = f"{round(max_silence.total_seconds() * 1000)}ms"
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._leads = False

    async def held(self) -> bool:
        """Tell whether this process leads, and try to take the lock if not. False while PostgreSQL is unavailable."""
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
