"""The API's reference, from `docs/openapi.json`: what each operation takes and gives, and a call of it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from markupsafe import Markup

from web import guide, guide_markdown, reference_examples
from web.schemas import Field, Schemas

DOCUMENT = guide.FOLDER / "openapi.json"
TAGS: Mapping[str, str] = {
    "chat": "Chat, completions, messages, responses, embeddings",
    "media": "Images, videos, speech, transcription: jobs and their outputs",
    "models": "What models there are, and what they cost",
    "billing": "Quotes, charges, receipts, statements, usage, plans",
    "keys": "API keys: scopes, limits, rotation",
    "conversations": "Chats that are kept",
    "share": "Shared pages",
    "purge": "What is stored, export, erasure and its receipt",
    "webhooks": "Endpoints and their deliveries",
    "sign-in": "Accounts and sessions",
    "health": "Is the server well?",
}
"""In the order in which they are listed."""
_JSON, _FORM = "application/json", "multipart/form-data"
_MAX_LINE = 76
_ERRORS_FROM = "400"
_SENTENCE = re.compile(r"(.+?[.:])(?:\s|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Part:
    """What a request or an answer has: a body of one kind."""

    name: str
    about: Markup
    fields: Sequence[Field]


@dataclass(frozen=True, slots=True)
class Operation:
    id: str
    tag: str
    method: str
    path: str
    summary: str
    """Its first sentence, without marks."""
    about: Markup
    scope: str | None
    callers: Sequence[str]
    parameters: Sequence[Field]
    bodies: Sequence[Part]
    answers: Sequence[Part]
    errors: Mapping[str, str]
    """What a status means."""
    example: Any = field(repr=False)
    """A body that is valid. None: it has none."""
    form: bool
    """The body of its example is a form."""

    @property
    def address(self) -> str:
        return f"/docs/api/{self.tag}#{self.id}"


@dataclass(frozen=True, slots=True)
class Reference:
    about: Markup
    operations: Sequence[Operation]
    schemas: Schemas

    def of(self, tag: str) -> list[Operation]:
        return [operation for operation in self.operations if operation.tag == tag]

    def objects(self, operations: Sequence[Operation]) -> dict[str, Sequence[Field]]:
        """Return the fields of all named objects that these operations mention, directly or in another one."""
        waiting = [
            name
            for operation in operations
            for part in (*operation.bodies, *operation.answers)
            for name in self.schemas.mentioned(part.fields)
        ]
        objects: dict[str, Sequence[Field]] = {}
        while waiting:
            name = waiting.pop()
            if name not in objects:
                objects[name] = self.schemas.object(name)
                waiting.extend(self.schemas.mentioned(objects[name]))
        return dict(sorted(objects.items()))


@cache
def load() -> Reference:
    document: Mapping[str, Any] = json.loads(DOCUMENT.read_text("utf-8"))
    schemas = Schemas(document["components"]["schemas"])
    operations = [
        _operation(path, method, described, schemas)
        for path, item in document["paths"].items()
        for method, described in item.items()
    ]
    return Reference(marked(document["info"]["description"]), operations, schemas)


def curl(operation: Operation, server: str) -> str:
    """Write a call of an operation for a shell."""
    url = f"{server}{re.sub(r'{([a-z_]+)}', lambda parameter: f'${parameter[1]}', operation.path)}"
    lines = ["curl" + ("" if operation.method in ("GET", "POST") else f" -X {operation.method}") + f' "{url}"']
    if operation.method == "POST" and operation.example is None:
        lines[0] = f'curl -X POST "{url}"'
    if "key" in operation.callers:
        lines.append('-H "Authorization: Bearer $YOUT_KEY"')
    elif "session" in operation.callers:
        lines.append("-b cookies")
        lines += [f'-H "Origin: {server}"'] if operation.method != "GET" else []
    return " \\\n  ".join([*lines, *_body(operation)])


def _body(operation: Operation) -> Iterator[str]:
    if operation.example is None:
        return
    if operation.form:
        for name, value in operation.example.items():
            yield from (f'-F "{name}={one}"' for one in (value if isinstance(value, list) else [value]))
    elif isinstance(operation.example, str):
        yield f"--data-binary {operation.example}"
    else:
        written = json.dumps(operation.example)
        if len(written) > _MAX_LINE:
            written = json.dumps(operation.example, indent=2).replace("\n", "\n  ")
        yield '-H "Content-Type: application/json"'
        yield f"-d '{written}'"


def _operation(path: str, method: str, described: Mapping[str, Any], schemas: Schemas) -> Operation:
    bodies = described.get("requestBody", {}).get("content", {})
    kind = next((one for one in (_JSON, _FORM, *bodies) if one in bodies), None)
    id_ = re.sub(r"[^a-z0-9]+", "-", f"{method}{path}").strip("-")
    smallest = schemas.example(bodies[kind].get("schema", {})) if kind else None
    written = described.get("description", "")
    named = described["summary"] if _is_own(described["summary"]) else ""
    return Operation(
        id=id_,
        tag=described["tags"][0],
        method=method.upper(),
        path=path,
        summary=named.replace("`", "") or _first(written) or described["summary"],
        about=marked("\n\n".join(text for text in (named and f"{named}.", written) if text)),
        scope=described["x-yout-scope"],
        callers=described["x-yout-callers"],
        parameters=[_parameter(one, schemas) for one in described.get("parameters", ())],
        bodies=[_part(one, content.get("schema", {}), schemas) for one, content in bodies.items()],
        answers=list(_answers(described["responses"], schemas)),
        errors={s: one["description"] for s, one in described["responses"].items() if s >= _ERRORS_FROM},
        example=reference_examples.EXAMPLES.get(id_, smallest),
        form=kind == _FORM or id_ in reference_examples.FORM,
    )


def _is_own(summary: str) -> bool:
    """Tell whether somebody wrote it: FastAPI makes others from the function's name, with capitals."""
    return not summary.istitle()


def _answers(responses: Mapping[str, Any], schemas: Schemas) -> Iterator[Part]:
    for status, response in responses.items():
        if status < _ERRORS_FROM:
            contents = response.get("content") or {"": {}}
            for kind, content in contents.items():
                about = "" if response["description"] == "Successful Response" else response["description"]
                part = _part(kind, content.get("schema", {}), schemas)
                yield Part(f"{status} {kind}".strip(), marked(about) or part.about, part.fields)


def _part(kind: str, schema: Mapping[str, Any], schemas: Schemas) -> Part:
    return Part(kind, marked(schemas.about(schema)), schemas.fields(schema))


def _parameter(one: Mapping[str, Any], schemas: Schemas) -> Field:
    schema = {**one["schema"], "description": one.get("description") or one["schema"].get("description", "")}
    of_object = schemas.fields({"properties": {one["name"]: schema}, "required": [one["name"]] * one["required"]})[0]
    return Field(
        of_object.name,
        of_object.type,
        of_object.required,
        of_object.about,
        [f"in the {one['in']}", *of_object.notes],
        of_object.objects,
    )


def _first(text: str) -> str:
    sentence = _SENTENCE.match(text.strip())
    return (sentence[1] if sentence else text).replace("`", "").rstrip(".:").replace("\n", " ")


def marked(text: str) -> Markup:
    """Render a description of ours."""
    return Markup(guide_markdown.snippet(text)) if text else Markup()  # noqa: S704  # from our own document
