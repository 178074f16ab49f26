"""Makes a value that a JSON schema allows, with values from a sentence if it has them."""

import re
from typing import Any

from domain.errors import RequestInvalid

DEEPEST = 6
WIDEST = 400
"""Beyond this many levels or values, only required fields are filled in: a schema that contains itself then ends."""
BOTTOM = 24
MAX_VALUES = 5000
MAX_TEXT_CHARACTERS = 10_000

_FORMATS = {
    "date-time": "2025-01-01T12:00:00Z",
    "date": "2025-01-01",
    "time": "12:00:00Z",
    "email": "demo@example.com",
    "uri": "https://example.com/demo",
    "url": "https://example.com/demo",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
}
_TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
_LONG_TEXTS = frozenset({"answer", "content", "message", "output", "reply", "response", "result", "summary", "text"})


def of(schema: dict[str, Any], sentence: str, answer: str, *, param: str) -> Any:
    """Make a value for the schema. `sentence` is the request, `answer` the value of a field for an answer.

    An error about the schema names `param`.
    """
    try:
        return _Sampler(schema, sentence, answer).value()
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RecursionError):
        raise RequestInvalid("This JSON schema is not one that can be followed.", param=param) from None


class _Sampler:
    """Makes values for one schema."""

    def __init__(self, schema: dict[str, Any], sentence: str, answer: str) -> None:
        self._root = schema
        self._count = 0
        self._answer = answer
        names = re.findall(r"(?<=[^.!?] )[A-ZÀ-Þ][\w-]+", sentence)
        self._name = names[-1] if names else "demo"
        numbers = re.findall(r"-?\d{1,9}(?:\.\d{1,6})?", sentence)
        self._numbers = [float(number) for number in numbers] or [1.0]
        self._sentence = sentence

    def value(self) -> Any:
        return self._of(self._root, "", 0)

    def _of(self, schema: Any, name: str, depth: int) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise ValueError
        if not isinstance(schema, dict) or depth > BOTTOM:
            return None
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        if choices := schema.get("anyOf") or schema.get("oneOf"):
            return self._of(self._chosen(choices, depth), name, depth + 1)
        return self._of_type(_type(schema), schema, name, depth)

    def _of_type(self, kind: str, schema: dict[str, Any], name: str, depth: int) -> Any:
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "integer" | "number":
                return self._numeric(kind, schema, name)
            case "boolean":
                return True
            case "null":
                return None
        return self._text(schema, name)

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the schema that a reference names, or the one that its parts make together."""
        for _ in range(BOTTOM):
            if isinstance(reference := schema.get("$ref"), str):
                schema = self._pointed(reference)
            elif parts := schema.get("allOf"):
                merged = {key: value for key, value in schema.items() if key != "allOf"}
                for part in (self._resolved(part) for part in parts if isinstance(part, dict)):
                    properties = {**merged.get("properties", {}), **part.get("properties", {})}
                    merged = {**merged, **part} | ({"properties": properties} if properties else {})
                schema = merged
            else:
                break
        return schema

    def _pointed(self, reference: str) -> dict[str, Any]:
        node: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            node = node.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
        return node if isinstance(node, dict) else {}

    def _chosen(self, choices: list[Any], depth: int) -> Any:
        nulls = [choice for choice in choices if isinstance(choice, dict) and choice.get("type") == "null"]
        others = [choice for choice in choices if choice not in nulls]
        return nulls[0] if nulls and (self._enough(depth) or not others) else others[0]

    def _enough(self, depth: int) -> bool:
        return depth >= DEEPEST or self._count > WIDEST

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        required = schema.get("required") or []
        if not isinstance(properties, dict):
            return {}
        return {
            name: self._of(inner, name, depth + 1)
            for name, inner in properties.items()
            if name in required or not self._enough(depth)
        }

    def _array(self, schema: dict[str, Any], name: str, depth: int) -> list[Any]:
        if first := schema.get("prefixItems"):
            return [self._of(inner, name, depth + 1) for inner in first]
        count = max(schema.get("minItems", 0), 0 if self._enough(depth) else 1)
        return [self._of(schema.get("items", {}), name, depth + 1) for _ in range(count)]

    def _named(self, name: str, value: str) -> str | None:
        """Return the value of that name in the sentence: 2 for `b` in "a=40 and b=2"."""
        match = re.search(rf"(?<!\w){re.escape(name)}\s*(?:=|:|\bis\b)\s*({value})", self._sentence, re.IGNORECASE)
        return match[1] if name and match else None

    def _next_number(self, name: str) -> float:
        """Return the number of that name, else the next number of the sentence, and at the end the last one again."""
        named = self._named(name, r"-?\d{1,9}(?:\.\d{1,6})?")
        if named is not None:
            return float(named)
        return self._numbers.pop(0) if len(self._numbers) > 1 else self._numbers[0]

    def _numeric(self, kind: str, schema: dict[str, Any], name: str) -> int | float:
        step = schema.get("multipleOf") or 1
        low = schema.get("minimum", schema.get("exclusiveMinimum", -1e9) + step)
        high = schema.get("maximum", schema.get("exclusiveMaximum", 1e9) - step)
        number = min(max(self._next_number(name), low), high)
        if kind == "integer" or "multipleOf" in schema:
            number = round(number / step) * step
        return int(number) if kind == "integer" or number == int(number) else number

    def _text(self, schema: dict[str, Any], name: str) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        named = self._named(name, r"\w[\w-]*")
        text = named or (self._answer if name.lower() in _LONG_TEXTS else self._name)
        text = text.ljust(min(schema.get("minLength", 0), MAX_TEXT_CHARACTERS), ".")
        return text[: schema["maxLength"]] if "maxLength" in schema else text


def _type(schema: dict[str, Any]) -> str:
    named = schema.get("type")
    if isinstance(named, list):
        named = next((each for each in named if each != "null"), "null")
    if named in _TYPES:
        return str(named)
    return "object" if "properties" in schema else "array" if "items" in schema else "string"
