"""JSON as providers write it."""

import json
import math
import time

import orjson
import pytest

from domain.errors import UpstreamError
from providers import upstream_json
from providers.upstream_json import MAX_DEPTH


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (b'{"a": [1, 2.5, "x", null, true]}', {"a": [1, 2.5, "x", None, True]}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": NaN, "b": -Infinity, "c": Infinity}', {"a": None, "b": None, "c": None}),
        (rb'"one \ud83d two"', "one \ufffd two"),
        (rb'{"\ude00": "\ud83d\ude00"}', {"\ufffd": "😀"}),
        (b'"caf\xe9"', "caf\ufffd"),
        (b'"a\nb"', "a\nb"),
        (b"[NaN, 18446744073709551615, -9223372036854775808]", [None, 2**64 - 1, -(2**63)]),
        (b"[NaN, 18446744073709551616, -12345678901234567890123]", [None, float(2**64), -12345678901234567890123.0]),
    ],
)
def test_reading(written: bytes, value: object) -> None:
    assert upstream_json.read_whole(written) == value
    orjson.dumps(upstream_json.read_whole(written))


def test_a_number_beyond_all_numbers_can_be_sent_on() -> None:
    (number,) = upstream_json.read_whole(b"[1e999]")
    assert math.isinf(number)
    assert orjson.dumps([number]) == b"[null]"


@pytest.mark.parametrize("written", [b"", b"{", b"{not json", b"[1,]", b"'a'", b'{"a": 1} x'])
def test_what_is_not_json(written: bytes) -> None:
    with pytest.raises(UpstreamError):
        upstream_json.read_whole(written)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def test_depth_is_bounded_and_texts_are_not_looked_at() -> None:
    assert upstream_json.read_whole(nested(MAX_DEPTH)) is not None
    assert upstream_json.read_whole(json.dumps({"text": '{"[' * 1000}).encode()) is not None
    flat = b"[" + b",".join([b"{}"] * 1000) + b"]"
    assert len(upstream_json.read_whole(flat)) == 1000
    for written in (nested(MAX_DEPTH + 1), nested(400), nested(1_000_000), b'{"a":' * 300 + b"1" + b"}" * 300):
        with pytest.raises(UpstreamError):
            upstream_json.read_whole(written)


def test_the_number_of_values_is_bounded() -> None:
    with pytest.raises(UpstreamError):
        upstream_json.read(b"[" + b",".join([b"[]"] * 10_000) + b"]", max_values=15_000)


def test_integers_are_written_with_all_their_digits() -> None:
    assert (
        upstream_json.written({"a": 12345678901234567890123, "b": "é"})
        == '{"a":12345678901234567890123,"b":"é"}'.encode()
    )
    assert upstream_json.written({"a": 1}) == b'{"a":1}'


def test_an_object_has_its_own_bytes_unless_it_is_repaired() -> None:
    assert upstream_json.read_object(b'{ "a": 1 }') == ({"a": 1}, b'{ "a": 1 }')
    assert upstream_json.read_object(b'{"a": "\\ud800"}') == ({"a": "\ufffd"}, '{"a":"\ufffd"}'.encode())
    for other in (b"[]", b"1", b'"{}"', b"null"):
        with pytest.raises(UpstreamError):
            upstream_json.read_object(other)


def test_a_text_that_does_not_end_is_looked_through_once() -> None:
    began = time.process_time()
    with pytest.raises(UpstreamError):
        upstream_json.read(b"[" * (MAX_DEPTH + 1) + b'"' + b'\\"' * 1_000_000)
    assert time.process_time() - began < 5
