"""The bank's machine with purges: their steps come between calls, in any order, and no balance moves."""

from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import rule

from domain.operations import Operation, Sweep
from tests.support.ledger.facts import HoldFacts
from tests.support.ledger.machine import BankMachine
from tests.support.ledger.operations import BATCH
from tests.support.ledger.postgres import PostgresBank
from tests.support.ledger.world import ACCOUNTS

ACCOUNT = st.sampled_from(ACCOUNTS)
STEPS = ("cut", "roll_up", "hash_references", "erase_claims")


@dataclass(slots=True)
class RunningPurge:
    id: UUID
    refs: list[str]
    """Of the account, when it began."""
    rolled_up: set[UUID] = field(default_factory=set)


class PurgeMachine(BankMachine):
    def __init__(self, bank: PostgresBank) -> None:
        self.postgres = bank
        self.purges: dict[UUID, RunningPurge] = {}
        super().__init__(bank)

    @rule(account=ACCOUNT)
    def purge_begins(self, account: UUID) -> None:
        if account not in self.purges:
            refs = [ref for ref, (owner, _) in self.model.refs.items() if owner == account]
            self.purges[account] = RunningPurge(self.postgres.begin_purge(account), refs)
            self.model.balances[account].epoch += 1

    @rule(account=ACCOUNT, step=st.sampled_from(STEPS))
    def purge_goes_on(self, account: UUID, step: str) -> None:
        if account in self.purges:
            getattr(self, f"_{step}")(account, self.purges[account])

    @rule(account=ACCOUNT)
    def purge_completes(self, account: UUID) -> None:
        if account not in self.purges:
            return
        running = self.purges.pop(account)
        self._cut(account, running)
        self._erase_claims(account, running)
        self._hash_references(account, running)
        for function in ("shred_keys(%s)", "erase_rows(%s, 'usage_days', 99)"):
            self.postgres.purge(function, running.id)
        while self._roll_up(account, running) is not None:
            pass
        assert all(hold.erased for hold in self._old(account).values()), "the purge has left a call"
        self.postgres.complete_purge(running.id)

    @rule(account=ACCOUNT, batches=st.lists(BATCH, min_size=len(STEPS), max_size=len(STEPS)))
    def account_is_purged_while_it_calls(self, account: UUID, batches: list[list[Operation]]) -> None:
        self.purge_begins(account)
        for step, batch in zip(STEPS, batches, strict=True):
            self.ask(batch)
            self.purge_goes_on(account, step)
            self.books_are_as_they_must_be()
        self.purge_completes(account)

    def _cut(self, account: UUID, _: RunningPurge) -> None:
        for hold_id, hold in self._old(account).items():
            if hold.state == "open":
                self.ask([Sweep(hold_id, account, cut=True)])

    def _roll_up(self, account: UUID, running: RunningPurge) -> int | None:
        """A batch of two: which calls they are, the database says; what becomes of them, the model."""
        if any(hold.state == "open" for hold in self._old(account).values()):
            return None
        calls = self.postgres.purge("roll_up(%s, 2)", running.id)
        written = self.postgres.facts()["holds"]
        gone = {name for name, hold in self._old(account).items() if written[name][2] == "erased" and not hold.erased}
        for name in gone:
            self.model.holds[name].erased = True
            self.model.usage.pop(name, None)
        running.rolled_up |= gone
        never_placed = [name for name in gone if not self.model.holds[name].amount]
        assert len(gone) - len(never_placed) == (calls or 0)
        net = sum(hold.refunded - hold.charged for hold in map(self.model.holds.__getitem__, running.rolled_up))
        if net:
            self.model.refs[f"purge:{running.id}"] = (account, net)
        return calls

    def _hash_references(self, _: UUID, running: RunningPurge) -> None:
        self.postgres.purge("hash_references(%s)", running.id)
        for ref in running.refs:
            if not ref.startswith("purge:"):
                self.model.hashed[ref] = f"sha256:{sha256(f'yout reference|{ref}'.encode()).hexdigest()}"

    def _erase_claims(self, account: UUID, running: RunningPurge) -> None:
        self.postgres.purge("erase_rows(%s, 'idempotency', 99)", running.id)
        old = self._old(account)
        self.model.claims = {place: claim for place, claim in self.model.claims.items() if claim[1] not in old}

    def _old(self, account: UUID) -> dict[UUID, HoldFacts]:
        """Calls of the epochs that a purge has ended."""
        own = {name: hold for name, hold in self.model.holds.items() if hold.account == account}
        return {name: hold for name, hold in own.items() if self.model.is_old(hold)}
