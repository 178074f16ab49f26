"""Queues of operations that wait for the ledger. Those of an account keep their order; accounts take turns.

`FairQueue` has the operations for the next batches. `ParkedAccounts` has those of accounts that another transaction
has locked, so that other accounts do not wait for them.
"""

import asyncio
import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from uuid import UUID

from domain.operations import Operation
from domain.results import Result
from domain.round_robin import RoundRobin

AccountKey = UUID | bytes
"""Equal for operations that need the same lock: the account, or the digest of a key whose account is not known yet. For
a renewal, which locks its hold only, it is the hold."""


@dataclass(slots=True, eq=False)
class Pending:
    """An operation whose caller waits for the result."""

    operation: Operation
    key: AccountKey = field(repr=False)
    result: asyncio.Future[Result]
    deadline: float = math.inf
    """When its caller stops waiting. An operation that undoes another has no caller and no deadline."""
    context: Context = field(default_factory=copy_context, repr=False)
    """Of its caller: a log line about the operation has the ids of that request."""
    commits: int = 0
    """How often its commit was sent. After a lost reply it is unknown whether one of them happened."""

    @property
    def abandoned(self) -> bool:
        """True if its caller left before a commit was sent: there is nothing to undo."""
        return self.result.done() and not self.commits


class FairQueue:
    """Fills a batch with one operation of each account, then a second one of each, until it is full."""

    def __init__(self) -> None:
        self._accounts: RoundRobin[Pending] = RoundRobin()

    def __bool__(self) -> bool:
        return bool(self._accounts)

    def __iter__(self) -> Iterator[Pending]:
        return iter(self._accounts)

    def push(self, pending: Pending) -> None:
        self._accounts.add(pending.key, pending)

    def push_front(self, batch: Iterable[Pending]) -> None:
        """Put taken operations back, in their order, before all others."""
        waiting, self._accounts = self._accounts, RoundRobin()
        for pending in itertools.chain(batch, waiting):
            self.push(pending)

    def take(self, limit: int) -> list[Pending]:
        batch: list[Pending] = []
        while self._accounts and len(batch) < limit:
            pending = self._accounts.take()
            if not pending.abandoned:
                batch.append(pending)
        return batch

    def remove(self, key: AccountKey) -> Iterable[Pending]:
        """Remove and return all operations of one account, in order."""
        return self._accounts.remove(key)


@dataclass(slots=True)
class _Parked:
    queue: deque[Pending] = field(default_factory=deque)
    wait_after: float = 0.0
    """When its lock may be waited for again after a timeout."""
    alone: bool = False
    """True if a batch with it met a lock only when it wrote: it shares no batch with other accounts."""


class ParkedAccounts:
    """Accounts that another transaction has locked.

    For a new account, the lock is waited for briefly: in most cases another process is in the middle of a batch. After
    a timeout, the account is tried together with all others without waiting, and its lock is waited for only rarely.
    """

    def __init__(self) -> None:
        self._accounts: dict[AccountKey, _Parked] = {}
        self.changed = asyncio.Event()
        """Set when an account is parked."""

    def __bool__(self) -> bool:
        return bool(self._accounts)

    def __contains__(self, key: AccountKey) -> bool:
        return key in self._accounts

    def __iter__(self) -> Iterator[Pending]:
        return itertools.chain.from_iterable(parked.queue for parked in self._accounts.values())

    def park(self, batch: Iterable[Pending], *, alone: bool = False) -> None:
        for pending in batch:
            if pending.key not in self._accounts:
                self._accounts[pending.key] = _Parked()
                self.changed.set()
            parked = self._accounts[pending.key]
            parked.queue.append(pending)
            parked.alone = parked.alone or alone

    def put_back(self, batch: Iterable[Pending], *, alone: bool = False) -> None:
        """Put back taken operations whose account is still locked."""
        for pending in reversed(list(batch)):
            parked = self._accounts.setdefault(pending.key, _Parked())
            parked.queue.appendleft(pending)
            parked.alone = parked.alone or alone

    def wait_after(self, key: AccountKey, moment: float) -> None:
        """Wait for its lock again only after `moment`: the last wait timed out."""
        if parked := self._accounts.get(key):
            parked.wait_after = moment

    def release(self, key: AccountKey) -> Iterable[Pending]:
        """Remove an account that is no longer locked, and return its operations."""
        parked = self._accounts.pop(key, None)
        return parked.queue if parked else ()

    def take_sharing(self, limit: int) -> list[Pending]:
        """Take one operation of each account that may share a batch, to find the accounts that are no longer locked."""
        self._drop_empty()
        sharing = [parked.queue for parked in self._accounts.values() if not parked.alone]
        return [queue.popleft() for queue in sharing[:limit]]

    def take_next(self, now: float, limit: int) -> list[Pending]:
        """Take operations of the account whose lock is to be waited for now, if there is one."""
        self._drop_empty()
        due = [parked for parked in self._accounts.values() if parked.wait_after <= now]
        if not due:
            return []
        queue = min(due, key=lambda parked: parked.wait_after).queue
        return [queue.popleft() for _ in range(min(limit, len(queue)))]

    def _drop_empty(self) -> None:
        for key, parked in list(self._accounts.items()):
            parked.queue = deque(pending for pending in parked.queue if not pending.abandoned)
            if not parked.queue:
                del self._accounts[key]
