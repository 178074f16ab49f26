"""Renders the templates of pages."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from domain.counts import counted
from web import assets, numbers
from web.icons import Icons

FOLDER = Path(__file__).parent / "templates"
_METHODS = frozenset(dir(dict))
_PARAM = re.compile(r"'[\w.\[\]]+':? ")
"""How the API begins a sentence about a field."""


class _Environment(Environment):
    """Jinja2 looks for an attribute first, which an answer of the API never has: each miss is an exception."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict and attribute not in _METHODS:
            return self.getitem(obj, attribute)
        return super().getattr(obj, attribute)


@cache
def _environment() -> Environment:
    environment = _Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {"asset": assets.load().url, "rects": numbers.rects, "theme": ""}
    environment.filters |= {
        "counted": counted,
        "credits": numbers.credits,
        "cells": numbers.cells,
        "dollars": numbers.dollars,
        "time": numbers.time,
        "span": numbers.span,
        "decimal": numbers.decimal,
        "stamp": numbers.stamp,
        "utc": numbers.utc,
        "beside": beside,
    }
    return environment


def beside(fault: str) -> str:
    """Leave the API's name of a field out of its fault: the page writes the fault beside the field."""
    words = fault[named.end() :] if (named := _PARAM.match(fault)) else fault
    return f"{words[:1].upper()}{words[1:]}"


def html(template: str, values: Mapping[str, object]) -> str:
    """Render a template. What it is given is escaped, unless it is `Markup`. `icons` are the page's own."""
    return _environment().get_template(template).render({"icons": Icons(), **values})
