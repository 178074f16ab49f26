"""Reads what an operator should know of the database server, over one connection that also opens without our schema."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import psycopg

from db import connections, long_locks, roles
from db.long_locks import LongLock

_SERVER: LiteralString = """
SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean, current_setting('TimeZone'),
       current_setting('fsync')::boolean AND current_setting('full_page_writes')::boolean,
       current_setting('log_statement') <> 'none'
           OR (current_setting('log_min_duration_statement') <> '-1'
               AND current_setting('log_parameter_max_length') <> '0'),
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       current_setting('max_connections')::int, current_user
"""
_CLOCK: LiteralString = "SELECT clock_timestamp()"
_SESSION: LiteralString = (
    "SELECT pid, backend_start, clock_timestamp() FROM pg_stat_activity WHERE pid = pg_backend_pid()"
)
_MAX_HELD, _WAIT_SECONDS = 8, 5.0
"""Sessions that are held for a moment, to find out whether a pooler lends them; and how long that takes at most."""


@dataclass(frozen=True, slots=True, repr=False)
class ServerFacts:
    version: int
    """As the server writes it: 180004 is 18.4."""
    revision: str | None
    """Of the schema. None: there is none, or this role may not see it."""
    read_only: bool
    time_zone: str
    """Of our sessions."""
    durable: bool
    """False: a loss of power may damage the database, or lose what was committed."""
    logs_values: bool
    """True: statements with their values may be in the server's log."""
    connections: int
    max_connections: int
    role: str
    has_room: bool
    """False: the server's disk is full."""
    clock_ahead: timedelta
    """How far the server's clock is ahead of this machine's."""
    excess: tuple[str, ...]
    """Rights of the role that no grant of a migration gives."""
    lacking: tuple[str, ...]
    """Rights that the application needs and the role lacks. Empty unless the schema is this program's."""
    long_locks: tuple[LongLock, ...]
    is_shared: bool
    """True: a pooler lends one session of the server to several connections, a transaction at a time."""

    @property
    def is_current(self) -> bool:
        return self.revision == max(connections.REVISIONS)

    @property
    def is_newer(self) -> bool:
        """Tell whether a later version of this program has migrated the schema."""
        return connections.is_newer(self.revision)


async def read(url: str) -> ServerFacts:
    """Raises `psycopg.Error` when the server cannot be reached."""
    opening = connections.parameters(url, "yout-doctor", {"statement_timeout": "5s"})
    async with await psycopg.AsyncConnection.connect(autocommit=True, **opening) as connection:
        row = await (await connection.execute(_SERVER)).fetchone()
        assert row is not None  # noqa: S101  # a query without FROM has one row
        read_only, zone, durable, logs, used, limit, role = row
        revision = await _revision(connection)
        return ServerFacts(
            version=connection.info.server_version,
            revision=revision,
            read_only=read_only,
            time_zone=zone,
            durable=durable,
            logs_values=logs,
            connections=used,
            max_connections=limit,
            role=role,
            has_room=await _has_room(connection),
            clock_ahead=await _clock_ahead(connection),
            excess=await roles.excess(connection, role),
            lacking=await roles.lacking(connection) if revision == max(connections.REVISIONS) else (),
            long_locks=await long_locks.read(connection),
            is_shared=await _is_shared(connection, opening),
        )


async def _revision(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> str | None:
    try:
        row = await (await connection.execute(connections.SCHEMA)).fetchone()
    except psycopg.errors.DatabaseError as error:
        if error.sqlstate is None:
            raise
        return None
    return None if row is None else str(row[0])


async def _is_shared(connection: psycopg.AsyncConnection[Any], opening: Mapping[str, Any]) -> bool:
    """Tell whether another client gets the session of this one, as through a pooler that lends one a transaction."""
    ours, _, now = await _session(connection)
    with suppress(psycopg.OperationalError, TimeoutError):  # no connection is left, or the pooler lets us wait for one
        async with asyncio.timeout(_WAIT_SECONDS), AsyncExitStack() as held:
            for _ in range(_MAX_HELD):
                other = await held.enter_async_context(
                    await psycopg.AsyncConnection.connect(autocommit=True, **opening)
                )
                await held.enter_async_context(other.transaction())
                theirs, began, _ = await _session(other)
                if theirs == ours:
                    return True
                if began > now:  # a pooler starts one only when none is idle
                    break
            return (await _session(connection))[0] != ours
    return False


async def _session(connection: psycopg.AsyncConnection[Any]) -> tuple[int, datetime, datetime]:
    """Return the server's process, since when it is there, and the time."""
    row: tuple[int, datetime, datetime] | None = await (await connection.execute(_SESSION)).fetchone()
    assert row is not None  # noqa: S101  # a process has one row
    return row


async def _has_room(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> bool:
    try:
        await connections.check_room(connection)
    except psycopg.errors.DiskFull:
        return False
    return True


async def _clock_ahead(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> timedelta:
    before = datetime.now(UTC)
    row = await (await connection.execute(_CLOCK)).fetchone()
    after = datetime.now(UTC)
    assert row is not None  # noqa: S101  # a query without FROM has one row
    there = row[0]
    assert isinstance(there, datetime)  # noqa: S101  # what the server's function returns
    return there - (before + (after - before) / 2)
