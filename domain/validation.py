"""What a value must be, by the kind of fault that Pydantic finds: in plain words, without the value.

The words are part of a sentence: the field's name comes before them, and a full stop after them. People read them too,
beside the field of a form.
"""

from collections.abc import Mapping
from typing import Any

from domain.counts import counted

_KINDS = {
    "missing": "is required",
    "extra_forbidden": "is not a parameter of this endpoint",
    "none_required": "must be null",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "has characters that it may not have",
    "string_not_ascii": "must have ASCII characters only",
    "time_delta_type": "must be a length of time",
    "time_delta_parsing": "must be a length of time",
    "url_scheme": "must begin with {expected_schemes}",
    "decimal_max_digits": "must have at most {max_digits} digits",
    "decimal_max_places": "must have at most {decimal_places} decimal places",
    "decimal_whole_digits": "must have at most {whole_digits} digits before the point",
}
_OF_A_TYPE = {
    "string": "must be a string",
    "bool": "must be true or false",
    "int": "must be a whole number",
    **dict.fromkeys(("float", "decimal", "finite"), "must be a number"),
    **dict.fromkeys(("list", "tuple", "set", "frozen", "iterable"), "must be an array"),
    **dict.fromkeys(("dict", "mapping", "model", "dataclass"), "must be an object"),
    "date": "must be a day, such as 2026-01-31",
    "time": "must be a time of day, such as 12:00:00",
    **dict.fromkeys(("datetime", "timezone"), "must be a time with its zone, such as 2026-01-31T12:00:00Z"),
    "uuid": "must be a UUID",
    "url": "must be a URL, such as https://example.com/path",
    "union": "must be one of the kinds that are described for it",
}
"""By the first word of a kind."""
_OTHER = "is not what it must be"


def requirement(kind: str, message: str, context: Mapping[str, Any]) -> str:
    """Return what is required of a value. `message` counts for a fault that is worded by us, and no other."""
    if kind in ("value_error", "assertion_error"):
        return message.removeprefix("Value error, ").removeprefix("Assertion failed, ").rstrip(".")
    if kind in ("too_short", "too_long", "string_too_short", "string_too_long"):
        return _size(kind, context)
    words = _KINDS.get(kind) or _OF_A_TYPE.get(kind.partition("_")[0], _OTHER)
    return words.format_map(context)


def _size(kind: str, context: Mapping[str, Any]) -> str:
    noun = "item" if kind.startswith("too") else "character"
    if kind.endswith("long"):
        return f"must have at most {counted(context['max_length'], noun)}"
    least = context["min_length"]
    return "must not be empty" if least == 1 else f"must have at least {counted(least, noun)}"
