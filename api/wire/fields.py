"""Checks of single fields, for wires whose fields are OpenAI's. Each raises `RequestInvalid` that names its field."""

from collections.abc import Mapping
from typing import Any

from domain.errors import RequestInvalid

_NAMES = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "an array", dict: "an object"}


def required(body: Mapping[str, Any], name: str, kind: type) -> Any:
    """Return a field of this type that the request must have."""
    value = body.get(name)
    if value is None:
        raise RequestInvalid(f"'{name}' is required.", param=name, code="missing_required_parameter")
    check_type(name, value, (kind,))
    return value


def check_type(name: str, value: Any, types: tuple[type, ...]) -> None:
    """Null passes: the field is as good as left out. A boolean is no integer."""
    if value is not None and (not isinstance(value, types) or (isinstance(value, bool) and bool not in types)):
        raise RequestInvalid(
            f"'{name}' must be {' or '.join(_NAMES[t] for t in types)}.", param=name, code="invalid_type"
        )


def count(body: Mapping[str, Any], name: str, maximum: int) -> int | None:
    """Return a whole number from 1 to `maximum`, or None if the field is left out."""
    value = body.get(name)
    check_type(name, value, (int,))
    if value is not None and not 1 <= value <= maximum:
        raise RequestInvalid(f"'{name}' must be between 1 and {maximum}.", param=name)
    return value
