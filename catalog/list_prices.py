"""Vendors' list prices, from the data inside the package `genai-prices`. Nothing is fetched."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from genai_prices import data_snapshot
from genai_prices.types import ModelInfo, ModelPrice, Tier, TieredPrices, TimeOfDateConstraint

from domain.catalog import Provider
from domain.meters import Meter

Dollars = Mapping[Meter, Decimal]
"""US dollars per 1,000 of what each meter counts. A meter that is not in it has no price of its own."""
KEYS: Mapping[Meter, str] = {
    Meter.INPUT: "input_mtok",
    Meter.CACHED_INPUT: "cache_read_mtok",
    Meter.CACHE_WRITE: "cache_write_mtok",
    Meter.CACHE_WRITE_1H: "cache_write_1h_mtok",
    Meter.AUDIO_INPUT: "input_audio_mtok",
    Meter.IMAGE_INPUT: "input_image_mtok",
    Meter.OUTPUT: "output_mtok",
    Meter.AUDIO_OUTPUT: "output_audio_mtok",
    Meter.IMAGE_OUTPUT: "output_image_mtok",
    Meter.WEB_SEARCH: "web_searches_kcount",
    Meter.REQUEST: "requests_kcount",
}
"""Names in the price data: `_mtok` is the price of a million tokens, `_kcount` of a thousand events."""


@dataclass(frozen=True, slots=True)
class ListPrice:
    """The list price of a model. A tier holds the prices of a whole call whose input is longer than its threshold.

    `tiers` are pairs of the threshold in tokens and the prices, in ascending order.
    """

    base: Dollars
    tiers: tuple[tuple[int, Dollars], ...]
    context_window: int | None


FEES = ("requests_kcount", "output_reasoning_mtok", "output_citation_mtok")
"""Fees that our meters cannot express, or that depend on what a request searches for. A model with one gets no list
price: it would not be what the vendor bills."""


def find(provider: Provider, model: str, at: datetime, *, writes: bool = True) -> ListPrice | None:
    """Return what the provider charges for its model on the day of `at`, or None if that is not known.

    The provider is found by its address or, behind a proxy or a test double, by its name. If the price depends on the
    time of day, the highest one is returned: a price that clients see holds all day. Pass `writes=False` for a model
    without output (embeddings); for others, None is returned unless there is an output price.
    """
    priced = _model(provider.name, provider.base_url, model)
    if priced is None:
        return None
    prices = [priced.get_prices(moment) for moment in _moments(priced, at.astimezone(UTC))]
    for price in prices:
        if price.input_mtok is None or (writes and price.output_mtok is None):
            return None
        if any(getattr(price, fee) is not None for fee in FEES):
            return None
    steps = sorted({tier.start for price in prices for tier in _tiers(price)})
    tiers = tuple((start, _max_prices(prices, start + 1)) for start in steps)
    return ListPrice(_max_prices(prices, 0), tiers, priced.context_window)


@lru_cache(maxsize=1024)
def _model(provider: str, base_url: str | None, model: str) -> ModelInfo | None:
    """Search the package's data, which never changes: it takes half of the time in which a catalog is loaded."""
    snapshot = data_snapshot.get_snapshot()
    for name, address in ((None, base_url), (provider, None)):
        try:
            vendor = snapshot.find_provider(None, name, address)
        except LookupError:
            continue
        return vendor.find_model(model, all_providers=snapshot.providers)
    return None


def _moments(model: ModelInfo, at: datetime) -> set[datetime]:
    """Return the times of that day at which the model's price may change, and `at` itself."""
    moments = {at}
    if isinstance(model.prices, list):
        for priced in model.prices:
            if isinstance(priced.constraint, TimeOfDateConstraint):
                moments |= {
                    datetime.combine(at.date(), moment, moment.tzinfo or UTC)
                    for moment in (priced.constraint.start_time, priced.constraint.end_time)
                }
    return moments


def _tiers(price: ModelPrice) -> Iterable[Tier]:
    for key in KEYS.values():
        value = getattr(price, key)
        if isinstance(value, TieredPrices):
            yield from value.tiers


def _max_prices(prices: list[ModelPrice], input_tokens: int) -> Dollars:
    each = [_at(price, input_tokens) for price in prices]
    known = {meter for dollars in each for meter in dollars}
    return {meter: max(dollars.get(meter, Decimal(0)) for dollars in each) for meter in Meter if meter in known}


def _at(price: ModelPrice, input_tokens: int) -> dict[Meter, Decimal]:
    """Return the prices for an input of this length.

    Without prices of their own, cached input and cache writes cost what plain input costs, and output costs nothing.
    """
    values = {meter: _value(getattr(price, key), input_tokens) for meter, key in KEYS.items()}
    dollars = {
        meter: value if KEYS[meter].endswith("_kcount") else value / 1000
        for meter, value in values.items()
        if value is not None
    }
    base = dollars.setdefault(Meter.INPUT, Decimal(0))
    dollars.setdefault(Meter.OUTPUT, Decimal(0))
    dollars.setdefault(Meter.CACHED_INPUT, base)
    dollars.setdefault(Meter.CACHE_WRITE, base)
    return dollars


def _value(price: Decimal | TieredPrices | None, input_tokens: int) -> Decimal | None:
    if not isinstance(price, TieredPrices):
        return price
    reached = [tier.price for tier in price.tiers if input_tokens > tier.start]
    return reached[-1] if reached else price.base
