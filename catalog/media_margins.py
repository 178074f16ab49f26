"""Finds requests that cost more than they are paid with: at every edge of what a media model takes."""

import itertools
from collections.abc import Iterator, Mapping
from decimal import Decimal

from catalog import media_price_checks
from catalog.media_schemas import OUTPUTS, SECONDS
from domain.catalog import Prices
from domain.media_prices import Counts
from domain.media_schema import MediaSchema, Parameter, Parameters, Scalar

_COUNTED = (OUTPUTS, SECONDS, "size")
_PRICED_INPUTS = ("image", "reference")


def loss(prices: Prices, costs: Prices, schema: MediaSchema) -> str | None:
    """Say for which request the costs are above the prices. None: for none whose costs can be known beforehand."""
    if prices == costs:
        return None
    for request in _requests(prices, costs, schema):
        for counts in _counts(request, schema):
            paid, cost = prices.exact(request, counts), costs.exact(request, counts)
            if paid is not None and cost is not None and cost > paid:
                credits = f"{cost.normalize():f} credits, {paid.normalize():f} are paid"
                return f"for {media_price_checks.words(request)} ({credits})"
    return None


def _requests(prices: Prices, costs: Prices, schema: MediaSchema) -> Iterator[Parameters]:
    named = prices.varies_by | costs.varies_by
    variants = [*prices.variants, *costs.variants]
    values: dict[str, list[Scalar | None]] = {
        name: media_price_checks.choices(schema.parameters[name], name, variants) for name in sorted(named)
    }
    for name in _COUNTED:
        if name in schema.parameters and name not in named:
            values[name] = _edges(schema.parameters[name])
    for combination in itertools.product(*values.values()):
        request = {name: value for name, value in zip(values, combination, strict=True) if value is not None}
        if not any(media_price_checks.excluded(one, request) for one in schema.excluded):
            yield request


def _edges(parameter: Parameter) -> list[Scalar | None]:
    """Return the values between which everything that is counted lies."""
    numbers = [value for value in parameter.enum if isinstance(value, int | float)]
    if numbers:
        return [min(numbers), max(numbers)]
    known = [value for value in (parameter.minimum, parameter.maximum) if value is not None]
    return [*known] if known else [*parameter.enum] or [parameter.default]


def _counts(request: Mapping[str, Scalar], schema: MediaSchema) -> Iterator[Counts]:
    width, _, height = str(request.get("size", "")).partition("x")
    size = (int(width), int(height)) if width.isdecimal() and height.isdecimal() else None
    seconds, outputs = request.get(SECONDS), request.get(OUTPUTS, 1)
    images = sum(schema.inputs[role].max for role in _PRICED_INPUTS if role in schema.inputs)
    for characters, files in itertools.product({schema.text.min_length, schema.text.max_length or 0}, {0, images}):
        yield Counts(
            outputs=outputs if isinstance(outputs, int) else 1,
            characters=characters,
            seconds=Decimal(str(seconds)) if isinstance(seconds, int | float) else None,
            size=size,
            input_images=files,
        )
