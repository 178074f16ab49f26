"""Group commit: every ledger operation of a process goes through one writer with connections of its own.

Operations queue up while a batch commits. Then all of them are one transaction, and each caller gets its own result
after the commit. There is no timer, so no latency is added when idle; under load, one fsync serves many operations. An
account that another transaction has locked is left out of the batch and served on a second connection: other accounts
do not wait for it.
"""

import asyncio
import contextlib
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import psycopg
import structlog

from db import connections
from db.fair_queue import AccountKey, FairQueue, ParkedAccounts, Pending
from db.ledger_lane import Committed, Lane, unavailable
from db.outage import Outage
from domain.errors import GatewayError, ServiceUnavailable
from domain.operations import Admit, Operation, Refund, Renew, Reserve, Settle, Void
from domain.results import Answer, Closed, Reserved, Result
from logs import OperatorFaults

log = structlog.get_logger(__name__)

Serve = Callable[[Sequence[Pending]], Awaitable[None]]
MAX_BATCH_OPERATIONS = 128
RESULT_TIMEOUT = timedelta(seconds=10)
"""How long a caller waits for its result while PostgreSQL is unavailable. Then it gets `ServiceUnavailable`."""
MAX_COMMITS = 4
"""How often the commit of one operation is tried, when another process used its reference or a lane failed."""
MAX_KNOWN_DIGESTS = 100_000
DEADLINE_CHECK_SECONDS = 0.25
"""How often the writer checks whether a caller has waited for too long."""
POLL_SECONDS = 0.04
"""How often parked accounts are tried."""
WAIT_PAUSE_SECONDS = 0.5
"""How long the lock of a parked account is not waited for again after a timeout."""
RESTART_PAUSE_SECONDS = 0.2
"""The pause between a fault of this program in a lane and its next start."""
_FAILED = "The ledger could not do this. Nothing was charged."
_UNAVAILABLE = "The ledger is away for the moment. Nothing was charged; try again."


class LedgerWriter:
    """`async with LedgerWriter(url) as ledger: await ledger.ask(Reserve(…))`."""

    def __init__(
        self,
        url: str,
        *,
        timeout: timedelta = RESULT_TIMEOUT,
        application: str = "yout-ledger",
        outage: Outage | None = None,
    ) -> None:
        """`outage`: that of the process's other connections to this database."""
        self._timeout = timeout.total_seconds()
        self._queue = FairQueue()
        self._parked = ParkedAccounts()
        self._faults = OperatorFaults(log)
        self._locked = set[AccountKey]()
        """Accounts whose locks were waited for in vain, until one of them is had."""
        self._owners: dict[bytes, UUID] = {}
        """Accounts by the digests of their keys. A digest never changes its account."""
        self._outage = outage or Outage(url, self._faults)
        self._main = Lane(url, application, self._outage, self._owners)
        self._apart = Lane(url, application, self._outage, self._owners)
        self._arrived = asyncio.Event()
        self._closing = False
        self._unchecked = False
        self._tasks: list[asyncio.Task[None]] = []
        self._clock: asyncio.TimerHandle | None = None
        self.batches = 0
        self.operations = 0

    async def __aenter__(self) -> "LedgerWriter":
        self._tasks = [
            asyncio.create_task(self._keep_serving(self._main, self._serve_queue), name="ledger-writer"),
            asyncio.create_task(self._keep_serving(self._apart, self._serve_parked), name="ledger-writer-parked"),
        ]
        self._check_deadlines()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Commit what waits, if PostgreSQL is available, then disconnect."""
        self._closing = True
        self._arrived.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                await self._tasks[0]
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._clock:
            self._clock.cancel()
        for lane in (self._main, self._apart):
            await lane.disconnect()

    @property
    def available(self) -> bool:
        """True if operations can be committed now, as far as is known."""
        return self._main.available and self._apart.available

    async def ask(self, operation: Operation) -> Answer:
        """Return the answer after its commit. Raises a refusal as `GatewayError`.

        Raises `ServiceUnavailable` when PostgreSQL is unavailable. If the caller stops waiting, the operation is
        undone: a hold is released, a charge refunded.
        """
        result = await self.submit(operation)
        if isinstance(result, GatewayError):
            raise result
        return result

    def check(self) -> None:
        """Connect now, so that the operator sees a fault before the first call."""
        self._unchecked = True
        self._arrived.set()

    def submit(self, operation: Operation) -> asyncio.Future[Result]:
        loop = asyncio.get_running_loop()
        pending = Pending(operation, self._key(operation), loop.create_future(), loop.time() + self._timeout)
        if self._closing:
            pending.result.set_result(ServiceUnavailable("This server is stopping. Try again."))
        elif self._outage.silent and isinstance(operation, Admit | Reserve):  # what ends a call is never given up
            pending.result.set_result(ServiceUnavailable(_UNAVAILABLE))
        else:
            self._enqueue(pending)
        return pending.result

    def _enqueue(self, pending: Pending) -> None:
        if pending.key in self._parked:
            self._parked.park([pending])
        else:
            self._queue.push(pending)
            self._arrived.set()

    def _key(self, operation: Operation) -> AccountKey:
        match operation:
            case Admit(digest=bytes() as digest) | Reserve(digest=bytes() as digest):
                return self._owners.get(digest, digest)
            case Renew(hold_id=hold_id):
                return hold_id
            case Admit(account_id=UUID() as account_id) | Reserve(account_id=UUID() as account_id):
                return account_id
            case Admit():
                return b""
            case Reserve(hold_id=hold_id):
                return hold_id
        return operation.account_id

    def _check_deadlines(self) -> None:
        """Answer callers that have waited too long, and those that wait for a silent server to begin a call.

        One timer serves all: one each would cost more than the call. What such an operation does later is undone.
        """
        loop = asyncio.get_running_loop()
        self._clock = loop.call_later(min(DEADLINE_CHECK_SECONDS, self._timeout), self._check_deadlines)
        now = loop.time()
        silent = self._outage.silent and (self._main.is_unanswered or self._apart.is_unanswered)
        for pending in (*self._queue, *self._parked, *self._main.serving, *self._apart.serving):
            over = pending.deadline <= now or (silent and isinstance(pending.operation, Admit | Reserve))
            if over and not pending.result.done():
                pending.result.set_result(ServiceUnavailable(_UNAVAILABLE))
                self._look_at_lock(pending)

    def _look_at_lock(self, pending: Pending) -> None:
        """Report it if its account's lock was waited for in vain, and not the server."""
        parked = pending.key in self._parked or pending in self._apart.serving
        if parked and not self._outage.lasts and not isinstance(pending.operation, Renew):  # its key is a hold
            self._locked.add(pending.key)
            self._outage.locked()

    async def _keep_serving(self, lane: Lane, serve: Callable[[], Awaitable[None]]) -> None:
        """Restart the lane after a fault of this program. Until it serves again, the writer is not `available`."""
        while True:
            try:
                await serve()
                return
            except Exception as fault:
                lane.available = False
                self._report(fault)
                self._retry(lane)
                await asyncio.sleep(RESTART_PAUSE_SECONDS)

    def _report(self, fault: Exception) -> None:
        *_, frame = traceback.extract_tb(fault.__traceback__)
        self._faults.report(
            f"the ledger's writer failed and was started again: {type(fault).__name__}",
            where=f"{Path(frame.filename).name}:{frame.lineno}",
            remedy="this is a fault of this program: report this line; if it lasts, go back to the release before",
        )

    def _retry(self, lane: Lane) -> None:
        """Queue what the lane had taken again: operations are idempotent. Fail those with `MAX_COMMITS` commits."""
        unanswered = [pending for pending in lane.serving if not pending.result.done()]
        lane.serving = ()
        self._queue.push_front(pending for pending in unanswered if pending.commits < MAX_COMMITS)
        self._arrived.set()
        for pending in unanswered:
            if pending.commits >= MAX_COMMITS:
                pending.result.set_result(GatewayError(_FAILED))

    async def _serve_queue(self) -> None:
        while not (self._closing and not self._queue and not self._parked and not self._apart.serving):
            self._main.serving = batch = self._queue.take(MAX_BATCH_OPERATIONS)
            if batch:
                await self._serve(batch)
                continue
            if (self._unchecked or not self._main.available) and not self._closing:
                self._unchecked = False
                await self._main.check()
                continue
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), POLL_SECONDS if self._closing else None)

    async def _serve(self, batch: Sequence[Pending]) -> None:
        """Commit a batch of the queue. Operations whose account is locked are parked without waiting."""
        try:
            committed = await self._main.commit(batch)
        except psycopg.errors.LockNotAvailable:  # it is not known which account is locked: each is tried by itself
            self._park(batch, alone=True)
        except Exception as error:
            if unavailable(error):
                self._queue.push_front(batch)  # operations are idempotent: the next attempt reads the result
                await self._main.reconnect(error)
            else:
                await self._serve_singly(self._serve, batch, error)
        else:
            self._park(committed.blocked)
            self._finish(committed)

    def _park(self, batch: Sequence[Pending], *, alone: bool = False) -> None:
        self._parked.park(batch, alone=alone)
        for key in {pending.key for pending in batch}:
            self._parked.park(self._queue.remove(key))

    async def _serve_parked(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._apart.serving = batch = self._parked.take_sharing(MAX_BATCH_OPERATIONS)
            if batch:
                await self._serve_apart(batch, wait=False)
            self._apart.serving = batch = self._parked.take_next(loop.time(), MAX_BATCH_OPERATIONS)
            if batch:
                await self._serve_apart(batch, wait=True)
                continue
            if not self._apart.available:
                await self._apart.check()
                continue
            self._parked.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._parked.changed.wait(), POLL_SECONDS if self._parked else None)

    async def _serve_apart(self, batch: Sequence[Pending], *, wait: bool) -> None:
        """Commit parked operations. With `wait`, they are of one account, and its lock is waited for."""
        try:
            committed = await self._apart.commit(batch, wait=wait)
        except psycopg.errors.LockNotAvailable:
            self._parked.put_back(batch, alone=not wait)
            if wait:
                self._parked.wait_after(batch[0].key, asyncio.get_running_loop().time() + WAIT_PAUSE_SECONDS)
        except Exception as error:
            if unavailable(error):
                self._parked.put_back(batch)
                await self._apart.reconnect(error)
            else:
                await self._serve_singly(partial(self._serve_apart, wait=wait), batch, error)
        else:
            self._parked.put_back(committed.blocked)
            self._release([pending for pending, _ in committed.results])
            self._finish(committed)

    def _release(self, batch: Iterable[Pending]) -> None:
        """Move the other operations of these accounts, which are no longer locked, back to the queue."""
        for key in {pending.key for pending in batch}:
            self._queue.push_front(self._parked.release(key))
        self._arrived.set()

    async def _serve_singly(self, serve: Serve, batch: Sequence[Pending], error: Exception) -> None:
        """Handle an unexpected error: run each operation by itself, so that only the one that causes it fails."""
        if len(batch) > 1:
            for pending in batch:
                await serve([pending])
            return
        if isinstance(error, psycopg.errors.UniqueViolation) and batch[0].commits < MAX_COMMITS:
            await serve(batch)  # another process was first with this reference: now its row is visible
            return
        self._release(batch)
        self._answer([(batch[0], self._failed(batch[0], error))])

    def _failed(self, pending: Pending, error: Exception) -> GatewayError:
        if connections.is_refused(error):
            return ServiceUnavailable(_UNAVAILABLE, reported=self._outage.seen(error))
        log.error(
            "ledger operation failed",
            operation=type(pending.operation).__name__,
            sqlstate=error.sqlstate if isinstance(error, psycopg.Error) else None,
            fault=type(error).__name__,
            context=pending.context,
        )
        return GatewayError(_FAILED)

    def _finish(self, committed: Committed) -> None:
        self.batches += 1
        self.operations += len(committed.results)
        if len(self._owners) > MAX_KNOWN_DIGESTS:
            self._owners.clear()
        self._owners.update(committed.owners)
        if self._locked and not self._locked.isdisjoint(self._names(pending for pending, _ in committed.results)):
            self._locked.clear()  # others that are still locked show again
            self._outage.unlocked()
        self._answer(committed.results)

    def _names(self, batch: Iterable[Pending]) -> Iterator[AccountKey]:
        """What accounts may have been called while they were waited for: the digest of a key was not known."""
        for pending in batch:
            yield pending.key
            if isinstance(pending.key, bytes) and (owner := self._owners.get(pending.key)):
                yield owner

    def _answer(self, results: Iterable[tuple[Pending, Result]]) -> None:
        for pending, result in results:
            if not pending.result.done():
                pending.result.set_result(result)
            elif undo := _undo(pending, result):
                self._enqueue(Pending(undo, self._key(undo), asyncio.get_running_loop().create_future()))


def _undo(pending: Pending, result: Result) -> Operation | None:
    """Return the operation that undoes the effect of one whose caller has stopped waiting.

    A repeated settlement was made by another caller, unless an earlier commit of this one was not answered.
    """
    match pending.operation, result:
        case Reserve(kind=kind, model=model), Reserved(hold_id=hold_id, account_id=account_id):
            return Void(hold_id, account_id, kind, model)
        case Settle(hold_id=hold_id, account_id=account_id), Closed(repeated=repeated):
            return Refund(hold_id, account_id) if pending.commits > 1 or not repeated else None
    return None
