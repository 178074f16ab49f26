"""Reads `multipart/form-data` from memory, within bounds: no part of a body is written to a temporary file or a log."""

import hashlib
import logging
import re
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from domain.errors import RequestInvalid, RequestTooLarge
from domain.records import record

MAX_PARTS = 128
MAX_TEXT_BYTES = 256 * 1024
"""Of a field that is no file."""
FORM = b"multipart/form-data"
_ARRAY = re.compile(r"\[\d*\]$")
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # its warnings quote bytes of the body


@record
class FormFile:
    """A file of a form. Its name is what the caller calls it: it goes nowhere."""

    content_type: str
    content: bytes = field(repr=False)

    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@record
class Form:
    fields: dict[str, Any] = field(repr=False)
    """Texts by name. Of a name that ends in `[]` it is a list, without that ending."""
    files: dict[str, list[FormFile]] = field(repr=False)
    """By the same names."""

    def identity(self) -> dict[str, Any]:
        """Return what tells this form from another, as JSON: a file is its hash."""
        files = {name: [file.digest() for file in files] for name, files in self.files.items()}
        return {**self.fields, "files": files} if files else self.fields


def is_form(content_type: bytes) -> bool:
    return content_type.partition(b";")[0].strip().lower() == FORM


def parse(content_type: bytes, raw: bytes) -> Form:
    """Read a form. Raises `RequestInvalid` and `RequestTooLarge`."""
    _, options = parse_options_header(content_type.decode("latin-1"))
    boundary = options.get(b"boundary")
    if not boundary:
        raise RequestInvalid("The content type of a form needs its 'boundary'.", code="invalid_value")
    _require_few(raw, b"\r\n--" + boundary)
    reader = _Reader()
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        parser.write(raw)
        parser.finalize()
    except FormParserError:
        raise RequestInvalid("The request body is not valid multipart/form-data.", code="invalid_value") from None
    if not reader.ended:
        raise RequestInvalid("The form has no end: its last boundary is missing.", code="invalid_value")
    return reader.form


def _require_few(raw: bytes, delimiter: bytes) -> None:
    """Raise `RequestInvalid` for too many parts, or what looks like them: the parser stops at each, for long."""
    if raw.count(delimiter) + raw.startswith(delimiter[2:]) > MAX_PARTS + 1:
        raise RequestInvalid(f"The form has more than {MAX_PARTS} parts.")


@dataclass(slots=True)
class _Part:
    headers: dict[bytes, bytes] = field(default_factory=dict, repr=False)
    data: bytearray = field(default_factory=bytearray, repr=False)


class _Reader:
    """Collects what the parser finds."""

    def __init__(self) -> None:
        self.form = Form({}, {})
        self.ended = False
        self._part = _Part()
        self._name, self._value = bytearray(), bytearray()

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_part_data": lambda data, start, end: self._part.data.extend(memoryview(data)[start:end]),
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._part = _Part()

    def _header(self) -> None:
        self._part.headers[bytes(self._name).lower()] = bytes(self._value)
        self._name, self._value = bytearray(), bytearray()

    def _end_part(self) -> None:
        _, options = parse_options_header(self._part.headers.get(b"content-disposition"))
        name = _text(options.get(b"name", b""))
        if not name:
            raise RequestInvalid("A part of the form has no name.", code="invalid_value")
        field_name, in_list = _ARRAY.sub("", name), _ARRAY.search(name) is not None
        if b"filename" in options:
            content_type = self._part.headers.get(b"content-type", b"application/octet-stream").decode("latin-1")
            file = FormFile(content_type, bytes(self._part.data))
            self.form.files.setdefault(field_name, []).append(file)
        else:
            self._add(field_name, self._part.data, in_list)

    def _add(self, name: str, data: bytearray, in_list: bool) -> None:
        if len(data) > MAX_TEXT_BYTES:
            raise RequestTooLarge(f"'{name[:100]}' has more than {MAX_TEXT_BYTES:,} bytes.", param=name[:100])
        value, fields = _text(bytes(data)), self.form.fields
        if in_list:
            fields.setdefault(name, []).append(value)
        elif name in fields:
            raise RequestInvalid(f"The form has '{name[:100]}' twice.", param=name[:100])
        else:
            fields[name] = value

    def _end(self) -> None:
        self.ended = True


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise RequestInvalid("A text of the form is not UTF-8.", code="invalid_value") from None
