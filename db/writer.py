"""Group commit: every ledger operation of a process goes through one task with a connection of its own.

Operations queue up; whenever the previous batch has committed, all that wait go out together as one transaction, and
each
caller hears its own result after that commit. No timer, no added latency when idle; under load one fsync serves many.
"""

import asyncio
import contextlib
import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import psycopg
import structlog

from db import ledger
from domain.decisions import decide
from domain.errors import GatewayError, ServiceUnavailable
from domain.ledger import (
    Answer,
    Closed,
    Operation,
    Refund,
    Renew,
    Reserve,
    Reserved,
    Result,
    Settle,
    Void,
)

log = structlog.get_logger(__name__)

MAX_BATCH_OPERATIONS = 128
RESULT_TIMEOUT = timedelta(seconds=10)
"""How long a caller waits for its result while Postgres is away; then it fails closed."""
LOCK_TIMEOUT = "250ms"
"""How long a batch waits for an account that somebody else has locked, before that account waits apart."""
PARKED = 0.2
MAX_TRANSACTION_TIME = "5s"
"""How long a batch may keep accounts locked: a process that freezes in the middle of one is cut off.

Not by the timeout for idle transactions, which a flush at the end of a pipeline disarms.
"""
BY_INDEX = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
"""A batch looks up a few rows by id; plans made while the tables were small would go on scanning them."""
MAX_SILENCE = timedelta(seconds=6)
"""How long Postgres may say nothing at all: a connection into the void would stop the whole ledger."""
MAX_COMMITS = 4
"""How often an operation whose reference another process has just used is asked anew."""
CLOCK = 0.25
"""How often the writer looks whether somebody has waited for too long."""
_UNAVAILABLE = "The ledger is away for the moment. Nothing was charged; try again."
_LOST = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.TransactionTimeout, TimeoutError)


@dataclass(slots=True, eq=False)
class _Waiting:
    operation: Operation
    result: asyncio.Future[Result]
    deadline: float = math.inf
    """When its caller stops waiting. Nobody waits for what undoes something, and it is done however late."""
    not_before: float = field(default=0.0)
    commits: int = 0
    """How often a commit of it was asked for. After a lost reply nobody knows whether one of them happened."""

    @property
    def given_up(self) -> bool:
        """Its caller left before a commit was tried: there is nothing to find out and nothing to undo."""
        return self.result.done() and not self.commits

    @property
    def account(self) -> UUID | bytes:
        """What two operations share when they need the same lock; a key's digest stands for its account."""
        match self.operation:
            case Reserve(digest=bytes() as digest):
                return digest
            case Renew(hold_id=hold_id):
                return hold_id
            case Reserve(account_id=UUID() as account_id):
                return account_id
            case Reserve(hold_id=hold_id):
                return hold_id
        return self.operation.account_id


class LedgerWriter:
    """`async with LedgerWriter(url) as ledger: await ledger.ask(Reserve(…))`."""

    def __init__(self, url: str, *, timeout: timedelta = RESULT_TIMEOUT, application: str = "yout-ledger") -> None:
        self._url = url
        self._timeout = timeout.total_seconds()
        self._application = application
        self._queue: deque[_Waiting] = deque()
        self._parked: list[_Waiting] = []
        self._serving: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._connection: ledger.Connection | None = None
        self.batches = 0
        self.operations = 0

    async def __aenter__(self) -> "LedgerWriter":
        self._task = asyncio.create_task(self._run(), name="ledger-writer")
        self._look_at_deadlines()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Whatever waits is still written, if Postgres is there."""
        self._closing = True
        self._arrived.set()
        if self._task:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._task, self._timeout)
        if self._clock:
            self._clock.cancel()
        await self._disconnect()

    async def ask(self, operation: Operation) -> Answer:
        """The result, durable. Raises the `GatewayError` that it is, or `ServiceUnavailable` when Postgres is away.

        A caller that gives up loses nothing: a hold that was placed for nobody is released, a charge that nobody
        heard of is given back.
        """
        result = await self.submit(operation)
        if isinstance(result, GatewayError):
            raise result
        return result

    def submit(self, operation: Operation) -> asyncio.Future[Result]:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(operation, loop.create_future(), loop.time() + self._timeout)
        if self._closing:
            waiting.result.set_result(ServiceUnavailable("This server is stopping. Try again."))
            return waiting.result
        self._queue.append(waiting)
        self._arrived.set()
        return waiting.result

    def _look_at_deadlines(self) -> None:
        """Answer those who have waited too long. One clock for all: a timer for each would cost more than its call."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for waiting in (*self._queue, *self._parked, *self._serving):
            if waiting.deadline <= now and not waiting.result.done():
                waiting.result.set_result(ServiceUnavailable(_UNAVAILABLE))
        self._clock = loop.call_later(min(CLOCK, self._timeout), self._look_at_deadlines)

    async def _run(self) -> None:
        while not (self._closing and not self._queue and not self._parked):
            batch = self._take()
            if batch:
                self._serving = batch
                await self._serve(batch)
                self._serving = []
                continue
            self._arrived.clear()
            timeout = PARKED / 2 if self._parked else None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), timeout)

    def _take(self) -> list[_Waiting]:
        """What goes out next: a parked account's operations when they are due, else all that wait."""
        now = asyncio.get_running_loop().time()
        due = [w for w in self._parked if w.not_before <= now]
        if due:
            same = [w for w in due if w.account == due[0].account]
            self._parked = [w for w in self._parked if w not in same]
            return [w for w in same if not w.given_up]
        batch: list[_Waiting] = []
        waiting_apart = {w.account for w in self._parked}
        while self._queue and len(batch) < MAX_BATCH_OPERATIONS:
            waiting = self._queue.popleft()
            if waiting.given_up:
                continue
            if waiting.account in waiting_apart:
                self._park([waiting])
            else:
                batch.append(waiting)
        return batch

    def _park(self, batch: Sequence[_Waiting]) -> None:
        not_before = asyncio.get_running_loop().time() + PARKED
        for waiting in batch:
            waiting.not_before = not_before
            self._parked.append(waiting)

    async def _serve(self, batch: list[_Waiting]) -> None:
        try:
            async with asyncio.timeout(MAX_SILENCE.total_seconds()):
                results = await self._commit(batch)
        except psycopg.errors.LockNotAvailable:
            await self._serve_apart(batch)
        except _LOST as lost:
            await self._reconnect(lost)
            self._queue.extendleft(reversed(batch))  # every operation is idempotent: asking again reads back
        except Exception as fault:
            await self._serve_singly(batch, fault)
        else:
            self._answer(batch, results)

    async def _commit(self, batch: Sequence[_Waiting]) -> list[Result]:
        connection = await self._connected()
        operations = [w.operation for w in batch]
        try:
            results, changes = decide(await ledger.begin(connection, operations), operations)
            for waiting in batch:
                waiting.commits += 1
            await ledger.commit(connection, changes)
        except asyncio.CancelledError:  # no answer: no polite word to this connection either, it would wait as long
            connection.pgconn.finish()
            raise
        except BaseException:
            with contextlib.suppress(*_LOST):
                await connection.rollback()
            raise
        self.batches += 1
        self.operations += len(batch)
        return results

    async def _serve_apart(self, batch: list[_Waiting]) -> None:
        """Somebody holds a lock on one of these accounts: it waits, its neighbours do not."""
        accounts = {w.account for w in batch}
        if len(accounts) == 1:
            self._park(batch)
            return
        for account in sorted(accounts, key=str):
            await self._serve([w for w in batch if w.account == account])

    async def _serve_singly(self, batch: list[_Waiting], fault: Exception) -> None:
        """Something that should not happen: only the operation that causes it fails."""
        if len(batch) > 1:
            for waiting in batch:
                await self._serve([waiting])
            return
        if isinstance(fault, psycopg.errors.UniqueViolation) and batch[0].commits < MAX_COMMITS:
            await self._serve(batch)  # another process was first with this reference: now it can be seen
            return
        state = fault.sqlstate if isinstance(fault, psycopg.Error) else None
        log.error(
            "ledger operation failed",
            operation=type(batch[0].operation).__name__,
            sqlstate=state,
            fault=type(fault).__name__,
        )
        self._answer(batch, [GatewayError("The ledger could not do this. Nothing was charged.")])

    def _answer(self, batch: Sequence[_Waiting], results: Sequence[Result]) -> None:
        for waiting, result in zip(batch, results, strict=True):
            if not waiting.result.done():
                waiting.result.set_result(result)
            elif undo := _undo(waiting, result):
                self._queue.append(_Waiting(undo, asyncio.get_running_loop().create_future()))

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

    async def _reconnect(self, lost: Exception) -> None:
        log.warning("ledger connection lost", fault=type(lost).__name__, waiting=len(self._queue))
        await self._disconnect()
        await asyncio.sleep(0.1 + random.random() * 0.2)  # noqa: S311  # jitter

    async def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(*_LOST):
                await self._connection.close()
            self._connection = None


def _undo(waiting: _Waiting, result: Result) -> Operation | None:
    """What gives back the effect of an operation whose caller has gone and answered (or will answer) with an error.

    A repeated settlement is somebody else's, unless an earlier commit of this very one went unanswered.
    """
    match waiting.operation, result:
        case Reserve(kind=kind, model=model), Reserved(hold_id=hold_id, account_id=account_id):
            return Void(hold_id, account_id, kind, model)
        case Settle(hold_id=hold_id, account_id=account_id), Closed(repeated=repeated):
            return Refund(hold_id, account_id) if waiting.commits > 1 or not repeated else None
    return None
