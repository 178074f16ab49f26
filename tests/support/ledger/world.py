"""Who and what the bank's machine plays with: few of each, so that everything meets everything."""

from dataclasses import dataclass
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


def _key(account: int, number: int, limits: Limits) -> OneKey:
    token = f"key {number} of account {account}"
    return OneKey(UUID(int=16 * account + number), UUID(int=account), token, token.encode(), limits)


NARROW = Limits(concurrent=2, credits_day=2500)
ACCOUNTS = (UUID(int=1), UUID(int=2))
STRANGER = UUID(int=3)
"""No account."""
KEYS = tuple(_key(n, m, limits) for n in (1, 2) for m, limits in enumerate((NO_LIMITS, NARROW)))
FLAT_HOLDS = tuple(UUID(int=100 + n) for n in range(5))
TEXT_HOLDS = tuple(UUID(int=110 + n) for n in range(20))
HOLDS = FLAT_HOLDS + TEXT_HOLDS


def opening(model: Model) -> Model:
    """Two accounts without a credit, two keys each."""
    for account in ACCOUNTS:
        model.balances[account] = SpendingFacts()
    for key in KEYS:
        model.keys[key.id] = KeyFacts(key.account_id, key.limits.concurrent, key.limits.credits_day)
        model.digests[key.digest] = key.id
    return model
