"""Bounds the objects that a JSON text may become, before it is parsed: depth, containers, values, strings.

A text of twenty million brackets would become gigabytes of objects. Brackets inside strings, such as code or JSON in a
prompt, do not count.
"""

import re

from domain.errors import RequestInvalid

MAX_DEPTH = 250
MAX_CONTAINERS = 100_000
MAX_VALUES = 1_000_000
MAX_STRINGS = 500_000
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""One that does not end is a string, too: else each quote inside it would be tried as a beginning."""
_BRACKET = re.compile(rb"[\[\]{}]")


def require_bounded(raw: bytes) -> None:
    """Raises `RequestInvalid` above a bound. The work depends on the bounds, not on the objects in the text."""
    if raw.count(b'"') - raw.count(b'\\"') > 2 * MAX_STRINGS:  # at least so many quotes are no part of a string
        raise _too_much("strings", MAX_STRINGS)
    scan = _Scan()
    begin = 0
    for string in _STRING.finditer(raw):
        scan.between(raw[begin : string.start()])
        scan.strings += 1
        begin = string.end()
        if scan.strings > MAX_STRINGS:
            raise _too_much("strings", MAX_STRINGS)
    scan.between(raw[begin:])


class _Scan:
    def __init__(self) -> None:
        self.depth = self.containers = self.values = self.strings = 0

    def between(self, text: bytes) -> None:
        """Count the text between two strings."""
        self.values += text.count(b",")
        if self.values > MAX_VALUES:
            raise _too_much("values", MAX_VALUES)
        for bracket in _BRACKET.finditer(text):
            if bracket[0] in b"]}":
                self.depth -= 1
                continue
            self.depth += 1
            self.containers += 1
            if self.depth > MAX_DEPTH:
                raise RequestInvalid("The request body is nested too deeply.", code="invalid_json")
            if self.containers > MAX_CONTAINERS:
                raise _too_much("lists and objects", MAX_CONTAINERS)


def _too_much(what: str, limit: int) -> RequestInvalid:
    return RequestInvalid(f"The request body has more than {limit:,} {what}.", code="invalid_value")
