"""Finds transactions that keep locked what calls need: of a session left open, of a change of the schema."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, LiteralString

import psycopg

PAUSE = timedelta(seconds=3)
"""Between two looks. Transactions of this program are shorter."""
# Since when another role's transaction lasts is hidden from ours. Its virtual id is not, and no other one has it.
_WRITERS: LiteralString = """
SELECT l.pid, l.virtualtransaction, coalesce(a.usename, ''), coalesce(a.application_name, ''),
       array_agg(DISTINCT c.relname::text ORDER BY c.relname::text),
       bool_or(l.mode NOT IN ('RowShareLock', 'RowExclusiveLock'))
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.granted AND l.pid <> pg_backend_pid() AND l.mode NOT IN ('AccessShareLock', 'ShareUpdateExclusiveLock')
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND c.relkind = 'r' AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('accounts'))
GROUP BY 1, 2, 3, 4
"""


@dataclass(frozen=True, slots=True, repr=False)
class LongLock:
    pid: int
    role: str
    application: str
    """What the session calls itself."""
    tables: tuple[str, ...]
    whole: bool
    """Tables are locked, not rows alone."""


async def read(connection: psycopg.AsyncConnection[Any]) -> tuple[LongLock, ...]:
    """Look twice, and return what both looks have. It needs no right that the application's role lacks."""
    before = {row[:2] for row in await _writers(connection)}
    if not before:
        return ()
    await asyncio.sleep(PAUSE.total_seconds())
    return tuple(
        LongLock(pid, role, application, tuple(tables), whole)
        for pid, transaction, role, application, tables, whole in await _writers(connection)
        if (pid, transaction) in before
    )


async def _writers(connection: psycopg.AsyncConnection[Any]) -> list[tuple[Any, ...]]:
    return await (await connection.execute(_WRITERS)).fetchall()
