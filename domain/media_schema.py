"""What a media model takes: its text, parameters and input files. Checked before anything is held."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from typing import Any

from domain.errors import RequestInvalid
from domain.records import record

Scalar = str | int | float | bool
Parameters = dict[str, Scalar]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PRICED = "x-yout-priced"
"""In a published schema: the price depends on this field."""
MAX_NAME_CHARACTERS = 100
"""Of a name in an error. A longer one is the caller's own invention."""
MAX_TEXT_CHARACTERS = 32_000


class ParameterType(StrEnum):
    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"


_NOUNS = {
    ParameterType.STRING: "a text",
    ParameterType.INTEGER: "an integer",
    ParameterType.NUMBER: "a number",
    ParameterType.BOOLEAN: "true or false",
}


@record
class Parameter:
    """One field of a request. A subset of JSON Schema."""

    type: ParameterType
    enum: tuple[Scalar, ...] = ()
    minimum: int | float | None = None
    maximum: int | float | None = None
    multiple_of: int | None = None
    min_length: int = 0
    max_length: int | None = None
    pattern: str | None = None
    """As in JSON Schema, from `^` to `$`."""
    expects: str | None = None
    """What a value that matches the pattern is, for people."""
    default: Scalar | None = None
    required: bool = False
    title: str | None = None
    description: str | None = None

    def checked(self, name: str, value: object) -> Scalar:
        """Return the value, a whole number as an integer. Raises `RequestInvalid` that names the field."""
        typed = _typed(self.type, value)
        if typed is None:
            raise self._error(name, "invalid_type")
        if not self._allows(typed):
            raise self._error(name, "invalid_value")
        return typed

    def _allows(self, value: Scalar) -> bool:
        if self.enum and value not in self.enum:
            return False
        if isinstance(value, str):
            return self._allows_text(value)
        if isinstance(value, bool):
            return True
        return (
            (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.multiple_of is None or value % self.multiple_of == 0)
        )

    def _allows_text(self, value: str) -> bool:
        if len(value) < self.min_length or (self.max_length is not None and len(value) > self.max_length):
            return False
        return self.pattern is None or re.fullmatch(self.pattern, value, re.ASCII) is not None

    def _error(self, name: str, code: str) -> RequestInvalid:
        return RequestInvalid(f"'{name}' must be {self.allowed}.", param=name, code=code)

    @property
    def allowed(self) -> str:
        """What a value is, in words, such as `an integer from 1 to 10`."""
        if self.enum:
            return f"one of {', '.join(str(value) for value in self.enum)}"
        if self.expects is not None:
            return self.expects
        return " ".join(filter(None, (_NOUNS[self.type], self._bounds(), self._steps())))

    def _bounds(self) -> str:
        if self.type is ParameterType.STRING:
            if self.max_length is None:
                return ""
            least = f"{self.min_length} to " if self.min_length else "at most "
            return f"of {least}{self.max_length} characters"
        if self.minimum is None and self.maximum is None:
            return ""
        if self.maximum is None:
            return f"of at least {self.minimum}"
        if self.minimum is None:
            return f"of at most {self.maximum}"
        return f"from {self.minimum} to {self.maximum}"

    def _steps(self) -> str:
        return f"that is a multiple of {self.multiple_of}" if self.multiple_of else ""

    def published(self) -> dict[str, Any]:
        """Return the JSON Schema of the field. It accepts exactly what `checked` accepts."""
        limits = {
            "enum": list(self.enum) or None,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "multipleOf": self.multiple_of,
            "minLength": self.min_length or None,
            "maxLength": self.max_length,
            "pattern": self.pattern,
        }
        words = {"default": self.default, "title": self.title, "description": self.description or self.expects}
        known = {key: value for key, value in (limits | words).items() if value is not None}
        return {"type": self.type.value} | known


def _typed(expected: ParameterType, value: object) -> Scalar | None:
    """Return the value if it has the type. A number without a fraction is an integer, as in JSON Schema."""
    match expected:
        case ParameterType.STRING:
            return value if isinstance(value, str) else None
        case ParameterType.BOOLEAN:
            return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if expected is ParameterType.NUMBER:
        return value
    return int(value) if value == int(value) else None


@record
class Input:
    """Files that a request may have under one name, such as `image` or `mask`."""

    max: int = 1
    required: bool = False
    types: tuple[str, ...] = ()
    """Content types. Empty: what this server takes for such a file."""
    max_bytes: int | None = None
    description: str | None = None
    needs: tuple[str, ...] = ()
    """Inputs that must be there beside it, such as the picture of a mask."""
    without: tuple[str, ...] = ()
    """Inputs that must not be there beside it."""

    def published(self) -> dict[str, Any]:
        facts = {"max": self.max, "required": self.required, "types": list(self.types)}
        beside = {"needs": list(self.needs), "without": list(self.without)}
        return facts | {"max_bytes": self.max_bytes, "description": self.description} | beside


@record
class MediaSchema:
    """What one model takes."""

    text_name: str
    """The field that has the text: `prompt`, or `input` of a speech."""
    text: Parameter
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    inputs: Mapping[str, Input] = field(default_factory=dict)
    excluded: Sequence[Mapping[str, Scalar]] = ()
    """Combinations of values, defaults included, that no request may have."""

    @property
    def defaults(self) -> Parameters:
        return {name: each.default for name, each in self.parameters.items() if each.default is not None}

    def allows(self, name: str, value: object) -> bool:
        """Tell whether a parameter may have this value."""
        try:
            self.parameters[name].checked(name, value)
        except (KeyError, RequestInvalid):
            return False
        return True

    def checked_text(self, text: object) -> str:
        """Return the text. Raises `RequestInvalid` if it is too long."""
        return str(self.text.checked(self.text_name, text))

    def validated(self, given: Mapping[str, object], aliases: Mapping[str, str] | None = None) -> Parameters:
        """Return the parameters with their defaults. Raises `RequestInvalid` that names one and what it may be.

        `aliases` has the names that the caller uses for some of them: errors have those.
        """
        names = aliases or {}
        for name in given:
            if name not in self.parameters:
                raise self._unknown(names.get(name, name))
        values: Parameters = {}
        for name, parameter in self.parameters.items():
            if name in given:
                values[name] = parameter.checked(names.get(name, name), given[name])
            elif parameter.default is not None:
                values[name] = parameter.default
            elif parameter.required:
                missing = names.get(name, name)
                raise RequestInvalid(
                    f"'{missing}' is required: it must be {parameter.allowed}.",
                    param=missing,
                    code="missing_required_parameter",
                )
        self._require_combinable(values, names)
        return values

    def _unknown(self, name: str) -> RequestInvalid:
        shown = name if len(name) <= MAX_NAME_CHARACTERS else f"{name[:MAX_NAME_CHARACTERS]}…"
        known = ", ".join([*self.parameters, *self.inputs]) or "none"
        message = f"'{shown}' is not a parameter of this model. Its parameters: {known}."
        return RequestInvalid(message, param=shown, code="unsupported_parameter")

    def _require_combinable(self, values: Parameters, names: Mapping[str, str]) -> None:
        for combination in self.excluded:
            if matches(combination, values):
                words = " with ".join(f"'{names.get(name, name)}' {value}" for name, value in combination.items())
                first = next(iter(combination))
                raise RequestInvalid(f"This model does not take {words}.", param=names.get(first, first))

    def published(self, priced: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Return the JSON Schema of a request's fields beside the model and its input files.

        `priced` are the fields on which the price depends.
        """
        fields = {self.text_name: self.text, **self.parameters}
        properties = {name: parameter.published() for name, parameter in fields.items()}
        for name in priced & properties.keys():
            properties[name][PRICED] = True
        needed = [name for name, parameter in fields.items() if parameter.required and parameter.default is None]
        schema: dict[str, Any] = {"$schema": DIALECT, "type": "object", "properties": properties}
        schema |= {"required": needed, "additionalProperties": False}
        if self.excluded:
            schema["allOf"] = [{"not": self._excluding(combination)} for combination in self.excluded]
        return schema

    def _excluding(self, combination: Mapping[str, Scalar]) -> dict[str, Any]:
        """Match the combination. A field that is left out has its default."""
        needed = [name for name, value in combination.items() if not same(self.parameters[name].default, value)]
        return {
            "properties": {name: {"const": value} for name, value in combination.items()},
            "required": needed,
        }


def same(left: Scalar | None, right: Scalar | None) -> bool:
    """Tell whether two values are one in JSON, where `true` is not 1."""
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def matches(values: Mapping[str, Scalar], parameters: Mapping[str, Any]) -> bool:
    """Tell whether the parameters have all these values."""
    return all(name in parameters and same(parameters[name], value) for name, value in values.items())
