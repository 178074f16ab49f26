"""Request bodies: bounded before they are parsed, strict, their integers exact."""

import asyncio
import time
from datetime import timedelta
from types import SimpleNamespace

import orjson
import pytest
from starlette.types import Message

from api import body
from api.body import json_object
from api.json_bounds import MAX_CONTAINERS, MAX_DEPTH, MAX_STRINGS, MAX_VALUES
from domain import json_text
from domain.errors import RateLimited, RequestInvalid
from gateway.body_budget import BodyBudget

LARGE = body.MAX_UNKNOWN_BYTES + 1
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


class Slow:
    """A body that comes in parts, each when it is let go."""

    def __init__(self, *sizes: int) -> None:
        self._left = list(sizes)
        self.received = 0
        self.more = asyncio.Event()

    async def receive(self) -> Message:
        if self.received:
            await self.more.wait()
        size = self._left.pop(0)
        self.received += size
        return {"type": "http.request", "body": b" " * size, "more_body": bool(self._left)}


def claimed(slow: Slow, budget: BodyBudget, *headers: tuple[bytes, bytes]) -> asyncio.Task[bytes]:
    """Reads a body of ann's, and has its bytes until the task ends."""
    edge = SimpleNamespace(max_bytes=lambda _path: 10 * LARGE)
    scope = {"app": SimpleNamespace(edge=edge), "path": "/", "headers": headers}

    async def owner() -> str:
        return "ann"

    async def reading() -> bytes:
        with budget.claim() as claim:
            return await body.read_claimed(scope, slow.receive, claim, owner)

    return asyncio.create_task(reading())


async def test_a_large_body_is_read_when_its_bytes_are_free_and_a_small_one_at_once() -> None:
    budget, length = BodyBudget(2 * LARGE + 20), (b"content-length", b"%d" % (LARGE + 10))
    first, second, small = Slow(LARGE, 10), Slow(LARGE, 10), Slow(5, 10)
    reading = [claimed(first, budget, length), claimed(second, budget, length), claimed(small, budget)]
    await asyncio.sleep(0)
    for one in (second, small):
        one.more.set()
    assert len(await reading[2]) == 15
    assert (second.received, reading[1].done(), budget.used) == (LARGE, False, LARGE + 10)
    first.more.set()
    assert [len(raw) for raw in await asyncio.gather(*reading)] == [LARGE + 10, LARGE + 10, 15]
    assert budget.used == 0


async def test_a_large_body_without_a_length_claims_the_most_that_it_can_have_until_it_is_whole() -> None:
    budget, slow = BodyBudget(40 * LARGE), Slow(LARGE, 10)
    reading = claimed(slow, budget)
    await asyncio.sleep(0)
    assert budget.used == 10 * LARGE
    slow.more.set()
    await reading
    assert budget.used == 0
    with budget.claim() as claim:
        await claim.take("ann", 10 * LARGE)
        claim.shrink(LARGE)
        assert budget.used == LARGE


async def test_a_large_body_that_comes_in_one_part_is_claimed() -> None:
    budget = BodyBudget(LARGE, timedelta(0))
    with budget.claim() as other:
        await other.take("ann", 1)
        with pytest.raises(RateLimited):
            await claimed(Slow(LARGE), budget)


async def test_whoever_may_not_send_a_large_body_has_no_more_read() -> None:
    async def refused() -> None:
        raise RequestInvalid("no")

    slow = Slow(LARGE, 10)
    with pytest.raises(RequestInvalid):
        await body.read(slow.receive, large=refused)
    assert slow.received == LARGE
