"""Renders the templates of pages."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from web import assets, numbers
from web.icons import Icons

FOLDER = Path(__file__).parent / "templates"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {"asset": assets.load().url, "percent": numbers.percent, "theme": ""}
    environment.filters |= {
        "credits": numbers.credits,
        "dollars": numbers.dollars,
        "time": numbers.time,
        "span": numbers.span,
        "decimal": numbers.decimal,
        "utc": numbers.utc,
    }
    return environment


def html(template: str, values: Mapping[str, object]) -> str:
    """Render a template. What it is given is escaped, unless it is `Markup`. `icons` are the page's own."""
    return _environment().get_template(template).render({"icons": Icons(), **values})
