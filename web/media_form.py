"""The form of a media model, made from the JSON Schema of its fields and from the input files that it takes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.datastructures import FormData, UploadFile

Model = Mapping[str, Any]
"""As `GET /api/chat/models/` has it."""
Written = Mapping[str, str]
"""What somebody wrote into a form, by the name of the field. A box that is not ticked is not in it."""

TEXTS = {"image": "prompt", "video": "prompt", "speech": "input"}
"""The field of each kind that has the text."""
PRICED = "x-yout-priced"
WEBHOOK = "webhook_url"
PRIVACY = "privacy"
MAX_SEGMENTS = 5
MAX_SEGMENTS_CHARACTERS = 26
_LONG_TEXT = 200
_CONTROLS = {"boolean": "check", "integer": "number", "number": "number"}
_UNITS = {"seconds": " s"}
_UNIT_NAMES = {"seconds": " seconds"}
_FORMATS = ("response_format", "output_format")
_FILE_NAMES = {"webp": "WebP", "opus": "Opus"}
_NAMED = {
    "seconds": "Duration",
    "n": "How many",
    "response_format": "File format",
    "size": "Size",
    "aspect_ratio": "Shape",
    "image": "Picture",
    "first_frame": "First frame",
    "last_frame": "Last frame",
    "reference": "References",
    "mask": "Mask",
}
_TYPES = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WebP", "image/gif": "GIF"}
_ANY_PICTURE = tuple(_TYPES)


@dataclass(frozen=True, slots=True)
class Control:
    """One field of the form."""

    name: str = field(repr=False)
    label: str = field(repr=False)
    kind: str
    """`text` (what it is all about), `area`, `line`, `number`, `segments`, `select` or `check`."""
    type: str
    """Of its value: that of JSON Schema, or `strict`, for the privacy of the job."""
    value: str = field(repr=False)
    """Of a `check`: empty, if it is not ticked."""
    hint: str = field(default="", repr=False)
    choices: Sequence[tuple[str, str]] = field(default=(), repr=False)
    """Each value with its label."""
    attributes: Mapping[str, object] = field(default_factory=dict, repr=False)
    priced: bool = False
    folded: bool = False
    """Whoever leaves it alone misses nothing."""
    max_characters: int | None = None


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file that was uploaded already: a form that comes back with a fault still has it."""

    id: str
    name: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FileControl:
    name: str = field(repr=False)
    label: str = field(repr=False)
    hint: str = field(repr=False)
    max: int
    required: bool
    accept: str = field(repr=False)
    sent: Sequence[SentFile]
    folded: bool


def controls(model: Model, written: Written | None = None) -> list[Control]:
    """Return the fields of a form, the text first. `written` is None for a new form, which has the defaults.

    A parameter that can have one value alone is left out: the API puts it in.
    """
    fields = []
    for name, schema in properties(model).items():
        if len(schema.get("enum", ())) != 1 and not _one_number(schema):
            default = _text(schema["default"]) if "default" in schema else ""
            fields.append(_control(name, schema, _value(schema, name, default, written)))
    return [*fields, *_own(model, written)]


def with_value(control: Control, value: str) -> Control:
    return replace(control, value=value)


def properties(model: Model) -> Mapping[str, Mapping[str, Any]]:
    fields: Mapping[str, Mapping[str, Any]] = (model["parameters"] or {}).get("properties", {})
    return fields


def files(model: Model, sent: Mapping[str, Sequence[SentFile]] | None = None) -> list[FileControl]:
    return [
        FileControl(
            role,
            _NAMED.get(role, _words(role)),
            _file_hint(each),
            each["max"],
            each["required"],
            ",".join(each["types"] or _ANY_PICTURE),
            (sent or {}).get(role, ()),
            folded=place > 0 and not each["required"] and not (sent or {}).get(role),
        )
        for place, (role, each) in enumerate(model["inputs"].items())
    ]


def written(form: FormData) -> dict[str, str]:
    """Return the texts of a form that was sent. Browsers send line breaks in two characters."""
    return {name: value.replace("\r\n", "\n") for name, value in form.multi_items() if isinstance(value, str)}


def order(model: Model, fields: Written, sent: Mapping[str, Sequence[SentFile]]) -> dict[str, object]:
    """Return the body that starts a job. What cannot be read goes on as it was written: the API says so."""
    body: dict[str, object] = {"model": model["id"]}
    for name, schema in properties(model).items():
        text = fields.get(name, "")
        if schema["type"] == "boolean":
            body[name] = bool(text)
        elif text or name in TEXTS.values():
            body[name] = _number(text) if schema["type"] in ("integer", "number") else text
    for role, each in model["inputs"].items():
        if ids := [one.id for one in sent.get(role, ())]:
            body[role] = ids[0] if each["max"] == 1 and len(ids) == 1 else ids
    if address := fields.get(WEBHOOK, "").strip():
        body[WEBHOOK] = address
    if fields.get(PRIVACY):
        body[PRIVACY] = "strict"
    return body


def sent_before(model: Model, form: FormData) -> dict[str, list[SentFile]]:
    """Return the files that a form has by the ids of their uploads."""
    return {
        role: [
            SentFile(upload, name)
            for upload, name in zip(_texts(form, role), _texts(form, f"{role}-name"), strict=False)
            if upload
        ]
        for role in model["inputs"]
    }


def new_files(model: Model, form: FormData) -> Iterator[tuple[str, UploadFile]]:
    """Yield the files that came with a form, each with its role."""
    for role in model["inputs"]:
        for value in form.getlist(role):
            if isinstance(value, UploadFile) and value.filename:
                yield role, value


def _texts(form: FormData, name: str) -> list[str]:
    return [value for value in form.getlist(name) if isinstance(value, str)]


def _control(name: str, schema: Mapping[str, Any], value: str) -> Control:
    label, hint = _title(name, schema)
    kind = _kind(name, schema)
    choices = [(_text(choice), _choice(name, choice)) for choice in _values(schema)]
    if choices and "default" not in schema:
        choices.insert(0, ("", "Automatic"))
    if choices:
        short = len(choices) <= MAX_SEGMENTS and sum(len(text) for _, text in choices) <= MAX_SEGMENTS_CHARACTERS
        kind = "segments" if short else "select"
    return Control(
        name,
        label,
        kind,
        schema["type"],
        value,
        hint or ("" if choices else _sentence(schema.get("description", "")) or _bounds(name, schema)),
        choices,
        {} if choices else _attributes(kind, schema),
        priced=bool(schema.get(PRICED)),
        folded=kind != "text" and "default" not in schema,
        max_characters=schema.get("maxLength") if kind in ("text", "area") else None,
    )


def _kind(name: str, schema: Mapping[str, Any]) -> str:
    if name in TEXTS.values():
        return "text"
    if schema["type"] in _CONTROLS:
        return _CONTROLS[schema["type"]]
    return "area" if schema.get("maxLength", 0) > _LONG_TEXT and "pattern" not in schema else "line"


def _own(model: Model, written: Written | None) -> Iterator[Control]:
    """Yield what every job may have beside the parameters of its model."""
    given = written or {}
    if model["zero_retention"] and model["privacy"] != "zero_retention":
        hint = "Only a provider that keeps nothing makes it."
        yield Control(PRIVACY, "Strict privacy", "check", "strict", given.get(PRIVACY, ""), hint, folded=True)
    address = {"type": "url", "maxlength": 2048, "placeholder": "https://…"}
    hint = "This address is told when the job ends."
    yield Control(WEBHOOK, "Webhook", "line", "string", given.get(WEBHOOK, ""), hint, attributes=address, folded=True)


def _value(schema: Mapping[str, Any], name: str, default: str, written: Written | None) -> str:
    if written is None:
        return "" if default == "false" else default
    if schema["type"] == "boolean":
        return written.get(name, "")
    return written.get(name, default)


def _one_number(schema: Mapping[str, Any]) -> bool:
    return "minimum" in schema and schema["minimum"] == schema.get("maximum")


def _values(schema: Mapping[str, Any]) -> Sequence[object]:
    """Return what can be chosen. Few whole numbers are choices too."""
    if "enum" in schema:
        return tuple(schema["enum"])
    if schema["type"] == "integer" and "minimum" in schema and "maximum" in schema and "multipleOf" not in schema:
        low, high = int(schema["minimum"]), int(schema["maximum"])
        if high - low < MAX_SEGMENTS:
            return tuple(range(low, high + 1))
    return ()


def _attributes(kind: str, schema: Mapping[str, Any]) -> dict[str, object]:
    """Return what lets a browser check the field as the API does. It never cuts a text that is too long."""
    if kind == "number":
        step = schema.get("multipleOf") or (1 if schema["type"] == "integer" else "any")
        known = {"min": schema.get("minimum"), "max": schema.get("maximum"), "step": step, "inputmode": "decimal"}
        return {name: value for name, value in known.items() if value is not None}
    if kind == "line" and "pattern" in schema:
        return {"pattern": schema["pattern"].removeprefix("^").removesuffix("$"), "spellcheck": "false"}
    return {}


def _title(name: str, schema: Mapping[str, Any]) -> tuple[str, str]:
    """Return the label, and what a long title says behind its colon."""
    label, _, hint = schema.get("title", "").partition(": ")
    return _NAMED.get(name) or label or _words(name), _sentence(hint)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}." if text else ""


def _bounds(name: str, schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    return f"{low:,} to {high:,}{_UNIT_NAMES.get(name, '')}" if low is not None and high is not None else ""


def _choice(name: str, value: object) -> str:
    text = _text(value)
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if name == "size":
        return _size(text)
    return _FILE_NAMES.get(text, text.upper()) if name in _FORMATS else f"{_words(text)}{_UNITS.get(name, '')}"


def _size(text: str) -> str:
    """Write a size with its shape."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        return _words(text)
    shape = "square" if width == height else "landscape" if int(width) > int(height) else "portrait"
    return f"{width} \N{MULTIPLICATION SIGN} {height}, {shape}"


def _file_hint(each: Mapping[str, Any]) -> str:
    kinds = [_TYPES.get(name, name) for name in each["types"] or _ANY_PICTURE]
    size = f", up to {each['max_bytes'] / 1_000_000:g} MB" if each["max_bytes"] else ""
    some = f", at most {each['max']}" if each["max"] > 1 else ""
    what = _sentence(each["description"] or "")
    return f"{what}{' ' if what else ''}{', '.join(kinds[:-1])}{' or ' if kinds[:-1] else ''}{kinds[-1]}{size}{some}"


def _words(name: str) -> str:
    """Write a name of the API for people, such as `Realistic image`. One with other signs in it stays as it is."""
    text = name.replace("_", " ")
    return f"{text[:1].upper()}{text[1:]}" if text.replace(" ", "").isalpha() else text


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _number(text: str) -> int | float | str:
    """Read a number. What is none, or has no end, stays as it is, so that the API can say so."""
    plain = text.strip()
    try:
        number = int(plain) if plain.lstrip("-").isdigit() else float(plain)
    except ValueError:
        return text
    return number if isinstance(number, int) or math.isfinite(number) else text
