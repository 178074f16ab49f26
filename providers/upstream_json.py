"""JSON as providers write it: read with leniency, within bounds.

NaN, Infinity, halves of surrogate pairs and broken UTF-8 are read; what is nested too deeply or has too many values is
refused before it is parsed.
"""

import json
import re
from typing import Any

import orjson

from domain.errors import UpstreamError

MAX_DEPTH = 64
MAX_VALUES = 1_000_000
"""Objects, arrays and their elements in one document."""
MAX_DIGITS = 20
"""Of an integer of 64 bits, its sign included."""
_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def read(data: bytes, max_values: int = MAX_VALUES) -> tuple[Any, bool]:
    """The value, and whether it may hold lone surrogates. Raises `UpstreamError` for what is not JSON, or too much."""
    opened = data.count(b"{") + data.count(b"[")
    if opened > MAX_DEPTH:
        if opened + data.count(b",") > max_values:
            raise UpstreamError
        _check_depth(data)
    try:
        return orjson.loads(data), False
    except orjson.JSONDecodeError:
        return _read_leniently(data), True


def read_whole(data: bytes) -> Any:
    """A document of its own: lone surrogates become U+FFFD. A BOM may come first."""
    value, doubtful = read(data.removeprefix(b"\xef\xbb\xbf"))
    return repaired(value) if doubtful else value


def _check_depth(data: bytes) -> None:
    """Takes the innermost brackets away, level by level. Texts may hold any."""
    brackets = _TEXT.sub(b"", data).translate(None, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    if brackets:
        raise UpstreamError


def _read_leniently(data: bytes) -> Any:
    try:
        text = data.decode("utf-8", "replace")
        return json.loads(text, strict=False, parse_constant=_no_number, parse_int=_integer)
    except (ValueError, RecursionError):
        raise UpstreamError from None


def _integer(digits: str) -> int | float:
    """Beyond 64 bits a float, as orjson reads it: it can be written again."""
    if len(digits) <= MAX_DIGITS and -(2**63) <= (number := int(digits)) < 2**64:
        return number
    return float(digits)


def integer(value: object) -> int | None:
    """A whole number, however it is written: some write 3.0, and indexes as text. None: it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < MAX_DIGITS else None
    return value if isinstance(value, int) else None


def _no_number(_name: str) -> None:
    """NaN and Infinity, for which JSON has no word."""
    return


def repaired(value: Any) -> Any:
    """The same value, with pairs of surrogates joined and lone ones replaced."""
    if isinstance(value, str):
        return repaired_text(value)
    if isinstance(value, list):
        return [repaired(element) for element in value]
    if isinstance(value, dict):
        return {repaired_text(name): repaired(element) for name, element in value.items()}
    return value


def repaired_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def written(value: Any) -> bytes:
    """For a request: integers keep all of their digits."""
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer above 64 bits, which orjson cannot write
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
