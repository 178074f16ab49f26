"""JSON Schemas, reduced to what Gemini takes."""

from typing import Any

import pytest

from providers.gemini import schema

TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"$schema": "x", "type": "string", "pattern": "a", "title": "t"}, {"type": "string", "title": "t"}),
        (
            {"type": "object", "properties": {"pattern": TEXT}, "required": ["pattern"], "additionalProperties": False},
            {"type": "object", "properties": {"pattern": TEXT}, "required": ["pattern"], "additionalProperties": False},
        ),
        ({"type": ["string", "null"], "default": None}, {"type": ["string", "null"]}),
        ({"const": "a"}, {"enum": ["a"], "type": "string"}),
        ({"const": 1, "type": "integer"}, {"enum": [1], "type": "integer"}),
        ({"enum": ["a", None]}, {"enum": ["a"], "type": ["string", "null"]}),
        ({"enum": [True, False], "type": "boolean"}, {"type": "boolean"}),
        ({"type": "integer", "exclusiveMinimum": 0, "minimum": 1}, {"type": "integer", "minimum": 1}),
        ({"type": "array", "items": TEXT | {"x": 1}, "uniqueItems": True}, {"type": "array", "items": TEXT}),
        ({"anyOf": [TEXT | {"default": 1}, {"type": "null"}]}, {"anyOf": [TEXT, {"type": "null"}]}),
        (
            {"$ref": "#/definitions/a", "description": "d", "definitions": {"a": TEXT | {"x": 1}}},
            {"$ref": "#/$defs/a", "$defs": {"a": TEXT}},
        ),
        (
            {"allOf": [{"properties": {"a": TEXT}, "required": ["a"]}, {"properties": {"b": TEXT}, "required": ["b"]}]},
            {"properties": {"a": TEXT, "b": TEXT}, "required": ["a", "b"]},
        ),
        ({"allOf": [{"$ref": "#/$defs/a"}], "description": "d"}, {"$ref": "#/$defs/a"}),
        ({"additionalProperties": TEXT | {"x": 1}}, {"additionalProperties": TEXT}),
    ],
)
def test_what_is_left_of_a_schema(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert schema.reduced(given) == expected


def test_the_arguments_of_a_function_are_an_object() -> None:
    assert schema.of_object({}) == {"type": "object"}
    assert schema.of_object({"properties": {"a": TEXT}}) == {"type": "object", "properties": {"a": TEXT}}
    assert schema.of_object({"$ref": "#/$defs/a"}) == {"$ref": "#/$defs/a"}
