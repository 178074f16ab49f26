"""Bodies that are no good request, at every endpoint that takes one: refused in its own words, never a fault."""

from collections.abc import Awaitable, Callable, Container

import orjson
import pytest

from tests.clients.conftest import OpenAccount
from tests.support import edge_requests
from tests.support.edge_requests import ALL, AT_ONCE, WIRES, Endpoint, RawAnswer
from tests.support.stack import Stack

Send = Callable[[Endpoint, bytes], Awaitable[RawAnswer]]


def beside(value: bytes) -> Callable[[Endpoint], bytes]:
    """The good body with one field more."""
    return lambda endpoint: orjson.dumps(endpoint.fields)[:-1] + b',"more":' + value + b"}"


def in_text(text: bytes) -> Callable[[Endpoint], bytes]:
    """The good body with these bytes within one of its texts."""
    return lambda endpoint: (
        orjson.dumps(endpoint.fields).replace(b"Hello!", b"Hello" + text).replace(b"edge", b"edge" + text)
    )


def whole(raw: bytes) -> Callable[[Endpoint], bytes]:
    return lambda _: raw


def encoded(coding: str) -> Callable[[Endpoint], bytes]:
    return lambda endpoint: orjson.dumps(endpoint.fields).decode().encode(coding)


NOT_JSON = {
    "nothing": whole(b""),
    "a word": whole(b"hello"),
    "half": lambda endpoint: orjson.dumps(endpoint.fields)[:-3],
    "trailing bytes": lambda endpoint: orjson.dumps(endpoint.fields) + b" {}",
    "two documents": lambda endpoint: orjson.dumps(endpoint.fields) * 2,
    "UTF-16": encoded("utf-16"),
    "UTF-32": encoded("utf-32"),
    "Latin-1": lambda endpoint: beside(b'"\xe4"')(endpoint),
    "overlong UTF-8": beside(b'"\xc0\xae"'),
    "a surrogate in UTF-8": beside(b'"\xed\xa0\xbd"'),
    "a lone surrogate": beside(b'"\\ud83d"'),
    "a lone surrogate as a name": beside(b'{"\\ude00":1}'),
    "NaN": beside(b"NaN"),
    "Infinity": beside(b"[-Infinity]"),
    "1e400": beside(b"1e400"),
    "a line end in a text": beside(b'"a\nb"'),
    "a comment": beside(b"1 /* x */"),
    "a trailing comma": beside(b"[1,]"),
    "single quotes": whole(b"{'model': 'x'}"),
    "depth 1,000": beside(b"[" * 1000 + b"]" * 1000),
    "depth 100,000": beside(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "depth without an end": whole(b"[" * 200_000),
    "5,000 digits": beside(b"9" * 5000),
}
LARGE = {
    "1,000,000 names": beside(b"{" + b",".join(b'"%x":0' % each for each in range(1_000_001)) + b"}"),
    "1,000,001 numbers": beside(b"[" + b"1," * 1_000_001 + b"1]"),
    "500,001 texts": beside(b"[" + b'"",' * 500_001 + b"1]"),
    "100,001 lists": beside(b"[" + b"[]," * 100_001 + b"1]"),
}
NUMBERS = (b"true", b'"10"', b"10.0", b"-1", b"0", b"9223372036854775808", b"1e3", b"[1]", b"{}", b"1" * 40)
NO_CHOICE = ("best_of", b"0")
"""OpenAI's description lets this number alone begin at 0."""
JSON_SCHEMA = ("/api/media/image/", b"10.0")
"""To the schema that a media model publishes, this is a whole number."""
OTHER_TYPES = {"a list": b"[]", "a number": b"7", "null": b"null", "a text": b'"x"', "true": b"true"}


@pytest.fixture
async def send(stack: Stack, account: OpenAccount) -> Send:
    """Sends a body to an endpoint, on a connection of its own."""
    key = await account(50_000_000)

    async def sent(endpoint: Endpoint, raw: bytes) -> RawAnswer:
        answer = await edge_requests.send(stack.port, endpoint.request(key, raw))
        assert answer is not None, (endpoint.path, raw[:100])
        return answer

    return sent


async def problems(send: Send, bodies: dict[Endpoint, bytes], statuses: Container[int]) -> list[str]:
    """The endpoints that answer with another status, or not with an error of theirs. One after another: of an
    account's large bodies, only a few may wait.
    """
    wrong = []
    for endpoint, raw in bodies.items():
        answer = await send(endpoint, raw)
        if answer.status not in statuses or (answer.status >= 400 and not endpoint.is_error(answer.json())):
            wrong.append(f"{endpoint.path}: {answer.status} {answer.body[:300]!r}")
    return wrong


@pytest.mark.parametrize("case", NOT_JSON)
async def test_what_is_no_json_is_refused(send: Send, case: str) -> None:
    assert await problems(send, {endpoint: NOT_JSON[case](endpoint) for endpoint in ALL}, {400, 413}) == []


@pytest.mark.parametrize("case", OTHER_TYPES)
async def test_a_body_is_an_object(send: Send, case: str) -> None:
    assert await problems(send, dict.fromkeys(ALL, OTHER_TYPES[case]), {400}) == []


@pytest.mark.parametrize("number", NUMBERS)
async def test_a_whole_number_is_one(send: Send, number: bytes) -> None:
    """No text, no fraction, no boolean, and within its bounds."""
    for endpoint in ALL:
        for name in endpoint.whole_numbers:
            if (name, number) == NO_CHOICE or (endpoint.path, number) == JSON_SCHEMA:
                continue
            fields = {key: value for key, value in endpoint.fields.items() if key != name}
            answer = await send(endpoint, orjson.dumps(fields)[:-1] + b',"%b":%b}' % (name.encode(), number))
            assert answer.status == 400, (endpoint.path, name, answer.body)
            assert endpoint.is_error(answer.json())
            assert name in answer.json()["error"]["message"], (endpoint.path, name, answer.body)


@pytest.mark.parametrize("case", LARGE)
async def test_what_is_too_much_is_refused(send: Send, case: str) -> None:
    assert await problems(send, {endpoint: LARGE[case](endpoint) for endpoint in ALL}, {400, 413}) == []


@pytest.mark.parametrize("text", [b"\\u0000", b"\\u001f", b"\\u202e", b"\\r\\n", b"\\ufeff", b"\\ud83d\\ude00"])
async def test_any_character_of_a_text_is_no_fault(send: Send, text: bytes) -> None:
    """Also one that PostgreSQL does not take, or that ends a header's line."""
    bodies = {endpoint: in_text(text)(endpoint) for endpoint in AT_ONCE}
    assert await problems(send, bodies, {200, 201, 202, 400}) == []


@pytest.mark.parametrize(
    "name", [b"x\\u0000", b"x\\r\\nSet-Cookie: a=b", b"../../etc/passwd", b"%00", b"", b"\\ud83d\\ude00" * 100]
)
async def test_a_model_of_any_name_is_not_found(send: Send, name: bytes) -> None:
    """And what is answered has no line more in its head."""
    for endpoint in ALL:
        if "model" in endpoint.fields:
            raw = orjson.dumps({**endpoint.fields, "model": ""}).replace(b'"model":""', b'"model":"%b"' % name)
            answer = await send(endpoint, raw)
            assert answer.status in (400, 404), (endpoint.path, answer)
            assert endpoint.is_error(answer.json())
            assert b"\r\nset-cookie" not in answer.head.lower()


@pytest.mark.parametrize("last", [b'"model":"nobody"', b'"max_tokens":"x"', b'"messages":1'])
async def test_of_a_name_that_is_there_twice_the_last_counts(send: Send, last: bytes) -> None:
    """For all that is done with it: what is checked, priced, and sent."""
    chat = WIRES[0]
    answer = await send(chat, b'{"max_tokens":5,' + orjson.dumps(chat.fields)[1:-1] + b"," + last + b"}")
    assert answer.status in (400, 404), answer.body
