"""Request bodies: bounded before they are parsed, strict, their integers exact."""

import time

import orjson
import pytest

from api import body
from api.body import json_object
from api.json_bounds import MAX_CONTAINERS, MAX_DEPTH, MAX_STRINGS, MAX_VALUES
from domain import json_text
from domain.errors import RequestInvalid

LONG = b" " * (body.MAX_INLINE_BYTES + 1)
BOMBS = {
    "lists": b"[" + b"[]," * (MAX_CONTAINERS + 1) + b"0]",
    "objects": b"[" + b"{}," * (MAX_CONTAINERS + 1) + b"0]",
    "values": b"[" + b"1," * (MAX_VALUES + 1) + b"0]",
    "strings": b"[" + b'"",' * (MAX_STRINGS + 1) + b"0]",
    "depth": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "depth without an end": b'{"a":' * 100_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_would_become_too_much_is_not_parsed(bomb: str) -> None:
    with pytest.raises(RequestInvalid):
        json_object(b'{"a": ' + BOMBS[bomb] + LONG + b"}")


@pytest.mark.parametrize("text", ["[" * 200_000, "{},[]," * 200_000, '\\"[' * 200_000, "\\\\"])
def test_brackets_inside_a_string_count_for_nothing(text: str) -> None:
    raw = orjson.dumps({"content": text, "more": [text, {"a": text}]}) + LONG
    assert json_object(raw)["content"] == text


@pytest.mark.parametrize("raw", [b'{"a": NaN}', b'{"a": "\\ud83d"}', b'{"a": 1} x', b'{"a": "', b"", b"\xff", b'{"a"'])
@pytest.mark.parametrize("padding", [b"", LONG])
def test_what_is_no_json_is_refused(raw: bytes, padding: bytes) -> None:
    with pytest.raises(RequestInvalid) as raised:
        json_object(padding + raw)
    assert raised.value.code == "invalid_json"


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b'{"a": "SECRET \\ud83d"}', "no low surrogate in string, at character 14"),
        (b'{"a": "SECRET \\ude00 x"}', "invalid high surrogate in string, at character 14"),
        (b'{"a": "\xed\xa0\xbd SECRET"}', "not valid UTF-8"),
        (b'{"SECRET": 1} SECRET', "unexpected content after document, at character 14"),
        (b"", "empty document"),
    ],
)
def test_why_it_is_no_json_is_told_in_words_that_are_not_its_own(raw: bytes, why: str) -> None:
    with pytest.raises(RequestInvalid) as raised:
        json_object(raw)
    assert why in raised.value.message
    assert "SECRET" not in raised.value.message


@pytest.mark.parametrize("raw", [b"[]", b"1", b'"a"', b"null"])
def test_a_body_is_an_object(raw: bytes) -> None:
    with pytest.raises(RequestInvalid) as raised:
        json_object(raw)
    assert raised.value.code == "invalid_type"


def test_a_request_has_not_too_many_fields() -> None:
    fields = {f"field-{number}": 1 for number in range(body.MAX_FIELDS)}
    assert json_object(orjson.dumps(fields)) == fields
    with pytest.raises(RequestInvalid):
        json_object(orjson.dumps({**fields, "one more": 1}))


@pytest.mark.parametrize("number", [2**63, 2**64, 12345678901234567890123, -(2**63) - 1, -(10**40)])
def test_integers_keep_their_digits(number: int) -> None:
    parsed = json_object(b'{"foo": %d, "b": [1, 1.5, "%d"]}' % (number, number))
    assert parsed == {"foo": number, "b": [1, 1.5, str(number)]}
    assert str(number).encode() in json_text.dumps(parsed, sort_keys=True)


def test_a_number_that_nobody_can_read_is_refused() -> None:
    with pytest.raises(RequestInvalid) as raised:
        json_object(b'{"foo": %b}' % (b"9" * 5000))
    assert raised.value.code == "invalid_json"


def test_both_writers_sort_alike() -> None:
    assert json_text.dumps({"b": 2**70, "a": "ü"}, sort_keys=True) == '{"a":"ü","b":1180591620717411303424}'.encode()
    assert json_text.dumps({"b": 1, "a": "ü"}, sort_keys=True) == '{"a":"ü","b":1}'.encode()


@pytest.mark.parametrize("end", [b"", b"\\"])
def test_a_string_that_does_not_end_is_looked_through_once(end: bytes) -> None:
    began = time.process_time()
    with pytest.raises(RequestInvalid):
        json_object(b'{"' + b'\\"' * 1_000_000 + end)
    assert time.process_time() - began < 5
