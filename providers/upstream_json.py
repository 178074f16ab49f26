"""Reads JSON from providers, leniently and within bounds.

NaN, Infinity, halves of surrogate pairs and broken UTF-8 are accepted. A document that is nested too deeply or has
too many values is refused before it is parsed.
"""

import json
import re
from typing import Any

import orjson

from domain.errors import UpstreamError

MAX_DEPTH = 64
MAX_VALUES = 1_000_000
"""The most objects, arrays and elements of them in one document."""
MAX_DIGITS = 20
"""The digits of a 64-bit integer, with its sign."""
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""Also one that does not end: else each quote inside it would be tried as a beginning."""
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def read(data: bytes, max_values: int = MAX_VALUES) -> tuple[Any, bool]:
    """Return the value, and whether it may have lone surrogates. Raises `UpstreamError` for no JSON or too much."""
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
    """Read a document that is complete by itself. Lone surrogates become U+FFFD; a BOM is skipped."""
    value, doubtful = read(data.removeprefix(b"\xef\xbb\xbf"))
    return repaired(value) if doubtful else value


def read_object(data: bytes, max_values: int = MAX_VALUES) -> tuple[dict[str, Any], bytes]:
    """Read an object and return it with its bytes. Where lone surrogates became U+FFFD, those are written anew.

    Raises `UpstreamError` also for a value that is no object.
    """
    value, doubtful = read(data, max_values)
    if doubtful:
        value = repaired(value)
        data = written(value)
    if not isinstance(value, dict):
        raise UpstreamError
    return value, data


def _check_depth(data: bytes) -> None:
    """Check the depth by removing the innermost brackets, level by level. Brackets in strings do not count."""
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
    """Read an integer above 64 bits as a float, as orjson does, so that orjson can write it."""
    if len(digits) <= MAX_DIGITS and -(2**63) <= (number := int(digits)) < 2**64:
        return number
    return float(digits)


def integer(value: object) -> int | None:
    """Return a whole number, or None if the value is not one. Some providers write 3.0, or an index as text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < MAX_DIGITS else None
    return value if isinstance(value, int) else None


def _no_number(_name: str) -> None:
    """Read NaN and Infinity as null: JSON does not have them."""
    return


def repaired(value: Any) -> Any:
    """Return the value with pairs of surrogates joined and lone ones replaced."""
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
    """Write JSON for a request. Integers keep all of their digits."""
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer above 64 bits, which orjson cannot write
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
