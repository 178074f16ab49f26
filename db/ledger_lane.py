"""A connection of the ledger's own, on which one batch after the other is committed."""

import asyncio
import contextlib
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import psycopg

from db import connections, ledger
from db.fair_queue import Pending
from db.faults import describe, place
from db.prepared import BEGIN, COMMIT, PreparedConnection
from domain.decisions import decide
from domain.records import record
from domain.results import Result
from logs import OperatorFaults

LOCK_TIMEOUT = "50ms"
"""How long a batch waits for a lock: it locks accounts without waiting, unless that is its only purpose."""
MAX_TRANSACTION_TIME = "5s"
"""How long a batch may keep accounts locked: a process that freezes in the middle of one is cut off.

Not by the timeout for idle transactions, which a flush at the end of a pipeline disarms.
"""
SETTINGS = {
    # A batch looks up a few rows by id; plans made while the tables were small would go on scanning them.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",  # one plan for all: to plan costs more than to run
    "lock_timeout": LOCK_TIMEOUT,
    "statement_timeout": "10s",
    "transaction_timeout": MAX_TRANSACTION_TIME,
}
MAX_SILENCE = timedelta(seconds=6)
"""How long Postgres may say nothing at all: a connection into the void would stop the whole ledger."""
MAX_RECONNECT_SECONDS = 1.5
"""The longest pause between two attempts to connect: shorter than anybody waits."""


@record
class Committed:
    """What became of a batch: results of what was decided, and what has to wait for a lock of somebody else."""

    results: Sequence[tuple[Pending, Result]]
    blocked: Sequence[Pending]
    owners: dict[bytes, UUID]
    """The account of each key's digest that was looked up."""


class Lane:
    """Its methods raise what `unavailable` knows when Postgres is away, or can only be read."""

    def __init__(self, url: str, application: str, faults: OperatorFaults, owners: Mapping[bytes, UUID]) -> None:
        self._url = connections.conninfo(url)
        self._application = application
        self._faults = faults
        self.available = True
        """Whether the last attempt found a database that can be written to."""
        self._failures = 0
        """Attempts to connect, one after the other, that failed."""
        self.serving: Sequence[Pending] = ()
        """What was taken from the queue for it, and is not finished."""
        self._connection: PreparedConnection | None = None
        self._owners = owners

    async def commit(self, batch: Sequence[Pending], *, wait: bool = False) -> Committed:
        """Decide and write a batch as one transaction. Raises `LockNotAvailable` when a lock is waited for in vain."""
        async with asyncio.timeout(MAX_SILENCE.total_seconds()):
            committed = await self._commit(batch, wait=wait)
        self._recovered()
        return committed

    async def _commit(self, batch: Sequence[Pending], *, wait: bool) -> Committed:
        connection = await self._connected()
        try:
            locked = await ledger.begin(connection, [pending.operation for pending in batch], self._owners, wait=wait)
            ready, blocked = list[Pending](), list[Pending]()
            for pending in batch:
                account = None if wait else locked.blocked_by(pending.operation)
                if account is None:
                    ready.append(pending)
                else:
                    pending.key = account
                    blocked.append(pending)
            results, changes = decide(locked.state, [pending.operation for pending in ready])
            for pending in ready:
                pending.commits += 1
            await ledger.commit(connection, changes)
        except asyncio.CancelledError:  # no answer: no polite word to this connection either, it would wait as long
            connection.drop()
            raise
        except BaseException:
            with contextlib.suppress(psycopg.Error):
                await connection.rollback()
            raise
        return Committed(list(zip(ready, results, strict=True)), blocked, locked.owners)

    async def check(self) -> None:
        """At the start, and after a failure while nothing is asked: is it there?"""
        try:
            async with asyncio.timeout(MAX_SILENCE.total_seconds()):
                await (await self._connected()).run((BEGIN, {}), (COMMIT, {}))
            self._recovered()
        except Exception as error:  # whatever it is, the operator has to see it
            await self.reconnect(error)

    async def _connected(self) -> PreparedConnection:
        if self._connection is None or self._connection.closed:
            opened = await connections.connect(self._url, self._application, SETTINGS, writes=True)
            self._connection = await PreparedConnection.over(opened, ledger.STATEMENTS)
            self._failures = 0
        return self._connection

    async def reconnect(self, error: Exception) -> None:
        """Leaves this connection, tells the operator, and waits a moment: longer each time."""
        fault = describe(error, self._url)
        self._faults.report(fault.what, where=fault.where, remedy=fault.remedy)
        self.available = False
        await self.disconnect()
        pause = min(0.1 * 2**self._failures, MAX_RECONNECT_SECONDS)
        self._failures += 1
        await asyncio.sleep(pause * (1 + random.random()))  # noqa: S311  # jitter

    def _recovered(self) -> None:
        if not self.available:
            self.available = True
            self._faults.clear(place(self._url))

    async def disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                await self._connection.close()
            self._connection = None


def unavailable(error: Exception) -> bool:
    """This connection is of no use any more; another one may be."""
    return isinstance(error, TimeoutError) or connections.is_unavailable(error)
