"""What the transport makes of answers that are whole, broken, late or elsewhere."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from domain.errors import UpstreamError
from providers.base import Timeouts
from providers.http1 import Http1Transport
from providers.http1_connection import MAX_HEAD
from tests.support.doubles.fetch import fetch
from tests.support.doubles.raw_server import Visit, answer, chunked, serving
from tests.support.doubles.upstream_calls import LONG, PATIENT, collected, request, saying

SECOND = timedelta(seconds=1)


@pytest.fixture
async def transport() -> AsyncIterator[Http1Transport]:
    http = Http1Transport(max_connections=10)
    yield http
    await http.close()


async def test_a_request_and_its_answer(transport: Http1Transport) -> None:
    async with serving(saying(answer(b"hello", "X-Two: a", "x-two: b", "Content-Type: text/plain"))) as server:
        sink = await collected(transport, request(server, b'{"a":1}', Authorization="Bearer sk"))
        assert (sink.status, sink.body, sink.events) == (200, b"hello", ["head", "end"])
        assert sink.headers["x-two"] == "a, b"
        head, body = server.requests[0].split(b"\r\n\r\n", 1)
        assert body == b'{"a":1}'
        assert head.split(b"\r\n") == [
            b"POST /v1/chat/completions HTTP/1.1",
            f"Host: 127.0.0.1:{server.port}".encode(),
            b"User-Agent: yout",
            b"Accept-Encoding: identity",
            b"Content-Type: application/json",
            b"Authorization: Bearer sk",
            b"Content-Length: 7",
        ]


WHOLE: list[tuple[str, bytes]] = [
    ("length", answer(b"hello")),
    ("chunked", chunked(b"he", b"llo")),
    ("until it closes", answer(b"hello", length=False)),
    ("HTTP/1.0", b"HTTP/1.0 200 OK\r\n\r\nhello"),
    ("informational", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer(b"hello")),
    ("gzip", answer(gzip.compress(b"hello"), "Content-Encoding: gzip")),
    ("x-gzip in chunks", chunked(*[bytes([n]) for n in gzip.compress(b"hello")], fields=("Content-Encoding: X-GZIP",))),
    ("deflate", answer(zlib.compress(b"hello"), "Content-Encoding: deflate")),
    ("bare deflate", answer(zlib.compress(b"hello")[2:-4], "Content-Encoding: deflate")),
    ("identity", answer(b"hello", "Content-Encoding: identity")),
    ("trailers", chunked(b"hello")[:-2] + b"X-Trailer: a\r\n\r\n"),
    ("no reason", b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello"),
    ("a long header", answer(b"hello", "X-Long: " + "a" * 60_000)),
    ("many headers", answer(b"hello", *[f"X-{n}: {n}" for n in range(500)])),
    ("a header beyond ASCII", answer(b"hello", "X-Name: \xe9")),
    ("a charset as its encoding", answer(b"hello", "Content-Encoding: utf-8")),
    ("lines that end without a return", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
    ("a header that goes on", b"HTTP/1.1 200 OK\r\nX-Name: a\r\n b\r\nContent-Length: 5\r\n\r\nhello"),
    ("a length beside chunks", chunked(b"hello", fields=("Content-Length: 3",))),
    ("blanks after a chunk's size", chunked(b"hello").replace(b"5\r\n", b"5  \r\n")),
]


@pytest.mark.parametrize("raw", [raw for _, raw in WHOLE], ids=[name for name, _ in WHOLE])
async def test_whole_answers_in_one_part_and_in_many(transport: Http1Transport, raw: bytes) -> None:
    pieces = [raw[at : at + 1] for at in range(len(raw))] if len(raw) < 400 else [raw[:1000], raw[1000:]]
    for parts in ([raw], pieces):
        async with serving(saying(*parts)) as server:
            sink = await collected(transport, request(server))
            assert (sink.error, sink.status, sink.body) == (None, 200, b"hello")


BROKEN: list[tuple[str, bytes]] = [
    ("nothing", b""),
    ("half a head", b"HTTP/1.1 200 OK\r\nContent-"),
    ("no HTTP", b"SSH-2.0-OpenSSH_9.6\r\n"),
    ("a body cut", answer(b"hello")[:-1]),
    ("no body", answer(b"hello")[:-5]),
    ("chunks cut", chunked(b"hello")[:-5]),
    ("the last chunk missing", chunked(b"hello")[:-7]),
    ("a chunk without a size", answer(b"zz\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked", length=False)),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    ("a length that is none", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello"),
    ("too long a header", answer(b"hello", "X-Long: " + "a" * (MAX_HEAD + 1))),
    ("too many headers", answer(b"hello", *["X-Many: " + "a" * 1000 for n in range(80)])),
    ("only informational", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5000),
    ("another protocol", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nxx"),
    ("an unknown encoding", answer(b"hello", "Content-Encoding: br")),
    ("two encodings", answer(b"hello", "Content-Encoding: gzip, gzip")),
    ("gzip that is none", answer(b"hello", "Content-Encoding: gzip")),
    ("gzip cut", answer(gzip.compress(b"hello")[:-4], "Content-Encoding: gzip")),
    ("gzip cut where it closes", answer(gzip.compress(b"hello")[:-4], "Content-Encoding: gzip", length=False)),
    ("a bomb", answer(zlib.compress(bytes(30_000_000), 9), "Content-Encoding: deflate")),
]


@pytest.mark.parametrize("raw", [raw for _, raw in BROKEN], ids=[name for name, _ in BROKEN])
async def test_broken_answers(transport: Http1Transport, raw: bytes) -> None:
    async with serving(saying(raw)) as server:
        sink = await collected(transport, request(server))
        assert type(sink.error) is UpstreamError
        assert not sink.error.unreached
        assert sink.events.count("fail") == 1
        assert "end" not in sink.events
        assert len(sink.body) < 10_000_000


async def test_a_connection_with_two_lengths_is_not_used_again(transport: Http1Transport) -> None:
    async with serving(saying(chunked(b"hello", fields=("Content-Length: 3",)), then="hang")) as server:
        for _ in range(2):
            assert (await collected(transport, request(server))).body == b"hello"
        assert server.visits == 2


@pytest.mark.parametrize("status", ["301 Moved", "307 Temporary Redirect", "404 Not Found", "500 Oops", "599 Odd"])
async def test_any_status_is_told_and_no_redirect_followed(transport: Http1Transport, status: str) -> None:
    async with serving(saying(answer(b"x", "Location: http://127.0.0.1:1/", status=status))) as server:
        sink = await collected(transport, request(server))
        assert (sink.status, sink.body, server.visits) == (int(status.split()[0]), b"x", 1)


async def test_fetching_whole_answers(transport: Http1Transport) -> None:
    """However long it takes until it begins: a whole answer is made before it is sent."""

    async def late(visit: Visit) -> None:
        while True:
            await visit.request()
            await asyncio.sleep(1.5)
            await visit.write(answer(b"x" * 100_000, status="200 OK" if len(visit.requests) < 3 else "500 Oops"))

    async with serving(late) as server:
        timeouts = Timeouts(LONG, SECOND, SECOND, LONG)
        status, headers, body = await fetch(transport, request(server), timeouts, 100_000)
        assert (status, headers["content-length"], len(body)) == (200, "100000", 100_000)
        with pytest.raises(UpstreamError):
            await fetch(transport, request(server), timeouts, 99_999)
        status, _, body = await fetch(transport, request(server), timeouts, 100_000)
        assert (status, len(body)) == (500, 65_536)


async def test_a_fetch_that_is_cancelled_closes_the_socket(transport: Http1Transport) -> None:
    async with serving(saying(then="hang")) as server:
        fetching = asyncio.create_task(fetch(transport, request(server), PATIENT, 10))
        await server.arrived.acquire()
        fetching.cancel()
        await server.closed.wait()
        with pytest.raises(asyncio.CancelledError):
            await fetching


async def test_a_connection_that_is_not_made_is_nobodys_fault(transport: Http1Transport) -> None:
    async with serving(saying(answer(b"hello"))) as server:
        gone = request(server)
    sink = await collected(transport, gone)
    assert isinstance(sink.error, UpstreamError)
    assert sink.error.unreached
