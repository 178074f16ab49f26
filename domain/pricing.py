"""What a call costs, in exact integer arithmetic: prices are whole millionths of a credit.

charge = max(minimum, ceil(sum of rate x count over all meters / 1000)), rounded up once. The bound of a call, which is
what a hold covers, is the same formula over the bounds of its counts.
"""

from collections.abc import Mapping
from enum import StrEnum
from operator import attrgetter

from domain import meters
from domain.meters import Meter, Rates, TokenPrices
from domain.money import MICRO, MINIMUM_CHARGE, PRICE_PLACES, plain, round_up
from domain.records import record

MAX_TOKENS = 10_000_000
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


@record
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
    web_searches: int | None = None
    """None: the provider says nothing of them."""
    image_input_tokens: int = 0
    image_output_tokens: int = 0
    requests: int = 1
    """Answers of the provider."""
    service_tier: str | None = None
    """The service tier that the answer says it was served by. None: it says nothing."""


PARTS: Mapping[Meter, str] = {
    Meter.CACHED_INPUT: "cached_tokens",
    Meter.CACHE_WRITE: "cache_write_tokens",
    Meter.CACHE_WRITE_1H: "cache_write_1h_tokens",
    Meter.AUDIO_INPUT: "audio_input_tokens",
    Meter.IMAGE_INPUT: "image_input_tokens",
    Meter.AUDIO_OUTPUT: "audio_output_tokens",
    Meter.IMAGE_OUTPUT: "image_output_tokens",
    Meter.WEB_SEARCH: "web_searches",
    Meter.REQUEST: "requests",
}
"""Where `Usage` has the count of a meter, in the order in which they are taken from the whole."""


_parts = attrgetter(*PARTS.values())
_parts_of_some = attrgetter(*[name for meter, name in PARTS.items() if meter is not Meter.REQUEST])
"""What most calls have none of."""


def counts(prices: TokenPrices, usage: Usage) -> dict[Meter, int]:
    """What is billed, by meter: disjoint, none of them zero, each of a meter that `prices` have.

    A part without a price of its own is counted with its parent, and no part is more than is left of its whole.
    """
    whole = {Meter.INPUT: usage.input_tokens, Meter.OUTPUT: usage.output_tokens}
    if not any(_parts_of_some(usage)) and not prices.priced(Meter.REQUEST):
        return {meter: count for meter, count in whole.items() if count}
    totals = dict.fromkeys(Meter, 0)
    for meter, reported in zip(PARTS, _parts(usage), strict=True):
        count = reported or 0
        if meter in meters.MAX_PER_CALL:
            totals[meter] = min(count, meters.MAX_PER_CALL[meter]) if prices.priced(meter) else 0
            continue
        side = Meter.INPUT if meter in meters.INPUT_METERS else Meter.OUTPUT
        count = min(count, whole[side])
        whole[side] -= count
        totals[_priced(prices, meter)] += count
    for side, rest in whole.items():
        totals[side] += rest
    return {meter: count for meter, count in totals.items() if count}


def parts(counts: Mapping[str, int]) -> dict[str, int]:
    """The fields of `Usage` for counts by meter, without the two totals."""
    return {PARTS[Meter(name)]: count for name, count in counts.items() if name in PARTS}


def _priced(prices: TokenPrices, meter: Meter) -> Meter:
    while not prices.priced(meter) and meter in meters.PARENTS:
        meter = meters.PARENTS[meter]
    return meter


def cost(prices: TokenPrices, usage: Usage) -> int:
    """The cost in whole credits: the sum is rounded up once. The minimum is not applied."""
    return round_up(billionths(prices, usage), _PER)


def exact_cost(prices: TokenPrices, usage: Usage) -> str:
    """The cost in credits before it is rounded, as a decimal number."""
    return plain(billionths(prices, usage), _PER_PLACES)


def billionths(prices: TokenPrices, usage: Usage) -> int:
    """The same in billionths of a credit: what a provider bills is added up as it is, and rounded nowhere."""
    rates = applied(prices, usage)
    return sum(
        [
            (rates[meter] if meter in rates else meters.rate(rates, meter)) * count
            for meter, count in counts(prices, usage).items()
        ]
    )


def applied(prices: TokenPrices, usage: Usage) -> Rates:
    """The rates that the call is billed by: of the service tier that served it, and of the tier its input reached."""
    return prices.served_by(usage.service_tier).rates_at(usage.input_tokens)


def charge(prices: TokenPrices, usage: Usage, *, minimum: bool) -> int:
    """What a call costs. `minimum` is False for a stream that broke or whose client left."""
    exact = cost(prices, usage)
    return max(MINIMUM_CHARGE, exact) if minimum else exact


@record
class TextTerms:
    """What a chat call may use at most. `output_limit` is per choice; None means: as much as is sensible."""

    prices: TokenPrices
    version: str
    input_bound: int
    input_count: int
    output_limit: int | None
    model_limit: int
    choices: int = 1


@record
class FlatTerms:
    """A media job: one price, known beforehand."""

    amount: int
    version: str


@record
class Share:
    """So many of the ordered outputs were made."""

    made: int
    ordered: int

    def of(self, amount: int) -> int:
        """Return the part of an amount, rounded up. More outputs than were ordered cost nothing more."""
        return -(-amount * min(self.made, self.ordered) // self.ordered)


@record
class Bound:
    """What a hold covers: `amount` credits pay for `output_limit` tokens in each choice."""

    amount: int
    output_limit: int | None


def bound(
    terms: TextTerms | FlatTerms, available: int, max_credits: int | None = None, max_tokens: int | None = None
) -> Bound:
    """The upper bound of a call's cost, given what the account can spend now and what its caller wants to, at most.

    An explicit limit is held in full. An unset one is min(model's maximum, max(256, what an eighth of the balance
    buys)), so that one call neither turns a funded account away nor starves its neighbours; `max_credits` bounds it in
    the same way, but as a whole; and `max_tokens`, input included, is all that its key may use in a minute.
    """
    if isinstance(terms, FlatTerms):
        return Bound(terms.amount, None)
    limit = terms.output_limit
    if limit is None:
        share = available // BALANCE_SHARE
        credits = share if max_credits is None else min(share, max_credits)
        limit = min(terms.model_limit, max(OUTPUT_FLOOR, _affordable(terms, credits)))
        if max_tokens is not None:
            limit = max(1, min(limit, (max_tokens - terms.input_bound) // terms.choices))
    amount = at_most(terms.prices, terms.input_bound, limit * terms.choices)
    return Bound(max(MINIMUM_CHARGE, amount), limit)


def at_most(prices: TokenPrices, input_bound: int, output: int) -> int:
    """The most that a call can cost: by its most expensive meters, in every tier that it can reach."""
    return max(
        round_up(
            max_input_rate(rates) * input_bound + max_output_rate(rates) * output + _per_call(rates),
            _PER,
        )
        for rates in prices.reachable(input_bound)
    )


def max_input_rate(rates: Rates) -> int:
    return max([value for name, value in rates.items() if name in meters.INPUT_METERS])


def max_output_rate(rates: Rates) -> int:
    """Zero for a model without output."""
    return max([value for name, value in rates.items() if name in meters.OUTPUT_METERS], default=0)


def _per_call(rates: Rates) -> int:
    return sum([rates.get(meter, 0) * count for meter, count in meters.MAX_PER_CALL.items()])


def _affordable(terms: TextTerms, credits: int) -> int:
    """Output tokens per choice that `credits` buy beside the input; at most the model's maximum."""
    return min(_bought(terms, rates, credits) for rates in terms.prices.reachable(terms.input_bound))


def _bought(terms: TextTerms, rates: Rates, credits: int) -> int:
    rest = credits * _PER - max_input_rate(rates) * terms.input_bound - _per_call(rates)
    per_token = max_output_rate(rates) * terms.choices
    if rest <= 0:
        return 0
    return terms.model_limit if per_token == 0 else min(terms.model_limit, rest // per_token)
