"""The parts of a catalog file's entries that media models have: parameters, input files, and prices by unit."""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, StrictStr, model_validator

from catalog.values import Count, Dollars, Entry, Flag, Price
from domain.media_prices import Unit, Variant
from domain.media_schema import ParameterType, Scalar
from domain.records import record

MAX_CHOICES = 200
MAX_PARAMETERS = 64
_PRICE_KEY = re.compile(r"(credits|cost|usd)_per_([a-z0-9_]+)")


def _scalar(value: object) -> Scalar:
    """A fraction is written as a decimal number, and published as JSON's number."""
    if isinstance(value, Decimal) and value.is_finite():
        return float(value)
    if isinstance(value, str | bool | int):
        return value
    raise ValueError("must be a text, a number, true or false")


def _bound(value: object) -> int | float:
    number = _scalar(value)
    if isinstance(number, str | bool):
        raise ValueError("must be a number")
    return number


Value = Annotated[Scalar, PlainValidator(_scalar)]
Bound = Annotated[int | float, PlainValidator(_bound)]
Words = Annotated[StrictStr, Field(min_length=1, max_length=300)]
ParameterName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
InputRole = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,31}$")]
ContentType = Annotated[str, Field(pattern=r"^(image|audio|video)/[a-z0-9.+-]+$")]


class ParameterEntry(Entry):
    """What is not given here is as it is for every model that has a parameter of this name."""

    type: ParameterType | None = None
    enum: Annotated[tuple[Value, ...], Field(min_length=1, max_length=MAX_CHOICES)] | None = None
    minimum: Bound | None = None
    maximum: Bound | None = None
    multiple_of: Count | None = None
    min_length: Annotated[int, Field(strict=True, ge=0)] | None = None
    max_length: Count | None = None
    pattern: Words | None = None
    expects: Words | None = None
    default: Value | None = None
    required: Flag | None = None
    title: Words | None = None
    description: Words | None = None


def _parameter(value: object) -> object:
    """Read the short forms: `true` is the parameter as it is everywhere, a list has its values, the default first."""
    if value is True:
        return {}
    if isinstance(value, list) and value:
        return {"enum": value, "default": value[0]}
    return value


class InputEntry(Entry):
    max: Annotated[int, Field(strict=True, ge=1, le=16)] = 1
    required: Flag = False
    types: tuple[ContentType, ...] = ()
    max_bytes: Count | None = None
    description: Words | None = None
    needs: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


class VariantEntry(Entry):
    """`{ quality = "high", credits_per_image = 25000 }`: values of parameters, and the price for them."""

    values: dict[str, Value]
    key: str
    price: Dollars


def _variant(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError('must be a table such as { quality = "high", credits_per_image = 25000 }')
    keys = [key for key in value if _PRICE_KEY.fullmatch(key)]
    values = {key: value[key] for key in value if key not in keys}
    if len(keys) != 1 or not values:
        raise ValueError("must have values of parameters and one price, such as credits_per_image")
    return {"values": values, "key": keys[0], "price": value[keys[0]]}


Parameters = Annotated[
    dict[ParameterName, Annotated[ParameterEntry, BeforeValidator(_parameter)]], Field(max_length=MAX_PARAMETERS)
]
Inputs = dict[InputRole, InputEntry]
Variants = tuple[Annotated[VariantEntry, BeforeValidator(_variant)], ...]
Excluded = tuple[dict[ParameterName, Value], ...]


def by_size(document: Any, unit_keys: frozenset[str]) -> Any:
    """Read `variants = { "1920x1080" = 2500 }`: prices by size, in place of the one price beside them."""
    if not isinstance(document, dict) or not isinstance(document.get("variants"), dict):
        return document
    keys = sorted(document.keys() & unit_keys)
    listed = [{"size": size, keys[0] if len(keys) == 1 else "?": each} for size, each in document["variants"].items()]
    return document | {"variants": listed}


@record
class Form:
    """Prices of one kind: what clients pay, what a provider bills, or its list price."""

    prefix: str
    units: Mapping[Unit, Decimal]
    """Of the price beside the variants: one at most."""
    variants: tuple[tuple[int, Unit, Variant], ...] = ()
    """Each with its place in the file's list."""
    per_input_image: Decimal | None = None
    per_1k_prompt_characters: Decimal | None = None

    @property
    def given(self) -> bool:
        return bool(self.units or self.variants or self.beside)

    @property
    def beside(self) -> list[str]:
        """The keys of prices that come on top of the one by units."""
        names = ("per_input_image", "per_1k_prompt_characters")
        return [f"{self.prefix}_{name}" for name in names if getattr(self, name) is not None]

    @property
    def all_units(self) -> frozenset[Unit]:
        return frozenset(self.units) | {unit for _, unit, _ in self.variants}


class Priced(Entry):
    """An entry with prices by unit under one prefix or several."""

    variants: Variants = ()

    @model_validator(mode="before")
    @classmethod
    def _with_variants(cls, document: Any) -> Any:
        return by_size(document, cls.unit_keys())

    @classmethod
    @cache
    def unit_keys(cls) -> frozenset[str]:
        return frozenset(name for name in cls.model_fields if name.rpartition("_per_")[2] in set(Unit))

    def form(self, prefix: str) -> Form:
        units = {unit: price for unit in Unit if (price := getattr(self, f"{prefix}_per_{unit}")) is not None}
        variants = [
            (index, Unit(unit), Variant(variant.values, variant.price))
            for index, variant in enumerate(self.variants)
            for kind, _, unit in [variant.key.partition("_per_")]
            if kind == prefix and unit in set(Unit)
        ]
        beside = (getattr(self, f"{prefix}_per_{what}") for what in ("input_image", "1k_prompt_characters"))
        return Form(prefix, units, tuple(variants), *beside)


class PricedByUnits(Priced):
    """Credits that clients pay."""

    credits_per_call: Price | None = None
    credits_per_image: Price | None = None
    credits_per_second: Price | None = None
    credits_per_1k_characters: Price | None = None
    credits_per_megapixel: Price | None = None
    credits_per_input_image: Price | None = None
    credits_per_1k_prompt_characters: Price | None = None


class CostedByUnits(Priced):
    """Credits that a provider bills us, and its list price in US dollars."""

    cost_per_call: Price | None = None
    cost_per_image: Price | None = None
    cost_per_second: Price | None = None
    cost_per_1k_characters: Price | None = None
    cost_per_megapixel: Price | None = None
    cost_per_input_image: Price | None = None
    cost_per_1k_prompt_characters: Price | None = None
    usd_per_call: Dollars | None = None
    usd_per_image: Dollars | None = None
    usd_per_second: Dollars | None = None
    usd_per_1k_characters: Dollars | None = None
    usd_per_megapixel: Dollars | None = None
    usd_per_input_image: Dollars | None = None
    usd_per_1k_prompt_characters: Dollars | None = None
