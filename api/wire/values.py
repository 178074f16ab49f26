"""Reads values of a request, for wires whose fields are nested: each error names the place, as `messages.0.content`."""

from collections.abc import Collection, Mapping
from typing import Any

from domain.errors import RequestInvalid

_NAMES = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "an array", dict: "an object"}


def invalid(at: str, sentence: str, code: str = "invalid_value") -> RequestInvalid:
    return RequestInvalid(f"'{at}' {sentence}.", param=at, code=code)


def typed(value: Any, at: str, *types: type) -> Any:
    """Return the value. Raises `RequestInvalid` unless it is of one of the types. A boolean is no number."""
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise invalid(at, f"must be {' or '.join(_NAMES[kind] for kind in types)}", "invalid_type")
    return value


def optional(fields: Mapping[str, Any], name: str, within: str, *types: type) -> Any:
    """Return a field, or None if it is missing or null."""
    value = fields.get(name)
    return None if value is None else typed(value, place(within, name), *types)


def required(fields: Mapping[str, Any], name: str, within: str, *types: type) -> Any:
    value = fields.get(name)
    if value is None:
        raise invalid(place(within, name), "is required", "missing_required_parameter")
    return typed(value, place(within, name), *types)


def text(fields: Mapping[str, Any], name: str, within: str) -> str:
    """Return a required text that is not empty."""
    value: str = required(fields, name, within, str)
    if not value:
        raise invalid(place(within, name), "must not be empty")
    return value


def word(fields: Mapping[str, Any], name: str, within: str, words: Collection[str]) -> str:
    """Return a required text that is one of the words."""
    value: str = required(fields, name, within, str)
    if value not in words:
        raise invalid(place(within, name), f"must be {one_of(words)}")
    return value


def number(fields: Mapping[str, Any], name: str, low: float, high: float) -> int | float | None:
    """Return a number of the request itself, within bounds, or None."""
    value: int | float | None = optional(fields, name, "", int, float)
    if value is not None and not low <= value <= high:
        raise invalid(name, f"must be between {low} and {high}")
    return value


def whole_number(fields: Mapping[str, Any], name: str, low: int, high: int, within: str = "") -> int | None:
    value: int | None = optional(fields, name, within, int)
    if value is not None and not low <= value <= high:
        raise invalid(place(within, name), f"must be between {low} and {high}")
    return value


def place(within: str, name: str | int) -> str:
    return f"{within}.{name}" if within else str(name)


def one_of(words: Collection[str]) -> str:
    *names, last = sorted(words)
    return f"{', '.join(names)} or {last}" if names else last
