"""Who and what the bank's machine plays with: few of each, so that everything meets everything."""

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from domain.limits import NO_LIMITS, Limits
from domain.meters import TokenPrices, per_thousand
from tests.support.ledger.facts import CACHED, INPUT, OUTPUT, WRITTEN, KeyFacts, SpendingFacts
from tests.support.ledger.model import Model

LEASE = timedelta(hours=1)
"""Nothing expires by itself while a test runs."""
PRICES = TokenPrices(
    per_thousand(
        input=Decimal(INPUT), output=Decimal(OUTPUT), cached_input=Decimal(CACHED), cache_write=Decimal(WRITTEN)
    )
)


@dataclass(frozen=True, slots=True)
class OneKey:
    id: UUID
    account_id: UUID
    token: str
    digest: bytes
    limits: Limits
    above: tuple[UUID, ...]


def _key(account: int, number: int, limits: Limits, *above: int) -> OneKey:
    token, ids = f"key {number} of account {account}", [UUID(int=16 * account + n) for n in (number, *above)]
    return OneKey(ids[0], UUID(int=account), token, token.encode(), limits, tuple(ids[1:]))


MICROSECONDS = 60_000_000
"""Requests and tokens per minute: each moves the counters by one microsecond, and none is ever refused."""
COUNTED = Limits(requests=MICROSECONDS, tokens=MICROSECONDS)
NARROW = replace(COUNTED, concurrent=2, credits_day=2500)
PARENT = replace(COUNTED, concurrent=3, credits_day=2500, credits_month=4000)
GRANDCHILD = Limits(tokens=MICROSECONDS, concurrent=2, credits_day=2000)
ACCOUNTS = (UUID(int=1), UUID(int=2))
STRANGER = UUID(int=3)
"""No account."""
KEYS = tuple(
    key
    for n in (1, 2)
    for key in (
        _key(n, 0, NO_LIMITS),
        _key(n, 1, NARROW),
        _key(n, 2, PARENT),
        _key(n, 3, COUNTED, 2),
        _key(n, 4, GRANDCHILD, 3, 2),
    )
)
"""Of each account two alone, and three generations."""
OWN, OTHERS = ([key for key in KEYS if key.account_id == account] for account in ACCOUNTS)
FLAT_HOLDS = tuple(UUID(int=100 + n) for n in range(5))
TEXT_HOLDS = tuple(UUID(int=110 + n) for n in range(20))
HOLDS = FLAT_HOLDS + TEXT_HOLDS


def opening(model: Model) -> Model:
    """Two accounts without a credit, five keys each."""
    for account in ACCOUNTS:
        model.balances[account] = SpendingFacts()
    for key in KEYS:
        model.keys[key.id] = KeyFacts(key.account_id, key.limits, key.above)
        model.digests[key.digest] = key.id
    return model
