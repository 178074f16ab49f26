"""Vendors' list prices, from the data that ships inside `genai-prices`. Nothing is fetched."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from genai_prices import data_snapshot
from genai_prices.types import ModelInfo, ModelPrice, Tier, TieredPrices, TimeOfDateConstraint

from domain.catalog import Provider


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """Dollars per million tokens of each kind."""

    input: Decimal
    output: Decimal
    cached_input: Decimal
    cache_write: Decimal


@dataclass(frozen=True, slots=True)
class ListPrice:
    """`tiers`: the price of all tokens of a call whose input is longer than so many tokens, in ascending order."""

    base: TokenPrices
    tiers: tuple[tuple[int, TokenPrices], ...]
    context_window: int | None


FEES = ("requests_kcount", "output_reasoning_mtok", "output_citation_mtok")
"""Charged beside what our prices can say: a model that has one has no list price here, as it would be too low."""


def find(provider: Provider, model: str, at: datetime, *, writes: bool = True) -> ListPrice | None:
    """What the provider charges on that day for its model; None when that is not known.

    The provider is known by its address or, behind a proxy or a test double, by its name.

    Where the price depends on the time of day, the dearest one: a price that clients see must hold all day. A model
    that `writes` (an embedding model does not) has a price for its output, or none at all.
    """
    found = _model(provider, model)
    if found is None:
        return None
    prices = [found.get_prices(moment) for moment in _moments(found, at.astimezone(UTC))]
    for price in prices:
        if price.input_mtok is None or (writes and price.output_mtok is None):
            return None
        if any(getattr(price, fee) is not None for fee in FEES):
            return None
    steps = sorted({tier.start for price in prices for tier in _tiers(price)})
    tiers = tuple((start, _dearest(prices, start + 1)) for start in steps)
    return ListPrice(_dearest(prices, 0), tiers, found.context_window)


def _model(provider: Provider, model: str) -> ModelInfo | None:
    snapshot = data_snapshot.get_snapshot()
    for name, address in ((None, provider.base_url), (provider.name, None)):
        try:
            vendor = snapshot.find_provider(None, name, address)
        except LookupError:
            continue
        return vendor.find_model(model, all_providers=snapshot.providers)
    return None


def _moments(model: ModelInfo, at: datetime) -> set[datetime]:
    """Moments of that day between which no price of this model changes."""
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
    for key in ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok"):
        value = getattr(price, key)
        if isinstance(value, TieredPrices):
            yield from value.tiers


def _dearest(prices: list[ModelPrice], input_tokens: int) -> TokenPrices:
    each = [_at(price, input_tokens) for price in prices]
    return TokenPrices(
        input=max(price.input for price in each),
        output=max(price.output for price in each),
        cached_input=max(price.cached_input for price in each),
        cache_write=max(price.cache_write for price in each),
    )


def _at(price: ModelPrice, input_tokens: int) -> TokenPrices:
    """A kind without a price of its own costs what plain input costs; embeddings have no output."""
    base = _value(price.input_mtok, input_tokens) or Decimal(0)
    return TokenPrices(
        input=base,
        output=_value(price.output_mtok, input_tokens) or Decimal(0),
        cached_input=_or(_value(price.cache_read_mtok, input_tokens), base),
        cache_write=_or(_value(price.cache_write_mtok, input_tokens), base),
    )


def _or(value: Decimal | None, otherwise: Decimal) -> Decimal:
    return otherwise if value is None else value


def _value(price: Decimal | TieredPrices | None, input_tokens: int) -> Decimal | None:
    if not isinstance(price, TieredPrices):
        return price
    reached = [tier.price for tier in price.tiers if input_tokens > tier.start]
    return reached[-1] if reached else price.base
