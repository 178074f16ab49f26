"""`yout catalog`: models, routes and prices."""

from typing import TYPE_CHECKING

import click

import exits
from cli.terminal import as_json, fail, print_json, say

if TYPE_CHECKING:
    from domain.catalog import Catalog


@click.group()
def catalog() -> None:
    """Models, routes and prices."""


@catalog.command()
@as_json
def check(as_json: bool) -> None:
    """Check the catalog, and list the models that are active with the keys that are set."""
    loaded = load()
    active = loaded.active_models()
    if as_json:
        print_json({"models": len(loaded.models), "active": [model.id for model in active]})
        return
    say(f"{len(loaded.models)} models, {len(active)} active:")
    for model in active:
        routes = ", ".join(f"{route.provider.name}/{route.model}" for route in model.routes)
        say(f"  {model.id:<36} {model.modality:<10} {routes}")


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
        fail(f"the catalog is not valid: {len(invalid.problems)} problems")
