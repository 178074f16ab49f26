"""Jobs that wait for the start of their workflow: by the priority of plans, and accounts in turn by their shares."""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from uuid import UUID

from domain.media import Job, Kind


@dataclass(slots=True)
class _Account:
    """What an account has that waits."""

    turn: float
    """When its next turn is, by the clock of its kind."""
    jobs: deque[Job] = field(default_factory=deque[Job])


@dataclass(slots=True)
class _OfKind:
    clock: float = 0.0
    """The turn that was given last. An account with a share of 4 has four turns between two of its ticks."""
    accounts: dict[UUID, _Account] = field(default_factory=dict[UUID, _Account])
    places: list[tuple[int, float, int, UUID]] = field(default_factory=list[tuple[int, float, int, UUID]])
    """A heap with a place for each of them: the priority of its first job, its turn, and who came first."""
    next_turns: dict[UUID, float] = field(default_factory=dict[UUID, float])
    """Of accounts of which nothing waits, where that is to come: one that comes back before has not won a turn."""
    count: int = 0

    def add(self, job: Job) -> None:
        account = self.accounts.get(job.account_id)
        if account is None:
            turn = max(self.clock, self.next_turns.pop(job.account_id, 0.0))
            account = self.accounts[job.account_id] = _Account(turn)
            account.jobs.append(job)
            self._queue(job.account_id, account)
        else:
            account.jobs.append(job)

    def take(self, has_room: Callable[[UUID], bool]) -> Job | None:
        passed = list[tuple[int, float, int, UUID]]()
        try:
            while self.places:
                place = heappop(self.places)
                if has_room(place[-1]):
                    return self._taken(place[-1])
                passed.append(place)
            return None
        finally:
            for place in passed:
                heappush(self.places, place)

    def _taken(self, account_id: UUID) -> Job:
        account = self.accounts[account_id]
        job = account.jobs.popleft()
        self.clock = max(self.clock, account.turn)
        account.turn += 1 / job.share
        if account.jobs:
            self._queue(account_id, account)
        else:
            del self.accounts[account_id]
            self.next_turns[account_id] = account.turn
            self._forget()
        return job

    def _queue(self, account_id: UUID, account: _Account) -> None:
        self.count += 1
        heappush(self.places, (account.jobs[0].priority, account.turn, self.count, account_id))

    def _forget(self) -> None:
        """The turns that have come, oldest first."""
        while self.next_turns:
            account_id = next(iter(self.next_turns))
            if self.accounts and self.next_turns[account_id] > self.clock:
                return
            del self.next_turns[account_id]


class StartTurns:
    """Of a process. Kinds are apart: there may be no worker of one of them."""

    def __init__(self) -> None:
        self._kinds = {kind: _OfKind() for kind in Kind}
        self._counts: Counter[UUID] = Counter()

    def __len__(self) -> int:
        return self._counts.total()

    def __iter__(self) -> Iterator[Job]:
        return (job for kind in self._kinds.values() for account in kind.accounts.values() for job in account.jobs)

    def of(self, account_id: UUID) -> int:
        """How many jobs of this account wait."""
        return self._counts[account_id]

    def add(self, job: Job) -> None:
        self._kinds[job.kind].add(job)
        self._counts[job.account_id] += 1

    def take(self, room: Callable[[Kind], Callable[[UUID], bool] | None]) -> Job | None:
        """The next job for which there is room, or None. `room` tells it of a kind and an account."""
        for kind, waiting in self._kinds.items():
            has_room = room(kind) if waiting.accounts else None
            job = None if has_room is None else waiting.take(has_room)
            if job is not None:
                self._counts[job.account_id] -= 1
                if not self._counts[job.account_id]:
                    del self._counts[job.account_id]
                return job
        return None
