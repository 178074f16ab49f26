"""Finds media prices that a request could not be priced by: two that apply, or none."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

from catalog import media_schemas
from catalog.entries import ModelEntry, RouteEntry
from catalog.media_entries import CostedByUnits, Form, Priced, PricedByUnits
from catalog.media_parameters import STANDARD
from catalog.media_schemas import SECONDS, Finding
from domain.catalog import Modality
from domain.media_prices import Unit, Variant, matching
from domain.media_schema import MediaSchema, Parameter, ParameterType, Scalar

MAX_COMBINATIONS = 20_000
_SIZE = re.compile(r"[1-9][0-9]*x[1-9][0-9]*", re.ASCII)
_OTHER = "\0"
"""Any value that no variant names."""
ONE_PRICE = (
    f"a media model has exactly one of {', '.join(sorted(PricedByUnits.unit_keys()))}, or a route with one of "
    f"{', '.join(sorted(key for key in CostedByUnits.unit_keys() if key.startswith('usd')))}"
)


def problems(entry: ModelEntry) -> Iterator[Finding]:
    schema = media_schemas.of(entry)
    form = entry.form("credits")
    yield from _key_problems(entry)
    if form.given:
        yield from _form_problems(form, schema, entry.modality, price=True)
    elif not any(route.form("usd").given for route in entry.routes):
        yield (), ONE_PRICE
    for index, route in enumerate(entry.routes):
        for path, why in _route_problems(entry, route, schema):
            yield ("routes", index, *path), why


def _route_problems(entry: ModelEntry, route: RouteEntry, schema: MediaSchema) -> Iterator[Finding]:
    yield from _key_problems(route)
    listed = route.form("usd")
    if listed.given:
        yield from _form_problems(listed, schema, entry.modality, price=not entry.form("credits").given)
    costs = route.form("cost")
    if costs.given:
        yield from _form_problems(costs, schema, entry.modality, price=False)


def _key_problems(entry: Priced) -> Iterator[Finding]:
    allowed = entry.unit_keys()
    for index, variant in enumerate(entry.variants):
        if variant.key == "?":
            yield ("variants",), "by size need one price beside them, which they replace"
            return
        if variant.key not in allowed:
            yield ("variants", index), f"{variant.key} is not a price here; it may be {', '.join(sorted(allowed))}"


def _form_problems(form: Form, schema: MediaSchema, modality: Modality, *, price: bool) -> Iterator[Finding]:
    """Find faults of one form. `price`: clients pay it, so that every request needs one."""
    if not form.all_units:
        for key in form.beside:
            yield (key,), "needs a price of the output beside it (0 is one)"
        return
    if len(form.all_units) > 1:
        yield _two_units(form)
        return
    if form.per_input_image and not {"image", "reference"} & schema.inputs.keys():
        yield (f"{form.prefix}_per_input_image",), "is for a model with input images: it has none"
    (unit,) = form.all_units
    if price and (why := _uncountable(unit, schema, modality)):
        yield (), why
    yield from list(_value_problems(form, schema)) or _choice_problems(form, schema, price=price)


def _two_units(form: Form) -> Finding:
    if form.prefix == "credits":
        return (), ONE_PRICE
    key = min(f"{form.prefix}_per_{unit}" for unit in form.all_units)
    return (key,), "stands beside another: a route has one cost"


def _value_problems(form: Form, schema: MediaSchema) -> Iterator[Finding]:
    for index, _, variant in form.variants:
        for name, value in variant.values.items():
            if why := media_schemas.value_problem(schema, name, value):
                yield ("variants", index), f"{name} {why}"


def _uncountable(unit: Unit, schema: MediaSchema, modality: Modality) -> str | None:
    """Say why a price by this unit cannot be applied. None: it can."""
    if unit is Unit.SECOND and modality is not Modality.TRANSCRIPTION and not _always(schema.parameters.get(SECONDS)):
        return "a price per second needs the parameter seconds, with a default or required"
    if unit is Unit.MEGAPIXEL and not _is_size(schema.parameters.get("size")):
        return "a price per megapixel needs the parameter size, with a default or required, of WIDTHxHEIGHT alone"
    return None


def _always(parameter: Parameter | None) -> bool:
    return parameter is not None and (parameter.required or parameter.default is not None)


def _is_size(parameter: Parameter | None) -> bool:
    if parameter is None or not _always(parameter):
        return False
    if parameter.enum:
        return all(_SIZE.fullmatch(str(value)) for value in parameter.enum)
    return parameter.pattern == STANDARD["size"].pattern


def _choice_problems(form: Form, schema: MediaSchema, *, price: bool) -> Iterator[Finding]:
    """Try every combination of the values that variants name: each has one price that applies."""
    variants = [variant for _, _, variant in form.variants]
    each = {name: choices(schema.parameters[name], name, variants) for name in _names(variants)}
    count = 1
    for values in each.values():
        count *= len(values)
    if count > MAX_COMBINATIONS:
        yield ("variants",), f"have {count} combinations of values: {MAX_COMBINATIONS} are allowed"
        return
    for combination in itertools.product(*each.values()):
        request = {name: value for name, value in zip(each, combination, strict=True) if value is not None}
        if any(excluded(one, request) for one in schema.excluded):
            continue
        best = matching(variants, request)
        if len(best) > 1:
            places = [index for index, _, variant in form.variants if variant in best]
            yield ("variants", places[-1]), f"applies as much as the variant before it to {words(request)}"
            return
        if price and not best and not form.units:
            yield ("variants",), f"have no price for {words(request)}"
            return


def _names(variants: Sequence[Variant]) -> list[str]:
    return sorted({name for variant in variants for name in variant.values})


def choices(parameter: Parameter, name: str, variants: Sequence[Variant]) -> list[Scalar | None]:
    """Every value that a request may have. None: it may be without one."""
    values: list[Scalar | None] = list(parameter.enum)
    if parameter.type is ParameterType.BOOLEAN:
        values = [False, True]
    elif not parameter.enum:
        named = {variant.values[name] for variant in variants if name in variant.values}
        values = [*sorted(named, key=str), _OTHER]
    return values if _always(parameter) else [*values, None]


def excluded(combination: Mapping[str, Scalar], request: Mapping[str, Scalar]) -> bool:
    return all(name in request and request[name] == value for name, value in combination.items())


def words(request: Mapping[str, Scalar]) -> str:
    named = ", ".join(f"{name} {'of another value' if value == _OTHER else value}" for name, value in request.items())
    return named or "a request that names none of their parameters"
