"""Decides when a route is left alone because it fails: for one account, or for everybody.

Pure: the time is an argument, in seconds. One account's bad requests open the breaker for that account alone. It opens
for everybody when several accounts fail, half of those that were seen lately at least, or when no connection is made.
After a rest, one call probes the route. It rests again when the probes of two accounts have failed.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

FAILURES = 3.0
"""The score of an account at which the route rests for it: three failures in a row, or most of its calls."""
TIMEOUT = 1.5
"""A timeout counts as so many failures: each has cost a client its whole length."""
FORGIVES = 0.7
"""What a success leaves of an account's score."""
MAX_VOTE = 2.0
"""What one account adds to everybody's score at most."""
ALL_FAILURES = 4.0
LOST_CONNECTIONS = 3
"""Attempts in a row without a connection. No account's request is to blame for those."""
REST_SECONDS = 10.0
MAX_REST_SECONDS = 120.0
OPEN = 2
"""The position of a breaker that is open for everybody."""
PROBE_SECONDS = 120.0
"""After this time a probe counts as lost, and another call may probe."""
MEMORY_SECONDS = 600.0
MAX_ACCOUNTS = 128
"""Accounts of which a route remembers how they fared."""


@dataclass(slots=True)
class Rest:
    """Closed while `until` is 0. Open until then; half-open after it, for one probe."""

    until: float = 0.0
    opened_at: float = 0.0
    seconds: float = 0.0
    probe_at: float | None = None

    def admits(self, now: float) -> bool:
        if not self.until:
            return True
        return now >= self.until and (self.probe_at is None or now - self.probe_at > PROBE_SECONDS)

    def begin(self, now: float) -> bool:
        """Tell whether the call that begins is a probe."""
        probes = bool(self.until) and now >= self.until
        if probes:
            self.probe_at = now
        return probes

    def open(self, now: float) -> None:
        """Open it, for twice as long as the time before. It stays as it is while it is open."""
        if now < self.until:
            return
        self.seconds = min(max(2 * self.seconds, REST_SECONDS), MAX_REST_SECONDS)
        self.opened_at, self.until, self.probe_at = now, now + self.seconds, None

    def close(self) -> None:
        self.until = self.seconds = 0.0
        self.probe_at = None

    @property
    def probing(self) -> bool:
        return self.probe_at is not None


@dataclass(slots=True)
class _Record:
    """How an account's calls to the route have fared."""

    at: float
    score: float = 0.0
    rest: Rest = field(default_factory=Rest)

    @property
    def vote(self) -> float:
        return min(self.score, MAX_VOTE) if self.score >= 1.0 else 0.0


class Breaker:
    """The breaker of one route, in one process."""

    def __init__(self) -> None:
        self.everybody = Rest()
        self._records: OrderedDict[Hashable, _Record] = OrderedDict()
        self._votes = 0.0
        self._voters = 0
        self._lost = 0
        self._failed_probes: set[Hashable] = set()
        """Accounts whose probes have failed since the last rest. The request of one alone may be to blame."""
        self._prober: Hashable = None

    def admits(self, account: Hashable, now: float) -> bool:
        """Tell whether a call of this account may be sent to the route now."""
        if not self.everybody.admits(now):
            return False
        record = self._records.get(account)
        return record is None or record.rest.admits(now)

    def opens_at(self, account: Hashable) -> float:
        """The time at which a call of this account may be sent again. 0: it always may."""
        record = self._records.get(account)
        return max(self.everybody.until, record.rest.until if record else 0.0)

    def position(self, now: float) -> int:
        """0: closed. 1: half-open. 2: open for everybody."""
        if not self.everybody.until:
            return 0
        return 1 if now >= self.everybody.until else OPEN

    def resting(self, now: float) -> int:
        """The number of accounts for which it is open."""
        return sum(now < record.rest.until for record in self._records.values())

    def begin(self, account: Hashable, now: float) -> None:
        """A call is sent: it is the probe of a breaker that is half-open."""
        if self.everybody.begin(now):
            self._prober = account
        if (record := self._records.get(account)) is not None:
            record.rest.begin(now)

    def succeeded(self, account: Hashable, began: float, now: float) -> None:
        self._lost = 0
        if self.everybody.until:
            if began < self.everybody.opened_at:  # it was sent before the failures
                return
            self._reset()
        record = self._record(account, now)
        if record.rest.until:
            record.rest.close()
            self._score(record, 0.0)
        elif record.score:
            self._score(record, record.score * FORGIVES)

    def failed(self, account: Hashable, now: float, *, timeout: bool = False, connected: bool = True) -> None:
        """Count a failure that the route, or a request of this account, may be to blame for."""
        record = self._record(account, now)
        self._score(record, min(record.score + (TIMEOUT if timeout else 1.0), 2 * FAILURES))
        if record.score >= FAILURES or record.rest.probing:
            record.rest.open(now)
        self._lost = 0 if connected else self._lost + 1
        if self.everybody.probing and account == self._prober:
            record.rest.open(now)
            self._probe_failed(account, now, connected=connected)
        elif not self.everybody.until and (self._lost >= LOST_CONNECTIONS or self._several_failed):
            self.everybody.open(now)

    @property
    def _several_failed(self) -> bool:
        return self._voters > 1 and self._votes >= ALL_FAILURES and 2 * self._voters >= len(self._records)

    def _probe_failed(self, account: Hashable, now: float, *, connected: bool) -> None:
        """Another account may probe, or the route rests again: not for the requests of one account alone."""
        self._failed_probes.add(account)
        self.everybody.probe_at = None
        if not connected or len(self._failed_probes) > 1:
            self._failed_probes.clear()
            self.everybody.open(now)

    def let_go(self, account: Hashable) -> None:
        """A call has ended that shows nothing of the route: the next one may probe."""
        if account == self._prober:
            self.everybody.probe_at = None
        if (record := self._records.get(account)) is not None:
            record.rest.probe_at = None

    def _reset(self) -> None:
        self.everybody.close()
        self._failed_probes.clear()
        self._records.clear()
        self._votes, self._voters = 0.0, 0

    def _record(self, account: Hashable, now: float) -> _Record:
        """The account's record, which is the newest now. Old ones are forgotten, and those that are too many."""
        records = self._records
        while records:
            account_of_oldest, oldest = next(iter(records.items()))
            if now - oldest.at < MEMORY_SECONDS and (len(records) < MAX_ACCOUNTS or account in records):
                break
            self._score(oldest, 0.0)
            del records[account_of_oldest]
        record = records.get(account)
        if record is None:
            record = records[account] = _Record(now)
        else:
            record.at = now
            records.move_to_end(account)
        return record

    def _score(self, record: _Record, score: float) -> None:
        before = record.vote
        record.score = score
        after = record.vote
        self._votes += after - before
        self._voters += (after > 0) - (before > 0)
