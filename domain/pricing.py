"""What a call costs, in exact integer arithmetic: prices are whole millionths of a credit.

charge = max(minimum, ceil((input_price x input_tokens + output_price x output_tokens) / 1000)), rounded up once. The bound
of a call, which is what a hold covers, is the same formula over the bounds of its tokens.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from domain.money import MICRO, MINIMUM_CHARGE, micros, round_up

MOST_TOKENS = 10_000_000
"""No call has more tokens than this on either side; a usage report above it is absurd."""
OUTPUT_FLOOR = 256
"""An unbounded call is granted at least this many output tokens per choice, or is refused."""
BALANCE_SHARE = 8
"""An unbounded call holds at most this fraction (one eighth) of the balance, above the floor."""
_PER = 1000 * MICRO


class UsageSource(StrEnum):
    PROVIDER = "provider"
    """The provider's own usage report."""
    COUNTED = "counted"
    """Counted by us from what passed through, since the provider reported nothing usable."""
    ESTIMATED = "estimated"
    """Taken from the hold's last checkpoint after a crash: at most a second behind."""
    FLAT = "flat"
    """A media job: priced per call, not by tokens."""


@dataclass(frozen=True, slots=True)
class TextPrices:
    """Millionths of a credit per 1,000 tokens, frozen onto each hold."""

    input: int
    output: int
    version: str

    @classmethod
    def of(cls, per_1k_input: Decimal, per_1k_output: Decimal, version: str) -> "TextPrices":
        return cls(micros(per_1k_input), micros(per_1k_output), version)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, as they are billed."""

    input_tokens: int
    output_tokens: int
    source: UsageSource


def cost(prices: TextPrices, input_tokens: int, output_tokens: int) -> int:
    """Whole credits, rounded up once on the sum, without the minimum."""
    return round_up(prices.input * input_tokens + prices.output * output_tokens, _PER)


def charge(prices: TextPrices, usage: Usage, *, minimum: bool) -> int:
    """What a call costs. `minimum` is False for a stream that broke or whose client left."""
    exact = cost(prices, usage.input_tokens, usage.output_tokens)
    return max(MINIMUM_CHARGE, exact) if minimum else exact


@dataclass(frozen=True, slots=True)
class TextTerms:
    """What a chat call may use at most. `output_limit` is per choice; None means: as much as is sensible."""

    prices: TextPrices
    input_bound: int
    input_count: int
    output_limit: int | None
    model_limit: int
    choices: int = 1


@dataclass(frozen=True, slots=True)
class FlatTerms:
    """A media job: one price, known beforehand."""

    amount: int
    version: str


@dataclass(frozen=True, slots=True)
class Bound:
    """What a hold covers: `amount` credits pay for `output_limit` tokens in each choice."""

    amount: int
    output_limit: int | None


def bound(terms: TextTerms | FlatTerms, available: int) -> Bound:
    """The upper bound of a call's cost, given what the account can spend now.

    An explicit limit is held in full. An unset one is min(model's maximum, max(256, what an eighth of the balance
    buys)), so that one call neither turns a funded account away nor starves its neighbours.
    """
    if isinstance(terms, FlatTerms):
        return Bound(terms.amount, None)
    limit = terms.output_limit
    if limit is None:
        limit = min(terms.model_limit, max(OUTPUT_FLOOR, _affordable(terms, available // BALANCE_SHARE)))
    amount = cost(terms.prices, terms.input_bound, limit * terms.choices)
    return Bound(max(MINIMUM_CHARGE, amount), limit)


def _affordable(terms: TextTerms, credits: int) -> int:
    """Output tokens per choice that `credits` buy beside the input; at most the model's maximum."""
    rest = credits * _PER - terms.prices.input * terms.input_bound
    per_token = terms.prices.output * terms.choices
    if rest <= 0:
        return 0
    return terms.model_limit if per_token == 0 else min(terms.model_limit, rest // per_token)
