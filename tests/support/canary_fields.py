"""What clients sent, beside what they may send: each text field of the OpenAPI document is to carry a word."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

DOCUMENT: dict[str, Any] = json.loads((Path(__file__).resolve().parents[2] / "docs" / "openapi.json").read_bytes())
CLOSED = {
    **dict.fromkeys(("model", "models[]", "only.share"), "the id of something that there is"),
    **dict.fromkeys(
        ("scopes[]", "events[]", "size", "seconds", "response_format", "voice", "voice.id"), "one of a list"
    ),
    "messages[].role": "one of a list",
    **dict.fromkeys(
        (each for name in ("image", "mask", "file", "input_reference") for each in (name, f"{name}[]", f"{name}.*")),
        "a file",
    ),
    "audio": "a file",
}
"""Text that is neither content nor secret: a word in it is refused."""
UNWRITTEN = {
    "POST /api/billing/quote/": "nothing is written",
    "POST /v1/messages/count_tokens": "nothing is written",
    "POST /v1/responses/input_tokens": "nothing is written",
    "POST /api/auth/reset/": "what it writes is written after the answer, which is the same for any address",
    "POST /api/auth/verify/resend/": "as above",
}
"""Operations that the fault of a table does not fail."""
NAMED_BY_MODEL = "/api/media/"
"""Fields there beside those that the document names are parameters of the model: any other is refused."""
OPEN = "*"
"""Fields beside those that the document names."""


class Field(NamedTuple):
    operation: str
    name: str
    closed: bool

    @property
    def wanted(self) -> set[int]:
        """Hundreds of the statuses of requests that have to have carried a word there."""
        if self.closed:
            return {4}
        return {2, 4} if self.operation in UNWRITTEN else {2, 4, 5}


def text_fields(document: Mapping[str, Any]) -> Iterator[Field]:
    """Every field of a body that may be text."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            content = operation.get("requestBody", {}).get("content", {})
            fields: dict[str, bool] = {}
            for media in content.values():
                fields |= dict(_texts(document, media["schema"], ""))
            named = path.startswith(NAMED_BY_MODEL)
            for name, closed in fields.items():
                yield Field(f"{method.upper()} {path}", name, closed or (named and name == OPEN))


def _texts(document: Mapping[str, Any], schema: Mapping[str, Any], at: str) -> Iterator[tuple[str, bool]]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    options = [option for kind in ("anyOf", "oneOf", "allOf") for option in schema.get(kind, ())]
    for option in options:
        yield from _texts(document, option, at)
    types = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    anything = not types and not options and "properties" not in schema
    if at and (anything or "string" in types):
        yield at, at in CLOSED or bool({"format", "enum", "const"} & set(schema))
    for name, value in schema.get("properties", {}).items():
        yield from _texts(document, value, f"{at}.{name}" if at else name)
    if isinstance(schema.get("items"), Mapping):
        yield from _texts(document, schema["items"], f"{at}[]")
    if schema.get("additionalProperties"):
        name = f"{at}.{OPEN}" if at else OPEN
        yield name, name in CLOSED


def wrong_bodies(each: Field, word: str, name: str) -> Iterator[dict[str, Any]]:
    """Bodies that are refused for that field: it is no text, or too long, and all others are missing.

    `name` is a word for names, which an answer may repeat.
    """
    for wrong in ({name: [word]}, (name if each.closed else word) * 2000):
        value: Any = wrong
        for part in reversed(each.name.replace(OPEN, name).split(".")):
            value = {part.removesuffix("[]"): [value] if part.endswith("[]") else value}
        yield value


@dataclass(slots=True)
class Carried:
    """Which fields carried one of the words, and how the requests ended."""

    words: list[str]
    statuses: dict[tuple[str, str], set[int]] = field(default_factory=dict)

    async def note(self, answer: httpx2.Response) -> None:
        """A hook of a client."""
        await answer.request.aread()  # a form is a stream
        self.add(answer.request.method, answer.request.url.path, answer.request.content, answer.status_code)

    def add(self, method: str, path: str, content: bytes, status: int) -> None:
        try:
            body = json.loads(content)
        except ValueError:
            return
        operation = next((each for each in _operations(method) if each.pattern.fullmatch(path)), None)
        if operation is None:
            return
        for name in self._carrying(body, ""):
            self.statuses.setdefault((operation.name, name), set()).add(status // 100)

    def _carrying(self, value: Any, at: str) -> Iterator[str]:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                inside = f"{at}.{name}" if at else name
                yield from self._carrying(inner, inside)
                yield from self._carrying(name, inside)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            for inner in value:
                yield from self._carrying(inner, f"{at}[]")
        elif isinstance(value, str) and any(word in value for word in self.words):
            yield at

    def missing(self, document: Mapping[str, Any]) -> list[str]:
        """Fields that carried no word in a request that went well, was refused, or met a fault."""
        fields = list(text_fields(document))
        return [
            f"{each.operation} {each.name}: none that ended with {hundred}xx"
            for each in fields
            for hundred in sorted(each.wanted - self._ended(each, [other.name for other in fields if other != each]))
        ]

    def _ended(self, wanted: Field, others: Sequence[str]) -> set[int]:
        """How the requests ended in which the field, or something inside of it, carried a word."""
        prefix = wanted.name.removesuffix(OPEN)
        ended = set[int]()
        for (operation, name), statuses in self.statuses.items():
            inside = re.match(re.escape(prefix) + r"(?=$|[.\[])", name) if prefix == wanted.name else None
            beside = prefix != wanted.name and name.startswith(prefix) and name not in others
            if operation == wanted.operation and (inside or beside):
                ended |= statuses
        return ended


class _Operation(NamedTuple):
    name: str
    pattern: re.Pattern[str]


def _operations(method: str) -> Iterator[_Operation]:
    for path, item in DOCUMENT["paths"].items():
        if method.lower() in item:
            yield _Operation(f"{method} {path}", re.compile(re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(path))))
