"""`yout catalog`: models, routes and prices."""

from typing import TYPE_CHECKING, Any

import click

import exits
from cli.groups import Group
from cli.terminal import as_json, fail, print_json, print_table, say, say_folded
from domain.counts import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from domain.catalog import Catalog, Model


@click.group(cls=Group)
def catalog() -> None:
    """Models, routes and prices."""


@catalog.command()
@as_json
def check(as_json: bool) -> None:
    """Check the catalog, and list the models that are active with the keys that are set."""
    loaded = load()
    active = loaded.active_models()
    if as_json:
        facts = {"models": len(loaded.models), "active": [model.id for model in active]}
        print_json(facts | {"media": {model.id: _facts(model) for model in active if model.media is not None}})
        return
    say(f"{counted(len(loaded.models), 'model')}, {len(active)} active:")
    rows = []
    for model in active:
        routes = ", ".join(f"{route.provider.name}/{route.model}" for route in model.routes)
        rows.append((model.id, f"{model.modality}: {routes}"))
        if model.media is not None:
            rows.append(("", _media(model)))
    print_table(("model", "routes; prices, parameters and input files of media"), rows)
    for warning in losses(active):
        say_folded(f"warning: {warning}")


def losses(models: "Iterable[Model]") -> list[str]:
    """Name the routes of media models that cost more than callers pay: an operator may want that, and should know."""
    from catalog import media_margins

    return [
        f"{model.id} at {route.provider.name} costs more than its price {loss}"
        for model in models
        for route in model.routes
        if model.media is not None and route.costs is not None
        if (loss := media_margins.loss(model.prices, route.costs, model.media)) is not None
    ]


def _facts(model: "Model") -> dict[str, Any]:
    """Return what a media model takes and costs, in words."""
    schema, prices = model.media, model.prices
    if schema is None:
        return {}
    each = [variant.per_unit for variant in prices.variants]
    known = each if prices.per_unit is None else [prices.per_unit, *each]
    return {
        "unit": prices.unit,
        "credits": [float(min(known)), float(max(known))],
        "per_input_image": float(prices.per_input_image),
        "per_1k_prompt_characters": float(prices.per_1k_prompt_characters),
        "parameters": {name: parameter.allowed for name, parameter in schema.parameters.items()},
        "inputs": {role: rule.max for role, rule in schema.inputs.items()},
    }


def _media(model: "Model") -> str:
    facts = _facts(model)
    low, high = facts["credits"]
    price = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    more = "".join(
        f", {facts[key]:g} {words}"
        for key, words in (
            ("per_input_image", "per input image"),
            ("per_1k_prompt_characters", "per 1k prompt characters"),
        )
        if facts[key]
    )
    files = "".join(f"; {role} (up to {count})" for role, count in facts["inputs"].items())
    return f"{price} credits per {facts['unit']}{more}; {', '.join(facts['parameters']) or 'no parameters'}{files}"


def load() -> "Catalog":
    """Load this deployment's catalog. Raises `Failure`, with every problem printed, if it is not valid."""
    import settings as configuration
    from catalog import files
    from domain.catalog import CatalogInvalid
    from providers.registry import KINDS

    try:
        return files.load(configuration.catalog_path(), configuration.provider_keys, KINDS)
    except CatalogInvalid as invalid:
        for problem in invalid.problems:
            exits.tell(f"  {problem}")
        fail(f"the catalog is not valid: {counted(len(invalid.problems), 'problem')}")
