"""Reduces a JSON Schema to the keywords that Gemini takes in `parametersJsonSchema` and `responseJsonSchema`.

What only narrows a value further (`pattern`, `not`, `exclusiveMinimum` …) is left out: the model then is not held to
it. `const`, `definitions` and `allOf` are rewritten.
"""

from collections.abc import Mapping
from typing import Any

_PLAIN = frozenset(
    {"$id", "$anchor", "type", "format", "title", "description", "minItems", "maxItems", "minimum", "maximum"}
    | {"required", "propertyOrdering"}
)
_ONE = ("items", "additionalProperties")
_MANY = ("prefixItems", "anyOf", "oneOf")
_DEFINITIONS = "#/definitions/"


def reduced(schema: Any) -> Any:
    """Return the schema with the keywords that Gemini takes. What is no object, such as `true`, stays as it is."""
    if not isinstance(schema, Mapping):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return _reference(reference, schema)
    result = {name: value for name, value in _merged(schema).items() if name in _PLAIN}
    _add_inner(result, _merged(schema))
    _add_values(result, schema)
    return result


def of_object(schema: Any) -> dict[str, Any]:
    """Return the schema of a function's arguments: always one of an object."""
    result = reduced(schema)
    if not isinstance(result, dict) or not result:
        result = {}
    if "$ref" not in result:
        result.setdefault("type", "object")
    return result


def _reference(reference: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A reference has no keyword beside it but those that begin with `$`."""
    if reference.startswith(_DEFINITIONS):
        reference = "#/$defs/" + reference.removeprefix(_DEFINITIONS)
    result: dict[str, Any] = {"$ref": reference}
    if definitions := _definitions(schema):
        result["$defs"] = definitions
    return result


def _merged(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Merge the schemas of `allOf` into the one that has it: their properties and what they require add up."""
    parts = schema.get("allOf")
    if not isinstance(parts, list):
        return schema
    merged: dict[str, Any] = {}
    for part in [*parts, {name: value for name, value in schema.items() if name != "allOf"}]:
        if not isinstance(part, Mapping):
            continue
        for name, value in part.items():
            known = merged.get(name)
            if isinstance(known, dict) and isinstance(value, dict):
                merged[name] = {**known, **value}
            elif name == "required" and isinstance(known, list) and isinstance(value, list):
                merged[name] = [*known, *(each for each in value if each not in known)]
            else:
                merged[name] = value
    return merged


def _add_inner(result: dict[str, Any], schema: Mapping[str, Any]) -> None:
    for name in _ONE:
        if name in schema:
            result[name] = reduced(schema[name])
    for name in _MANY:
        if isinstance(inner := schema.get(name), list) and inner:
            result[name] = [reduced(each) for each in inner]
    if isinstance(inner := schema.get("properties"), Mapping):
        result["properties"] = {key: reduced(value) for key, value in inner.items()}
    if definitions := _definitions(schema):
        result["$defs"] = definitions
    if "$ref" in schema:  # of a part of `allOf`
        result.clear()
        result.update(_reference(str(schema["$ref"]), schema))


def _definitions(schema: Mapping[str, Any]) -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    for name in ("definitions", "$defs"):
        if isinstance(inner := schema.get(name), Mapping):
            definitions |= {key: reduced(value) for key, value in inner.items()}
    return definitions


def _add_values(result: dict[str, Any], schema: Mapping[str, Any]) -> None:
    """Add `enum`, which takes texts and numbers alone. `const` is an `enum` of one value."""
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if not isinstance(values, list):
        return
    taken = [value for value in values if isinstance(value, str | int | float) and not isinstance(value, bool)]
    if taken and len(taken) == len([value for value in values if value is not None]):
        result["enum"] = taken
        if "type" not in result and all(isinstance(value, str) for value in taken):
            result["type"] = "string" if None not in values else ["string", "null"]
