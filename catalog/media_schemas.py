"""Makes the schema of a media model from its entry in a catalog file, and finds what is wrong with it."""

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from catalog.entries import ModelEntry
from catalog.media_entries import InputEntry, ParameterEntry
from catalog.media_parameters import STANDARD, TEXTS, default_schema
from domain.errors import RequestInvalid
from domain.media_schema import Input, MediaSchema, Parameter, ParameterType, Scalar

Finding = tuple[tuple[str | int, ...], str]
MAX_OUTPUTS = 16
DEFAULT_TEXT_CHARACTERS = 1000
RESERVED = frozenset({"model", "prompt", "input", "privacy", "webhook_url", "user", "stream", "metadata"})
"""Fields of a request that are no parameter of a model."""
OUTPUTS, SECONDS = "n", "seconds"
_COUNTED: Mapping[str, frozenset[ParameterType]] = {
    OUTPUTS: frozenset({ParameterType.INTEGER}),
    SECONDS: frozenset({ParameterType.INTEGER, ParameterType.NUMBER}),
    "size": frozenset({ParameterType.STRING}),
}
"""Parameters that a price may count, and the types in which it can."""
_TEXT_KEYS = frozenset({"min_length", "max_length", "title", "description", "required"})


def of(entry: ModelEntry) -> MediaSchema:
    """Return the schema. Of an entry with problems, it is not to be used."""
    schema = default_schema(entry.modality)
    if entry.parameters is not None:
        named = {name: parameter for name, parameter in entry.parameters.items() if name != schema.text_name}
        schema = replace(schema, parameters={name: _parameter(name, given) for name, given in named.items()})
        text = entry.parameters.get(schema.text_name)
        if text is not None:
            schema = replace(schema, text=_over(schema.text, text))
    inputs = {role: Input(**given.model_dump()) for role, given in entry.inputs.items()}
    if "mask" in inputs and "image" in inputs and not inputs["mask"].needs:
        inputs["mask"] = replace(inputs["mask"], needs=("image",))
    return replace(schema, inputs=inputs, excluded=entry.excluded)


def _parameter(name: str, given: ParameterEntry) -> Parameter:
    standard = STANDARD.get(name)
    if standard is None:
        standard = Parameter(given.type or _type_of(given.enum or ()), title=None)
    if given.type is not None and given.type is not standard.type:
        standard = Parameter(given.type, title=standard.title)
    if given.enum is not None:
        standard = Parameter(_enum_type(standard.type, given.enum), title=standard.title, default=standard.default)
        if standard.default not in given.enum:
            standard = replace(standard, default=None)
    if given.pattern is not None:
        standard = replace(standard, expects=None)
    parameter = _over(standard, given)
    if parameter.type is ParameterType.STRING and not parameter.enum and parameter.max_length is None:
        return replace(parameter, max_length=DEFAULT_TEXT_CHARACTERS)
    return parameter


def _over(parameter: Parameter, given: ParameterEntry) -> Parameter:
    known = given.model_dump(exclude_none=True, exclude={"type"})
    if parameter.type is ParameterType.NUMBER:
        return replace(parameter, **known)
    whole: dict[str, Any] = {key: int(value) if _is_whole(value) else value for key, value in known.items()}
    return replace(parameter, **whole)


def _is_whole(value: object) -> bool:
    return isinstance(value, float) and value.is_integer()


def _enum_type(standard: ParameterType, enum: tuple[Scalar, ...]) -> ParameterType:
    """A number may have whole numbers alone: 4 is one."""
    kind = _type_of(enum)
    return standard if (standard, kind) == (ParameterType.NUMBER, ParameterType.INTEGER) else kind


def _type_of(enum: tuple[Scalar, ...]) -> ParameterType:
    if any(isinstance(value, bool) for value in enum):
        return ParameterType.BOOLEAN
    if any(isinstance(value, float) for value in enum):
        return ParameterType.NUMBER
    return ParameterType.INTEGER if any(isinstance(value, int) for value in enum) else ParameterType.STRING


def problems(entry: ModelEntry) -> Iterator[Finding]:
    """Find parameters that no request could have, or that a form could not show."""
    text_name, _ = TEXTS[entry.modality]
    for name, given in (entry.parameters or {}).items():
        findings = _text_problems(given) if name == text_name else _named_problems(entry, name, given)
        for path, why in findings:
            yield ("parameters", name, *path), why
    yield from _company_problems(entry.inputs)
    schema = of(entry)
    for index, combination in enumerate(entry.excluded):
        for path, why in _exclusion_problems(schema, combination):
            yield ("excluded", index, *path), why


def _company_problems(inputs: Mapping[str, InputEntry]) -> Iterator[Finding]:
    for role, rule in inputs.items():
        for key, others in (("needs", rule.needs), ("without", rule.without)):
            for other in others:
                if other == role or other not in inputs:
                    yield ("inputs", role, key), f"names '{other}', which is no other input of the model"


def _text_problems(given: ParameterEntry) -> Iterator[Finding]:
    for key in sorted(given.model_fields_set - _TEXT_KEYS):
        yield (key,), "is not a key of the text: it has min_length, max_length and words"


def _named_problems(entry: ModelEntry, name: str, given: ParameterEntry) -> Iterator[Finding]:
    if name in RESERVED or name in entry.inputs:
        yield (), "is a field of every request, or an input file"
    elif given.type is None and given.enum is None and name not in STANDARD:
        yield (), "needs a type or an enum: no other model has this parameter"
    else:
        yield from _parameter_problems(name, _parameter(name, given))


def _exclusion_problems(schema: MediaSchema, combination: Mapping[str, Scalar]) -> Iterator[Finding]:
    for name, value in combination.items():
        if why := value_problem(schema, name, value):
            yield (name,), why
    if len(combination) < 2:
        yield (), "must name two parameters at least"


def value_problem(schema: MediaSchema, name: str, value: Scalar) -> str | None:
    """Say why no request can have this value. None: it can."""
    parameter = schema.parameters.get(name)
    if parameter is None:
        return "is not a parameter of this model"
    return _value_problem(parameter, name, value)


def _value_problem(parameter: Parameter, name: str, value: Scalar) -> str | None:
    try:
        parameter.checked(name, value)
    except RequestInvalid:
        return f"must be {parameter.allowed}"
    return None


def _parameter_problems(name: str, parameter: Parameter) -> Iterator[Finding]:
    yield from _bound_problems(parameter)
    if why := _pattern_problem(parameter.pattern):
        yield ("pattern",), why
    else:
        yield from _choice_problems(name, parameter)
    if name in _COUNTED and parameter.type not in _COUNTED[name]:
        yield ("type",), f"must be {' or '.join(sorted(_COUNTED[name]))}: the price may depend on it"
    if name == OUTPUTS and _highest(parameter) > MAX_OUTPUTS:
        yield ("maximum",), f"must be at most {MAX_OUTPUTS}"


def _choice_problems(name: str, parameter: Parameter) -> Iterator[Finding]:
    """Find a default, or a value of the enum, that no request may have."""
    for index, value in enumerate(parameter.enum):
        if why := _value_problem(replace(parameter, enum=()), name, value):
            yield ("enum", index), why
    if len(set(map(repr, parameter.enum))) < len(parameter.enum):
        yield ("enum",), "has a value twice"
    if parameter.default is not None and (why := _value_problem(parameter, name, parameter.default)):
        yield ("default",), why


def _highest(parameter: Parameter) -> float:
    numbers = [value for value in parameter.enum if isinstance(value, int | float)]
    return max(numbers, default=math.inf if parameter.maximum is None else parameter.maximum)


def _bound_problems(parameter: Parameter) -> Iterator[Finding]:
    number = parameter.type in (ParameterType.INTEGER, ParameterType.NUMBER)
    text = parameter.type is ParameterType.STRING
    of_numbers = {"minimum", "maximum", "multiple_of"}
    of_texts = {"min_length", "max_length", "pattern"}
    foreign = itertools.chain(() if number else of_numbers, () if text else of_texts)
    for key in sorted(foreign):
        if getattr(parameter, key):
            yield (key,), f"is not for a parameter of type {parameter.type}"
    if not number or parameter.enum:
        return
    if parameter.minimum is None or parameter.maximum is None:
        yield (), "needs minimum and maximum, or an enum"
    elif parameter.minimum > parameter.maximum:
        yield ("minimum",), "must not be above maximum"


def _pattern_problem(pattern: str | None) -> str | None:
    if pattern is None:
        return None
    try:
        re.compile(pattern)
    except re.error:
        return "is not a regular expression"
    if not pattern.startswith("^") or not pattern.endswith("$") or pattern.endswith("\\$"):
        return "must begin with ^ and end with $"
    return None
