"""What a call costs, in exact integer arithmetic: prices are whole millionths of a credit.

charge = max(minimum, ceil((input_price x input_tokens + output_price x output_tokens) / 1000)), rounded up once. The
bound of a call, which is what a hold covers, is the same formula over the bounds of its tokens.
"""

from dataclasses import dataclass
from enum import StrEnum

from domain.catalog import Prices, Rates
from domain.money import MICRO, MINIMUM_CHARGE, PRICE_PLACES, plain, round_up

MOST_TOKENS = 10_000_000
"""No call has more tokens than this on either side; a usage report above it is absurd."""
OUTPUT_FLOOR = 256
"""An unbounded call is granted at least this many output tokens per choice, or is refused."""
BALANCE_SHARE = 8
"""An unbounded call holds at most this fraction (one eighth) of the balance, above the floor."""
_PER = 1000 * MICRO
_PER_PLACES = 3 + PRICE_PLACES


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
class TextRates:
    """Millionths of a credit per 1,000 tokens. Cached input and cache writes are parts of the input."""

    input: int
    output: int
    cached_input: int
    cache_write: int

    @classmethod
    def of(cls, rates: Rates) -> "TextRates":
        return cls(*rates.micros)

    @property
    def dearest_input(self) -> int:
        return max(self.input, self.cached_input, self.cache_write)


@dataclass(frozen=True, slots=True)
class TextTier:
    """The rates of a whole call once its input is longer than `above` tokens."""

    above: int
    rates: TextRates


@dataclass(frozen=True, slots=True)
class TextPrices:
    """What one model's tokens cost: frozen onto each hold, which so can be settled without the catalog."""

    rates: TextRates
    tiers: tuple[TextTier, ...] = ()

    @classmethod
    def of(cls, prices: Prices) -> "TextPrices":
        tiers = tuple(TextTier(tier.above, TextRates.of(tier.rates)) for tier in prices.tiers)
        return cls(TextRates.of(prices.rates_at(0)), tiers)

    def rates_at(self, input_tokens: int) -> TextRates:
        if not self.tiers:
            return self.rates
        reached = [tier for tier in self.tiers if input_tokens > tier.above]
        return max(reached, key=lambda tier: tier.above).rates if reached else self.rates


@dataclass(frozen=True, slots=True)
class Usage:
    """What one call used, as it is billed. Kinds of input are parts of `input_tokens`; of output too."""

    input_tokens: int
    output_tokens: int
    source: UsageSource
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    """Written into a cache, for five minutes or as long as the provider's default is."""
    cache_write_1h_tokens: int = 0
    audio_input_tokens: int = 0
    reasoning_tokens: int = 0
    audio_output_tokens: int = 0
    web_searches: int = 0


def cost(prices: TextPrices, usage: Usage) -> int:
    """Whole credits, rounded up once on the sum, without the minimum."""
    return round_up(_sum(prices, usage), _PER)


def exact_cost(prices: TextPrices, usage: Usage) -> str:
    """The same before it is rounded, as a decimal number."""
    return plain(_sum(prices, usage), _PER_PLACES)


def billionths(prices: TextPrices, usage: Usage) -> int:
    """The same in billionths of a credit: what a provider bills is added up as it is, and rounded nowhere."""
    return _sum(prices, usage)


def _sum(prices: TextPrices, usage: Usage) -> int:
    rates = prices.rates_at(usage.input_tokens)
    uncached = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
    return (
        rates.input * uncached
        + rates.cached_input * usage.cached_tokens
        + rates.cache_write * usage.cache_write_tokens
        + rates.output * usage.output_tokens
    )


def charge(prices: TextPrices, usage: Usage, *, minimum: bool) -> int:
    """What a call costs. `minimum` is False for a stream that broke or whose client left."""
    exact = cost(prices, usage)
    return max(MINIMUM_CHARGE, exact) if minimum else exact


@dataclass(frozen=True, slots=True)
class TextTerms:
    """What a chat call may use at most. `output_limit` is per choice; None means: as much as is sensible."""

    prices: TextPrices
    version: str
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


def bound(
    terms: TextTerms | FlatTerms, available: int, max_credits: int | None = None, most_tokens: int | None = None
) -> Bound:
    """The upper bound of a call's cost, given what the account can spend now and what its caller wants to, at most.

    An explicit limit is held in full. An unset one is min(model's maximum, max(256, what an eighth of the balance
    buys)), so that one call neither turns a funded account away nor starves its neighbours; `max_credits` bounds it in
    the same way, but as a whole; and `most_tokens`, input included, is all that its key may use in a minute.
    """
    if isinstance(terms, FlatTerms):
        return Bound(terms.amount, None)
    limit = terms.output_limit
    if limit is None:
        share = available // BALANCE_SHARE
        credits = share if max_credits is None else min(share, max_credits)
        limit = min(terms.model_limit, max(OUTPUT_FLOOR, _affordable(terms, credits)))
        if most_tokens is not None:
            limit = max(1, min(limit, (most_tokens - terms.input_bound) // terms.choices))
    amount = at_most(terms.prices, terms.input_bound, limit * terms.choices)
    return Bound(max(MINIMUM_CHARGE, amount), limit)


def at_most(prices: TextPrices, input_bound: int, output: int) -> int:
    """The dearest that a call can become: every kind of input, in every tier that its input can reach."""
    return max(
        [round_up(r.dearest_input * input_bound + r.output * output, _PER) for r in _reachable(prices, input_bound)]
    )


def _reachable(prices: TextPrices, input_bound: int) -> list[TextRates]:
    return [prices.rates, *(tier.rates for tier in prices.tiers if input_bound > tier.above)]


def _affordable(terms: TextTerms, credits: int) -> int:
    """Output tokens per choice that `credits` buy beside the input; at most the model's maximum."""
    return min([_bought(terms, rates, credits) for rates in _reachable(terms.prices, terms.input_bound)])


def _bought(terms: TextTerms, rates: TextRates, credits: int) -> int:
    rest = credits * _PER - rates.dearest_input * terms.input_bound
    per_token = rates.output * terms.choices
    if rest <= 0:
        return 0
    return terms.model_limit if per_token == 0 else min(terms.model_limit, rest // per_token)
