"""Requests that are framed wrongly, too large, or meant for something else, byte by byte at every endpoint."""

import asyncio
from collections.abc import Awaitable, Callable

import orjson
import pytest

from api.edge import FILES
from tests.clients.conftest import OpenAccount
from tests.support import edge_requests
from tests.support.edge_requests import AT_ONCE, UPLOADS, WIRES, Endpoint, RawAnswer
from tests.support.stack import Stack
from tests.support.wire_requests import openai_error

FREE = (
    "/v1/messages/count_tokens",
    "/v1/responses/input_tokens",
    "/api/billing/quote/",
    "/api/chat/settings/",
    "/api/webhooks/settings/",
)
"""Done twice, they do the same."""
IDEMPOTENT = [each for each in AT_ONCE if each.path not in FREE]
MAX_BODY = 20 * 1024 * 1024
Raw = Callable[[Endpoint, list[bytes], bytes], Awaitable[RawAnswer | None]]


@pytest.fixture
async def key(account: OpenAccount) -> str:
    return await account(50_000_000)


@pytest.fixture
async def send(stack: Stack, key: str) -> Raw:
    """Sends lines of a head and bytes after it."""

    async def sent(endpoint: Endpoint, lines: list[bytes], rest: bytes) -> RawAnswer | None:
        return await edge_requests.send(stack.port, endpoint.head(key, *lines) + b"\r\n" + rest)

    return sent


CHUNKED = b"Transfer-Encoding: chunked"
WRONG_FRAMES: dict[str, tuple[list[bytes], bytes]] = {
    "a length and chunks": ([b"Content-Length: 2", CHUNKED], b"2\r\n{}\r\n0\r\n\r\n"),
    "chunks and a length": ([CHUNKED, b"Content-Length: 2"], b"2\r\n{}\r\n0\r\n\r\n"),
    "two lengths": ([b"Content-Length: 2", b"Content-Length: 5"], b"{}123"),
    "the same length twice": ([b"Content-Length: 2", b"Content-Length: 2"], b"{}"),
    "a list of lengths": ([b"Content-Length: 2, 2"], b"{}"),
    "a signed length": ([b"Content-Length: +2"], b"{}"),
    "a negative length": ([b"Content-Length: -2"], b"{}"),
    "a length in hexadecimal": ([b"Content-Length: 0x2"], b"{}"),
    "a length without digits": ([b"Content-Length: "], b"{}"),
    "a length of 30 digits": ([b"Content-Length: " + b"9" * 30], b"{}"),
    "another coding": ([b"Transfer-Encoding: xchunked"], b"2\r\n{}\r\n0\r\n\r\n"),
    "chunked, and one more": ([b"Transfer-Encoding: chunked, identity"], b"2\r\n{}\r\n0\r\n\r\n"),
    "a space before the colon": ([b"Content-Length : 2"], b"{}"),
    "a folded line": ([b"X-A: b\r\n c", b"Content-Length: 2"], b"{}"),
    "a line end alone": ([b"X-A: b\nContent-Length: 2"], b"{}"),
    "a carriage return alone": ([b"X-A: b\rContent-Length: 2"], b"{}"),
    "a zero byte": ([b"X-A: \0", b"Content-Length: 2"], b"{}"),
    "a name with a space": ([b"X A: b", b"Content-Length: 2"], b"{}"),
    "a name that is none": ([b": b", b"Content-Length: 2"], b"{}"),
    "chunks of a wrong size": ([CHUNKED], b"zz\r\n{}\r\n0\r\n\r\n"),
    "a chunk of a negative size": ([CHUNKED], b"-2\r\n{}\r\n0\r\n\r\n"),
    "a chunk that is too long": ([CHUNKED], b"2\r\n{}{}\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("case", WRONG_FRAMES)
async def test_a_request_that_is_framed_wrongly_is_refused(send: Raw, case: str) -> None:
    for endpoint in (*AT_ONCE, UPLOADS):
        answer = await send(endpoint, *WRONG_FRAMES[case])
        assert answer is not None
        assert answer.status == 400, (endpoint.path, answer)
        assert endpoint.is_error(answer.json()), (endpoint.path, answer)
        assert b"connection: close" in answer.head.lower()


async def test_a_head_that_is_too_large_is_refused(send: Raw) -> None:
    heads = [[b"X-A: " + b"y" * 300_000], [b"x-%d: y" % each for each in range(20_000)]]
    for endpoint in AT_ONCE:
        for lines in heads:
            answer = await send(endpoint, [*lines, b"Content-Length: 2"], b"{}")
            assert answer is not None
            assert (answer.status, endpoint.is_error(answer.json())) == (431, True), (endpoint.path, answer)


async def test_a_body_that_is_too_large_is_refused(stack: Stack, key: str) -> None:
    """By one byte, with the length that it has, in chunks, and before any of it, if its length is known."""
    many = b"x" * 65_536
    for endpoint in (each for each in AT_ONCE if each.path not in FILES):
        answers = [
            await edge_requests.send(stack.port, endpoint.head(key, b"Content-Length: %d" % (MAX_BODY + 1)) + b"\r\n"),
            await edge_requests.send(
                stack.port,
                endpoint.head(key, CHUNKED) + b"\r\n",
                *[b"10000\r\n%b\r\n" % many] * (MAX_BODY // len(many)),
                b"1\r\nx\r\n",
            ),
        ]
        for answer in answers:
            assert answer is not None
            assert (answer.status, endpoint.is_error(answer.json())) == (413, True), (endpoint.path, answer)


async def test_a_file_that_is_too_large_is_refused_before_any_of_it(stack: Stack, key: str) -> None:
    for path in FILES:
        head = Endpoint(path, {}).head(key, b"Content-Length: %d" % (16 * MAX_BODY))
        answer = await edge_requests.send(stack.port, head + b"\r\n")
        assert answer is not None
        assert (answer.status, openai_error(answer.json())) == (413, True), (path, answer)


KEYS = {"a line end": b"a\r\nSet-Cookie: b=c", "256": b"k" * 256, "not ASCII": "\u00fc".encode(), "nothing": b'""'}


@pytest.mark.parametrize("case", KEYS)
async def test_a_malformed_idempotency_key_is_refused(send: Raw, case: str) -> None:
    """One with a line end is two headers: the second says nothing, and is not repeated."""
    for endpoint in IDEMPOTENT:
        raw = orjson.dumps(endpoint.fields)
        answer = await send(endpoint, [b"Idempotency-Key: " + KEYS[case], b"Content-Length: %d" % len(raw)], raw)
        assert answer is not None
        assert b"set-cookie: b" not in answer.head.lower()
        assert (answer.status == 400) == (case != "a line end"), (endpoint.path, answer)
        assert answer.status < 400 or endpoint.is_error(answer.json())


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"DELETE", b"TRACE", b"PROPFIND"])
async def test_another_method_is_no_post(stack: Stack, key: str, method: bytes) -> None:
    """Also when a header says that it is one."""
    overrides = [b"X-HTTP-Method-Override: POST", b"X-HTTP-Method: POST", b"Content-Length: 2"]
    for endpoint in WIRES:
        head = endpoint.head(key, *overrides).replace(b"POST", method, 1)
        answer = await edge_requests.send(stack.port, head + b"\r\n{}")
        assert answer is not None
        if endpoint.path == "/v1/responses/input_tokens" and answer.status == 404:
            continue  # by its path, it could be a response
        assert answer.status == 405, (endpoint.path, answer)
        assert b"POST\r\n" in answer.head.partition(b"\r\nallow: ")[2]
        assert method == b"HEAD" or endpoint.is_error(answer.json())


async def test_an_unknown_method_is_no_request(stack: Stack, key: str) -> None:
    for endpoint in AT_ONCE:
        answer = await edge_requests.send(stack.port, b"BREW" + endpoint.head(key) + b"\r\n")
        assert answer is not None
        assert answer.status == 400


async def test_an_unknown_path_is_answered_in_the_words_of_its_client(stack: Stack, key: str) -> None:
    for endpoint in WIRES:
        for path in (f"/{endpoint.path}", f"{endpoint.path}x/y", endpoint.path.upper(), f"/x/..{endpoint.path}"):
            answer = await edge_requests.send(
                stack.port, endpoint.head(key, b"Content-Length: 2", path=path) + b"\r\n{}"
            )
            assert answer is not None
            assert answer.status == 404, (path, answer)
            assert "error" in answer.json()


TRAVERSALS = (
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e",
    "..%5c..",
    "%00",
    "a%00.png",
    "%c0%ae%c0%ae/",
)
PLACES = (
    "/media/{}?exp=1&sig=x",
    "/media/a/{}/0.png?exp=1&sig=x",
    "/c/{}",
    "/static/{}",
    "/api/media/jobs/{}/",
    "/api/media/jobs/{}/events/",
    "/api/chat/share/{}/",
    "/api/webhooks/{}/",
    "/api/chat/conversations/{}/",
    "/api/billing/charges/{}/",
    "/v1/models/{}",
    "/v1/responses/{}",
)


@pytest.mark.parametrize("place", PLACES)
async def test_no_path_leads_out(stack: Stack, key: str, place: str) -> None:
    for value in TRAVERSALS:
        lines = f"GET {place.format(value)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n"
        answer = await edge_requests.send(stack.port, lines.encode())
        assert answer is not None
        assert answer.status in (400, 403, 404, 405), (place, value, answer)
        assert b"root:" not in answer.body


async def test_a_page_of_another_site_gets_no_credentials(stack: Stack, key: str) -> None:
    for endpoint in AT_ONCE:
        preflight = [b"Origin: https://evil.example", b"Access-Control-Request-Method: POST"]
        for head in (
            endpoint.head(key, preflight[0], b"Content-Length: 2") + b"\r\n{}",
            endpoint.head("", *preflight).replace(endpoint.method.encode(), b"OPTIONS", 1) + b"\r\n",
        ):
            answer = await edge_requests.send(stack.port, head)
            assert answer is not None
            assert b"access-control-allow-credentials" not in answer.head
            assert b"access-control-allow-origin: *" in answer.head


async def test_connections_that_say_nothing_are_in_nobodys_way(stack: Stack, send: Raw) -> None:
    idle = [await asyncio.open_connection("127.0.0.1", stack.port) for _ in range(500)]
    try:
        for reader, writer in idle[::2]:
            writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-")
            assert not reader.at_eof()
        for endpoint in WIRES:
            raw = orjson.dumps(endpoint.fields)
            answer = await send(endpoint, [b"Content-Length: %d" % len(raw)], raw)
            assert answer is not None
            assert answer.status == 200, answer
    finally:
        for _, writer in idle:
            writer.transport.abort()
