"""A connection of the ledger, on which batches are committed one after another."""

import asyncio
import contextlib
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import psycopg

from db import connections, ledger
from db.fair_queue import Pending
from db.outage import Outage
from db.prepared import BEGIN, COMMIT, PreparedConnection
from domain.decisions import decide
from domain.records import record
from domain.results import Result

LOCK_TIMEOUT = "50ms"
"""How long a batch waits for a lock. It skips locked accounts, unless `wait` is set."""
MAX_TRANSACTION_TIME = "5s"
"""How long a batch may keep accounts locked: PostgreSQL disconnects a process that freezes in the middle of one.

The timeout for idle transactions would not do it: a flush at the end of a pipeline disarms that.
"""
SETTINGS = {
    # A batch reads a few rows by id. A plan that was made while the tables were small would go on scanning them.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",  # one plan for all batches: planning costs more than running
    "lock_timeout": LOCK_TIMEOUT,
    "statement_timeout": "10s",
    "transaction_timeout": MAX_TRANSACTION_TIME,
}
MAX_SILENCE = timedelta(seconds=6)
"""How long PostgreSQL may take to answer. Without a limit, a dead connection would stop the whole ledger."""
MAX_RECONNECT_SECONDS = 1.5
"""The longest pause between two attempts to connect, before jitter. Shorter than the timeout of every caller."""


@record
class Committed:
    """The results of a batch, and its operations that wait for a lock of another transaction."""

    results: Sequence[tuple[Pending, Result]]
    blocked: Sequence[Pending]
    owners: dict[bytes, UUID]
    """The accounts of the digests that were looked up."""


class Lane:
    """A connection and what it serves. If PostgreSQL is unavailable or read-only, `commit` raises an error for which
    `unavailable` is true."""

    def __init__(self, url: str, application: str, outage: Outage, owners: Mapping[bytes, UUID]) -> None:
        self._url = connections.conninfo(url)
        self._application = application
        self._outage = outage
        self.available = True
        """True if the last attempt found a database that can be written to."""
        self._failures = 0
        """Failed attempts since the last connection."""
        self.serving: Sequence[Pending] = ()
        """The operations that were taken from the queue for this lane and are not finished."""
        self._connection: PreparedConnection | None = None
        self._owners = owners

    async def commit(self, batch: Sequence[Pending], *, wait: bool = False) -> Committed:
        """Decide and write a batch as one transaction. Raises `LockNotAvailable` when waiting for a lock times out."""
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
        except asyncio.CancelledError:  # no answer in time: a rollback would wait as long
            connection.drop()
            raise
        except BaseException:
            with contextlib.suppress(psycopg.Error):
                await connection.rollback()
            raise
        return Committed(list(zip(ready, results, strict=True)), blocked, locked.owners)

    @property
    def is_unanswered(self) -> bool:
        """Whether a new connection failed too. The one before may have been lost alone, with what was sent on it."""
        return self._failures > 1

    async def check(self) -> None:
        """Connect without a batch, at the start and after a failure. A failure is reported, and `reconnect` waits."""
        try:
            async with asyncio.timeout(MAX_SILENCE.total_seconds()):
                await (await self._connected()).run((BEGIN, {}), (COMMIT, {}))
            self._recovered()
        except Exception as error:  # the operator has to see every fault
            await self.reconnect(error)

    async def _connected(self) -> PreparedConnection:
        if self._connection is None or self._connection.closed:
            opened = await connections.connect(self._url, self._application, SETTINGS, writes=True)
            self._connection = await PreparedConnection.over(opened, ledger.STATEMENTS)
            self._failures = 0
        return self._connection

    async def reconnect(self, error: Exception) -> None:
        """Close the connection, report the fault to the operator, and wait: longer after each failure."""
        self._outage.seen(error, by=self, alone=not self._failures)
        self.available = False
        await self.disconnect()
        pause = min(0.1 * 2**self._failures, MAX_RECONNECT_SECONDS)
        self._failures += 1
        await asyncio.sleep(pause * (1 + random.random()))  # noqa: S311  # jitter

    def _recovered(self) -> None:
        self._outage.answered()
        if not self.available:
            self.available = True
            self._outage.over(by=self)

    async def disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                await self._connection.close()
            self._connection = None


def unavailable(error: Exception) -> bool:
    """Tell whether the error means that this connection is unusable, so that another one may work."""
    return isinstance(error, TimeoutError) or connections.is_unavailable(error)
