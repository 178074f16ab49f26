"""What is answered to requests that break off in nonsense, are too large, or are answered before they were whole."""

import asyncio
import contextlib

import orjson
import pytest

from tests.support.doubles.http_apps import Server, headers_of, post

CHUNKED = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        CHUNKED.replace(b"chunked", b"xchunked"),
        CHUNKED + b"zz\r\n{}\r\n",
        CHUNKED + b"2\r\n{}\r\nzz\r\n",
        CHUNKED + b"2\r\n{}{}",
    ],
    ids=["coding", "first chunk", "later chunk", "length"],
)
async def test_a_body_that_breaks_off_in_nonsense_is_answered(server: Server, request_bytes: bytes) -> None:
    answer = await server.exchange(request_bytes)
    assert answer.startswith(b"HTTP/1.1 400")
    assert set(orjson.loads(answer.partition(b"\r\n\r\n")[2])["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("nonsense", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"hello\r\n\r\n"])
async def test_nonsense_after_a_request_takes_no_answer_from_it(server: Server, nonsense: bytes) -> None:
    answer = await server.exchange(post("/slow") + post("/x") + nonsense, answers=None)
    assert [b'"path":"/slow"' in answer, b'"path":"/x"' in answer] == [True, True]
    assert answer.count(b"HTTP/1.1 ") == 2


async def test_half_a_head_after_a_request_takes_no_answer_from_it(impatient: Server) -> None:
    """The time for that head ends before `/slow` is answered."""
    answer = await impatient.exchange(post("/slow") + b"POST /x HTTP/1.1\r\nHo")
    assert headers_of(answer)["path"] == "/slow"


@pytest.mark.parametrize("more", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
async def test_a_head_that_is_too_large_is_refused_in_one_piece_too(server: Server, more: bytes) -> None:
    large = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"x-%d: %b\r\n" % (at, b"y" * 7000) for at in range(10))
    answer = await server.exchange(large + b"\r\n" + more, answers=None)
    assert answer.startswith(b"HTTP/1.1 431")
    assert answer.count(b"HTTP/1.1") == 1


async def test_a_large_body_behind_a_small_head_is_no_large_head(server: Server) -> None:
    assert headers_of(await server.exchange(post("/x", body=b"x" * 200_000)))["path"] == "/x"


async def test_who_sends_a_body_and_wants_to_close_gets_an_early_answer(server: Server) -> None:
    """Without a reset: that would take the answer away from whoever is still writing."""
    async with server.connected() as (reader, writer):
        writer.write(post("/early", body=b"x" * 8_000_000, headers=b"Connection: close\r\n"))
        await writer.drain()
        answer = await reader.read()
    assert headers_of(answer)["path"] == "/early"
    assert b"connection: close\r\n" in answer


async def test_what_follows_a_last_request_is_not_served(server: Server) -> None:
    async with server.connected() as (reader, writer):
        last = post("/early", body=b"x" * 1000, headers=b"Connection: close\r\n")
        writer.write(last[:-900])
        await reader.readuntil(b"}")
        writer.write(last[-900:] + post("/x"))
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 10) == b""
