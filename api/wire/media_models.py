"""What the lists of models have of a media model beside what every model has: its schema, input files and prices."""

from decimal import Decimal
from typing import Any

from domain.catalog import Model, Prices
from domain.media_prices import Unit


def number(credits: Decimal) -> int | float:
    """Return a price as a JSON number. It may be a float, because it is only shown and never calculated with."""
    return int(credits) if credits == credits.to_integral_value() else float(credits)


def inputs(model: Model) -> dict[str, dict[str, Any]]:
    return {role: files.published() for role, files in model.media.inputs.items()} if model.media else {}


def voices(model: Model) -> list[str] | None:
    voice = model.media.parameters.get("voice") if model.media else None
    return [str(name) for name in voice.enum] if voice and voice.enum else None


def variants(prices: Prices) -> list[dict[str, Any]]:
    """Return prices for certain values of parameters: the one that matches with the most of them applies."""
    return [{"values": dict(each.values), "per_unit": number(each.per_unit)} for each in prices.variants]


def by_size(prices: Prices) -> dict[str, int | float]:
    """Return those of the variants that depend on the size alone."""
    sizes = [each for each in prices.variants if each.values.keys() == {"size"}]
    return {str(each.values["size"]): number(each.per_unit) for each in sizes}


def per_unit(model: Model) -> Decimal | None:
    """Return the price beside the variants; without one, that of a request which names no parameter."""
    prices = model.prices
    if prices.per_unit is not None or model.media is None:
        return prices.per_unit
    return prices.per_unit_of(model.media.defaults)


def prices(model: Model) -> dict[str, Any]:
    """Return the prices per unit, as fields of a model."""
    shown = per_unit(model)
    priced: dict[str, Any] = {f"credits_per_{unit}": None for unit in Unit}
    if model.prices.unit is not None and shown is not None:
        priced[f"credits_per_{model.prices.unit}"] = number(shown)
    return priced | {
        "credits_per_input_image": number(model.prices.per_input_image) or None,
        "credits_per_1k_prompt_characters": number(model.prices.per_1k_prompt_characters) or None,
    }
