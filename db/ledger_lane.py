"""A connection of the ledger's own, on which one batch after the other is committed."""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import psycopg
import structlog

from db import ledger
from db.fair_queue import Pending
from domain.decisions import decide
from domain.ledger import Result

log = structlog.get_logger(__name__)

LOCK_TIMEOUT = "50ms"
"""How long a batch waits for a lock: it locks accounts without waiting, unless that is its only purpose."""
MAX_TRANSACTION_TIME = "5s"
"""How long a batch may keep accounts locked: a process that freezes in the middle of one is cut off.

Not by the timeout for idle transactions, which a flush at the end of a pipeline disarms.
"""
BY_INDEX = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
"""A batch looks up a few rows by id; plans made while the tables were small would go on scanning them."""
MAX_SILENCE = timedelta(seconds=6)
"""How long Postgres may say nothing at all: a connection into the void would stop the whole ledger."""
LOST = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.TransactionTimeout, TimeoutError)
"""What says that this connection is of no use any more."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What became of a batch: results of what was decided, and what has to wait for a lock of somebody else."""

    results: Sequence[tuple[Pending, Result]]
    blocked: Sequence[Pending]
    owners: dict[bytes, UUID]
    """The account of each key's digest that was looked up."""


class Lane:
    def __init__(self, url: str, application: str) -> None:
        self._url = url
        self._application = application
        self.serving: Sequence[Pending] = ()
        self._connection: ledger.Connection | None = None

    async def commit(self, batch: Sequence[Pending], *, wait: bool = False) -> Committed:
        """Decide and write a batch as one transaction. Raises `LockNotAvailable` when a lock is waited for in vain."""
        self.serving = batch
        try:
            async with asyncio.timeout(MAX_SILENCE.total_seconds()):
                return await self._commit(batch, wait=wait)
        finally:
            self.serving = ()

    async def _commit(self, batch: Sequence[Pending], *, wait: bool) -> Committed:
        connection = await self._connected()
        try:
            locked = await ledger.begin(connection, [pending.operation for pending in batch], wait=wait)
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
            connection.pgconn.finish()
            raise
        except BaseException:
            with contextlib.suppress(*LOST):
                await connection.rollback()
            raise
        return Committed(list(zip(ready, results, strict=True)), blocked, locked.owners)

    async def _connected(self) -> ledger.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._url,
                autocommit=True,  # batches say BEGIN and COMMIT themselves
                application_name=self._application,
                connect_timeout=3,
                tcp_user_timeout=5000,
                options=f"{BY_INDEX} -c lock_timeout={LOCK_TIMEOUT} -c statement_timeout=10s -c synchronous_commit=on "
                f"-c transaction_timeout={MAX_TRANSACTION_TIME}",
            )
        return self._connection

    async def reconnect(self, lost: Exception, waiting: int) -> None:
        log.warning("ledger connection lost", fault=type(lost).__name__, waiting=waiting)
        await self.disconnect()
        await asyncio.sleep(0.1 + random.random() * 0.2)  # noqa: S311  # jitter

    async def disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(*LOST):
                await self._connection.close()
            self._connection = None
