"""What is counted and priced: one vocabulary for catalog keys, rates on a hold, counts of a call, lines of a receipt.

A cost is the sum of rate x count over meters, rounded up once. Counts are disjoint: a token is counted by one meter.
"""

from collections.abc import Mapping
from dataclasses import field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from domain.money import PRICE_PLACES, micros, plain
from domain.records import record


class Meter(StrEnum):
    """The catalog's key is `credits_per_1k_<meter>`: every price is for 1,000 of what the meter counts."""

    INPUT = "input"
    """Tokens of the input that no other meter counts."""
    CACHED_INPUT = "cached_input"
    CACHE_WRITE = "cache_write"
    """Tokens written into a cache, for five minutes or as long as the provider's default is."""
    CACHE_WRITE_1H = "cache_write_1h"
    AUDIO_INPUT = "audio_input"
    IMAGE_INPUT = "image_input"
    OUTPUT = "output"
    """Tokens of the output that no other meter counts, reasoning included."""
    AUDIO_OUTPUT = "audio_output"
    IMAGE_OUTPUT = "image_output"
    WEB_SEARCH = "web_search"
    """Calls of the provider's own web search."""
    REQUEST = "request"
    """Answers of the provider: one a call, whatever it asks for."""


PARENTS: Mapping[Meter, Meter] = {
    Meter.CACHED_INPUT: Meter.INPUT,
    Meter.CACHE_WRITE: Meter.INPUT,
    Meter.CACHE_WRITE_1H: Meter.CACHE_WRITE,
    Meter.AUDIO_INPUT: Meter.INPUT,
    Meter.IMAGE_INPUT: Meter.INPUT,
    Meter.AUDIO_OUTPUT: Meter.OUTPUT,
    Meter.IMAGE_OUTPUT: Meter.OUTPUT,
}
"""A meter that has no price of its own costs what its parent costs."""
BASE = (Meter.INPUT, Meter.OUTPUT, Meter.CACHED_INPUT, Meter.CACHE_WRITE)
"""The meters that every price by tokens has. The release before reads no others."""
CACHE_METERS = frozenset({Meter.CACHED_INPUT, Meter.CACHE_WRITE, Meter.CACHE_WRITE_1H})
INPUT_METERS = CACHE_METERS | {Meter.INPUT, Meter.AUDIO_INPUT, Meter.IMAGE_INPUT}
OUTPUT_METERS = frozenset({Meter.OUTPUT, Meter.AUDIO_OUTPUT, Meter.IMAGE_OUTPUT})
MAX_PER_CALL: Mapping[Meter, int] = {Meter.WEB_SEARCH: 10, Meter.REQUEST: 1}
"""What is not bounded by tokens: a hold pays for so many, and no more are billed."""
ALWAYS = frozenset({*BASE, Meter.REQUEST})
"""The meters that every call uses."""

DEFAULT_SEARCHES = 5
"""Of a call whose client names no limit, where a provider takes one."""

Rates = Mapping[str, int]
"""Millionths of a credit per 1,000, by meter. Plain values, so that they can be frozen onto a hold as JSON."""


def searches(limit: int | None) -> int:
    """The most web searches of a call whose client allows so many; None: it names no limit."""
    return min(DEFAULT_SEARCHES if limit is None else limit, MAX_PER_CALL[Meter.WEB_SEARCH])


def per_thousand(**credits: Decimal) -> Rates:
    """Rates from credits per 1,000, by the names of meters. A meter of `BASE` that is left out costs as its parent."""
    known = {Meter(name).value: micros(price) for name, price in credits.items()}
    known.setdefault(Meter.OUTPUT.value, 0)
    for meter in BASE:
        known.setdefault(meter.value, rate(known, meter))
    return known


def rate(rates: Rates, meter: Meter) -> int:
    """The meter's own rate, else its parent's; 0 for a meter that is not a kind of token and has no price."""
    while meter not in rates:
        if meter not in PARENTS:
            return 0
        meter = PARENTS[meter]
    return rates[meter]


def credits_per_thousand(rates: Rates, meter: Meter) -> Decimal | None:
    """For display. None: the meter has no price of its own."""
    return Decimal(rates[meter]).scaleb(-PRICE_PLACES) if meter in rates else None


@record
class Tier:
    """The rates of a whole call, all of its tokens, once its input is longer than `above` tokens."""

    above: int
    rates: Rates


@record
class TokenPrices:
    """What one model's calls cost. Frozen onto each hold, which so can be settled without the catalog."""

    rates: Rates
    tiers: tuple[Tier, ...] = ()
    service_tiers: Mapping[str, "TokenPrices"] = field(default_factory=dict)
    """Prices of a call that the provider serves by another service tier than this one, by that tier's name.

    In the catalog: of every tier that is priced. On a hold: of the tiers that may answer in place of the one that was
    requested, whose prices are `rates` and `tiers`.
    """

    def rates_at(self, input_tokens: int) -> Rates:
        """The rates of a call with so much input: those of the highest tier that it passes."""
        if not self.tiers:
            return self.rates
        passed = [tier for tier in self.tiers if input_tokens > tier.above]
        return max(passed, key=lambda tier: tier.above).rates if passed else self.rates

    def served_by(self, service_tier: str | None) -> "TokenPrices":
        """By the tier that the answer names, if it may have been that one; else as requested."""
        return self.service_tiers.get(service_tier or "", self)

    def reachable(self, input_bound: int) -> list[Rates]:
        """Every set of rates that a call with at most so much input may be billed by."""
        others = [rates for other in self.service_tiers.values() for rates in other.reachable(input_bound)]
        return [self.rates, *[tier.rates for tier in self.tiers if input_bound > tier.above], *others]

    def priced(self, meter: Meter) -> bool:
        """Whether the meter has a price of its own."""
        return meter in self.rates

    def limited_to(self, meters: frozenset[Meter]) -> "TokenPrices":
        """Without the meters, of those beyond `ALWAYS`, that a call cannot use."""
        others = {name: prices.limited_to(meters) for name, prices in self.service_tiers.items()}
        tiers = tuple(Tier(tier.above, _limited(tier.rates, meters)) for tier in self.tiers)
        return TokenPrices(_limited(self.rates, meters), tiers, others)

    def requested(self, service_tier: str | None) -> "TokenPrices":
        """The prices of a call for which this tier was requested; the provider may serve it by its default instead.

        Raises KeyError for a tier that is not priced. All rates of `self` price the same meters: so do these.
        """
        if service_tier is None:
            return TokenPrices(self.rates, self.tiers)
        tier = self.service_tiers[service_tier]
        return TokenPrices(tier.rates, tier.tiers, {DEFAULT_TIER: TokenPrices(self.rates, self.tiers)})

    def plain(self) -> dict[str, Any]:
        """As JSON with decimal strings; equal prices are equal text."""
        written: dict[str, Any] = {"rates": _plain(self.rates)}
        if self.tiers:
            written["tiers"] = [{"above": tier.above, "rates": _plain(tier.rates)} for tier in self.tiers]
        if self.service_tiers:
            written["service_tiers"] = {name: prices.plain() for name, prices in self.service_tiers.items()}
        return written


MODEL = "model:"
"""Begins the name of another model's prices among the service tiers of a hold."""
DEFAULT_TIER = "default"
"""The service tier of a call that requests none."""


def _limited(rates: Rates, meters: frozenset[Meter]) -> Rates:
    allowed = meters | ALWAYS
    return {name: value for name, value in rates.items() if name in allowed}


def _plain(rates: Rates) -> dict[str, str]:
    return {name: plain(value, PRICE_PLACES) for name, value in rates.items()}
