"""A small ledger for the rules' tests: accounts, a key, operations, and what must hold after every batch."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from domain.decisions import decide
from domain.holds import HoldState
from domain.ledger import Account, Changes, Key, Secret, State
from domain.meters import TokenPrices, per_thousand
from domain.operations import Operation, Reserve, Settle, Void
from domain.pricing import TextTerms, Usage, UsageSource
from domain.results import Result

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANN, BOB, KEY = UUID(int=1), UUID(int=2), UUID(int=9)
DIGEST = b"ann's key"
RATES = per_thousand(input=Decimal(300), output=Decimal(1500), cached_input=Decimal(30), cache_write=Decimal(375))
TERMS = TextTerms(TokenPrices(RATES), "v1", 20, 15, 100, 4096)
BOUND = 158  # 375 x 20 / 1000 + 1500 x 100 / 1000, rounded up


def state(balance: int = 1000, **changes: object) -> State:
    account = Account(ANN, balance, 0, 0)
    for name, value in changes.items():
        setattr(account, name, value)
    key = Key(KEY, ANN, frozenset({"chat"}))
    return State(NOW, {ANN: account, BOB: Account(BOB, 50, 0, 0)}, {KEY: key}, {DIGEST: Secret(KEY)})


def reserve(number: int = 100, **changes: object) -> Reserve:
    fields: dict[str, object] = {
        "hold_id": UUID(int=number),
        "scope": "chat",
        "kind": "chat",
        "model": "m",
        "terms": TERMS,
        "digest": DIGEST,
    }
    return Reserve(**(fields | changes))  # type: ignore[arg-type]


def used(tokens_in: int, tokens_out: int) -> Usage:
    return Usage(tokens_in, tokens_out, UsageSource.PROVIDER)


def settle(number: int = 100, usage: Usage | None = None, *, minimum: bool = True, account: UUID = ANN) -> Settle:
    return Settle(UUID(int=number), account, usage or used(15, 2), minimum)


def void(number: int = 100, account: UUID = ANN) -> Void:
    return Void(UUID(int=number), account, "chat", "m")


def run(known: State, *operations: Operation) -> tuple[list[Result], Changes]:
    verdicts, changes = decide(known, operations)
    check(known, changes)
    return verdicts, changes


def check(known: State, changes: Changes) -> None:
    for transaction in changes.transactions:
        assert sum(posting.amount for posting in transaction.postings) == 0
        assert all(posting.amount for posting in transaction.postings)
    for account in known.accounts.values():
        holds = [h for h in known.holds.values() if h.account_id == account.id and h.state is HoldState.OPEN]
        assert account.available >= 0
        assert account.held == sum(hold.amount for hold in holds)
        assert account.open_holds == len(holds)
        keyed = [hold for hold in holds if hold.key_id == KEY]
        assert account.id == BOB or known.keys[KEY].used.open_holds == len(keyed)
