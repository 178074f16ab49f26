"""The operations that wait for the ledger, by account. Each account's come in order, the accounts in turn.

`FairQueue` holds what goes out with the next batch. `ParkedAccounts` holds what waits for an account that somebody
else has locked: apart, so that it costs the other accounts nothing.
"""

import asyncio
import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from domain.operations import Operation
from domain.results import Result

AccountKey = UUID | bytes
"""What two operations share when they need the same lock: an account, or the digest of a key whose account is not
known yet. A renewal locks its hold alone."""


@dataclass(slots=True, eq=False)
class Pending:
    """An operation whose result somebody waits for."""

    operation: Operation
    key: AccountKey
    result: asyncio.Future[Result]
    deadline: float = math.inf
    """When its caller stops waiting. Nobody waits for what undoes something, and it is done however late."""
    commits: int = 0
    """How often a commit of it was asked for. After a lost reply nobody knows whether one of them happened."""

    @property
    def abandoned(self) -> bool:
        """Its caller left before a commit was tried: there is nothing to find out and nothing to undo."""
        return self.result.done() and not self.commits


class FairQueue:
    """A batch takes one operation of each account, then a second one of each, until it is full."""

    def __init__(self) -> None:
        self._accounts: dict[AccountKey, deque[Pending]] = {}

    def __bool__(self) -> bool:
        return bool(self._accounts)

    def __iter__(self) -> Iterator[Pending]:
        return itertools.chain.from_iterable(self._accounts.values())

    def push(self, pending: Pending) -> None:
        self._accounts.setdefault(pending.key, deque()).append(pending)

    def push_front(self, batch: Iterable[Pending]) -> None:
        """What was taken comes back, in its order and ahead of all others."""
        accounts: dict[AccountKey, deque[Pending]] = {}
        for pending in itertools.chain(batch, self):
            accounts.setdefault(pending.key, deque()).append(pending)
        self._accounts = accounts

    def take(self, limit: int) -> list[Pending]:
        batch: list[Pending] = []
        while self._accounts and len(batch) < limit:
            key = next(iter(self._accounts))
            queue = self._accounts.pop(key)
            pending = queue.popleft()
            if not pending.abandoned:
                batch.append(pending)
            if queue:
                self._accounts[key] = queue  # behind the others
        return batch

    def remove(self, key: AccountKey) -> Iterable[Pending]:
        """All of one account, in order."""
        return self._accounts.pop(key, ())


@dataclass(slots=True)
class _Parked:
    queue: deque[Pending] = field(default_factory=deque)
    wait_after: float = 0.0
    """When its lock may be waited for again, after that was in vain."""
    alone: bool = False
    """A batch with it met a lock that shows only when it writes: it shares no batch."""


class ParkedAccounts:
    """Accounts that somebody else has locked.

    An account that has just come is waited for, briefly: mostly another process is in the middle of a batch. One that
    was waited for in vain is looked at together with all others, without waiting, and waited for only now and then.
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
        """What was taken is still locked."""
        for pending in reversed(list(batch)):
            parked = self._accounts.setdefault(pending.key, _Parked())
            parked.queue.appendleft(pending)
            parked.alone = parked.alone or alone

    def wait_after(self, key: AccountKey, moment: float) -> None:
        """Its lock was waited for in vain."""
        if parked := self._accounts.get(key):
            parked.wait_after = moment

    def release(self, key: AccountKey) -> Iterable[Pending]:
        """It is not locked any more: what is left of it."""
        parked = self._accounts.pop(key, None)
        return parked.queue if parked else ()

    def take_sharing(self, limit: int) -> list[Pending]:
        """One operation of each account that may share a batch, to see which of them are free by now."""
        self._drop_empty()
        sharing = [parked.queue for parked in self._accounts.values() if not parked.alone]
        return [queue.popleft() for queue in sharing[:limit]]

    def take_next(self, now: float, limit: int) -> list[Pending]:
        """Operations of the one account whose lock is to be waited for now, if there is one."""
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
