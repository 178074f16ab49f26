"""JSON Schemas of the OpenAPI document: as fields for readers, and as the smallest example that is valid."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Schema = Mapping[str, Any]
_PREFIX = "#/components/schemas/"
_BOUNDS = (("minimum", "from {}"), ("maximum", "to {}"), ("minLength", "at least {} characters"))
_MORE_BOUNDS = (("maxLength", "at most {} characters"), ("minItems", "at least {}"), ("maxItems", "at most {}"))
_SELF_EVIDENT = (("minLength", 1), ("minLength", 0), ("minItems", 0))
_EXAMPLES = {
    "uuid": "0199c0de-0000-7000-8000-000000000001",
    "date-time": "2026-12-31T00:00:00Z",
    "email": "ann@example.com",
    "uri": "https://example.com/hook",
    "binary": "@photo.png",
}
_WORDS = {
    "url": "https://example.com/hook",
    "email": "ann@example.com",
    "password": "a long sentence",
    "model": "demo-chat",
    "confirm": "erase",
    "name": "laptop",
    "title": "Mountains",
    "token": "token-of-the-mail",
    "prompt": "A lake at dawn",
    "input": "Hello!",
    "content": "Hello!",
    "text": "Hello!",
    "role": "user",
    "slug": "6Gk1AbQ",
}
"""Example values of fields that have these names."""


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: str
    required: bool
    about: str
    notes: Sequence[str]
    objects: Sequence[str]
    """Named objects that its type mentions."""
    fields: Sequence["Field"] = field(default=())


class Schemas:
    """The named schemas of a document."""

    def __init__(self, named: Mapping[str, Schema]) -> None:
        self._named = named

    def resolved(self, schema: Schema) -> Schema:
        while (name := self.name(schema)) is not None:
            schema = self._named[name]
        return schema

    @staticmethod
    def name(schema: Schema) -> str | None:
        reference = schema.get("$ref")
        return reference.removeprefix(_PREFIX) if reference else None

    def fields(self, schema: Schema) -> list[Field]:
        """Return the fields of an object; of every object that it may be."""
        fields: dict[str, Field] = {}
        for variant in self._variants(schema):
            required = variant.get("required", ())
            for name, one in variant.get("properties", {}).items():
                fields.setdefault(name, self._field(name, one, required=name in required))
        return sorted(fields.values(), key=lambda one: not one.required)

    def mentioned(self, fields: Sequence[Field]) -> Iterator[str]:
        for one in fields:
            yield from one.objects
            yield from self.mentioned(one.fields)

    def object(self, name: str) -> list[Field]:
        return self.fields(self._named[name])

    def about(self, schema: Schema) -> str:
        return str(self.resolved(schema).get("description", ""))

    def type(self, schema: Schema) -> str:
        names = [self._type(variant) for variant in self._shallow(schema)]
        return " or ".join(dict.fromkeys(names)) or "anything"

    def example(self, schema: Schema, name: str = "") -> Any:
        """Return the smallest value that is valid, with an example's words."""
        if schema.get("examples"):
            return schema["examples"][0]
        variant = next(iter(self._variants(schema)), {})
        if "enum" in variant or "const" in variant:
            return variant.get("const", next(iter(variant.get("enum", ())), None))
        makers = {"object": self._object_example, "array": self._array_example, "string": _string_example}
        kind = _kind(variant)
        if kind in makers:
            return makers[kind](variant, name)
        least = variant.get("minimum", 1)
        return {"integer": least, "number": least, "boolean": True}.get(kind, "")

    def _object_example(self, schema: Schema, _: str) -> dict[str, Any]:
        properties = schema.get("properties", {})
        return {name: self.example(properties.get(name, {}), name) for name in schema.get("required", ())}

    def _array_example(self, schema: Schema, name: str) -> list[Any]:
        return [self.example(schema.get("items", {}), name)] if schema.get("minItems", 1) else []

    def _field(self, name: str, schema: Schema, *, required: bool) -> Field:
        variants = list(self._variants(schema))
        objects = [one for variant in self._shallow(schema) for one in self._objects(variant)]
        nested = [] if objects else [one for variant in variants for one in self._nested(variant)]
        about = schema.get("description") or next((one["description"] for one in variants if "description" in one), "")
        notes = [note for variant in variants for note in _notes(variant)]
        return Field(name, self.type(schema), required, about, list(dict.fromkeys(notes)), objects, nested)

    def _nested(self, variant: Schema) -> list[Field]:
        """Return the fields of an object that has no name; also of the objects of a list."""
        return self.fields(variant.get("items", {}) if _kind(variant) == "array" else variant)

    def _objects(self, schema: Schema) -> list[str]:
        name = self.name(schema)
        if name is not None:
            return [name] if "properties" in self._named[name] else []
        inner = schema.get("items") or schema.get("additionalProperties")
        if not isinstance(inner, Mapping):
            return []
        return [one for variant in self._shallow(inner) for one in self._objects(variant)]

    def _shallow(self, schema: Schema) -> Iterator[Schema]:
        """Yield what a value may be, by name where it has one."""
        for variant in schema.get("anyOf") or schema.get("oneOf") or (schema,):
            if variant is not schema and ("anyOf" in variant or "oneOf" in variant):
                yield from self._shallow(variant)
            else:
                yield variant

    def _variants(self, schema: Schema) -> Iterator[Schema]:
        """Yield what a value may be other than null."""
        for variant in self._shallow(schema):
            known = self.resolved(variant)
            if known is not variant:
                yield from self._variants(known)
            elif known.get("type") != "null":
                yield known

    def _type(self, schema: Schema) -> str:
        name, known = self.name(schema), self.resolved(schema)
        if name is not None and "properties" in known:
            return name.rpartition("__")[2]
        kind = known.get("type")
        if isinstance(kind, list):
            return " or ".join(self._type({**known, "type": one}) for one in kind)
        if kind == "array":
            return f"list of {self.type(known.get('items', {}))}"
        return str(kind or ("string" if "enum" in known or "const" in known else "anything"))


def _kind(schema: Schema) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "")
    return str(kind if isinstance(kind, str) else next(one for one in kind if one != "null"))


def _notes(schema: Schema) -> Iterator[str]:
    if "const" in schema:
        yield f"`{schema['const']}`"
    elif "enum" in schema:
        yield "one of " + ", ".join(f"`{one}`" for one in schema["enum"] if one is not None)
    for key, written in (*_BOUNDS, *_MORE_BOUNDS):
        if key in schema and (key, schema[key]) not in _SELF_EVIDENT:
            words = written.format(f"{schema[key]:,}")
            yield words.removesuffix("s") if schema[key] == 1 else words
    if schema.get("default") is not None:
        yield f"otherwise `{schema['default']}`".replace("True", "true").replace("False", "false")
    if "format" in schema:
        yield str(schema["format"])


def _string_example(schema: Schema, name: str) -> str:
    word = _EXAMPLES.get(schema.get("format", "")) or _WORDS.get(name) or (name or "text").replace("_", "-")
    return word.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength", len(word))]
