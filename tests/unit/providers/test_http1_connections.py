"""How the transport uses, gives back and closes its connections."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
import uvloop

from domain.current_request import REQUEST_ID
from domain.errors import UpstreamError, UpstreamTimeout
from providers.base import Timeouts, UpstreamRequest
from providers.http1 import Http1Transport
from tests.support.doubles.raw_server import Visit, answer, chunked, serving
from tests.support.doubles.upstream_calls import (
    LONG,
    PATIENT,
    SHORT,
    Collector,
    collected,
    keep_answering,
    request,
    saying,
)


@pytest.fixture
async def transport() -> AsyncIterator[Http1Transport]:
    http = Http1Transport(max_connections=10)
    yield http
    await http.close()


async def test_connections_are_used_again(transport: Http1Transport) -> None:
    async with serving(keep_answering) as server:
        for _ in range(5):
            assert (await collected(transport, request(server))).body == b"hello"
        assert (server.visits, len(server.requests)) == (1, 5)


async def test_a_connection_has_nothing_of_the_request_that_opened_it(transport: Http1Transport) -> None:
    """What is logged while it carries a later one must not have the first one's id."""
    seen = list[str | None]()
    async with serving(keep_answering) as server:
        for name in ("req_first", "req_second"):
            REQUEST_ID.set(name)
            sink = Collector()
            sink.at_data = lambda: seen.append(REQUEST_ID.get())
            transport.open(request(server), PATIENT, sink)
            await sink.ended.wait()
    assert (server.visits, seen) == (1, [None, None])


@pytest.mark.parametrize(
    "raw",
    [
        answer(b"hello", "Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        answer(b"hello") + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad",
        answer(b"hello") + b"garbage",
    ],
    ids=["close", "HTTP/1.0", "a second answer", "garbage behind"],
)
async def test_connections_that_are_not(transport: Http1Transport, raw: bytes) -> None:
    async with serving(saying(raw, then="hang")) as server:
        for visits in (1, 2):
            sink = await collected(transport, request(server))
            assert (sink.body, sink.error, server.visits) == (b"hello", None, visits)


@pytest.mark.parametrize("endless", [b"5;" + b"x" * 60_000, b"0\r\n" + b"X-Trailer: x\r\n" * 5000, b"0\r\nX-Trailer: "])
async def test_what_is_said_beside_a_body_is_bounded(transport: Http1Transport, endless: bytes) -> None:
    """Chunk extensions and trailers without end: nobody reads them, and they would fill the memory."""
    written = 0

    async def script(visit: Visit) -> None:
        nonlocal written
        await visit.request()
        await visit.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", endless)
        while written < 32 * 1024 * 1024:
            await visit.write(b"x" * 65_536)
            written += 65_536
        await asyncio.Event().wait()

    async with serving(script) as server:
        sink = await collected(transport, request(server))
        assert (sink.body, type(sink.error)) == (b"hello", UpstreamError)
        assert written < 32 * 1024 * 1024


async def test_unasked_bytes_on_an_idle_connection_close_it(transport: Http1Transport) -> None:
    speak, over = asyncio.Event(), asyncio.Event()

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.write(answer(b"hello"))
        if visit.number == 1:
            await speak.wait()
            await visit.write(answer(b"", status="408 Request Timeout"))
            assert await visit.reader.read() == b""
            over.set()

    async with serving(script) as server:
        await collected(transport, request(server))
        speak.set()
        await over.wait()
        assert (await collected(transport, request(server))).body == b"hello"
        assert server.visits == 2


async def test_a_stale_connection_is_replaced_once(transport: Http1Transport) -> None:
    """Closed without a byte of an answer, after it was used: the request is sent again on a new one."""

    async def script(visit: Visit) -> None:
        await visit.request()
        if visit.number != 3:
            await visit.write(answer(b"hello"))
        if visit.number == 1:
            await visit.request()

    async with serving(script) as server:
        assert (await collected(transport, request(server, b"1"))).body == b"hello"
        assert (await collected(transport, request(server, b"2"))).body == b"hello"
        assert [raw[-1:] for raw in server.requests] == [b"1", b"2", b"2"]
        sink = await collected(transport, request(server, b"3"))
        assert type(sink.error) is UpstreamError
        assert server.requests[-1][-1:] == b"3"


async def test_what_began_to_be_answered_is_not_sent_again(transport: Http1Transport) -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.write(answer(b"hello"))
        await visit.request()
        await visit.write(b"HTTP/1.1 2")

    async with serving(script) as server:
        await collected(transport, request(server))
        sink = await collected(transport, request(server))
        assert type(sink.error) is UpstreamError
        assert (server.visits, len(server.requests)) == (1, 2)


async def test_more_calls_than_connections_wait_for_one() -> None:
    transport = Http1Transport(max_connections=3)
    async with serving(keep_answering) as server:
        sinks = await asyncio.gather(*(collected(transport, request(server)) for _ in range(20)))
        assert [sink.body for sink in sinks] == [b"hello"] * 20
        assert server.max_concurrent == 3
        await transport.close()


async def test_who_waited_gets_a_connection_when_one_breaks() -> None:
    transport = Http1Transport(max_connections=1)
    async with serving(saying(b"broken")) as server:
        sinks = await asyncio.gather(*(collected(transport, request(server)) for _ in range(5)))
        assert [type(sink.error) for sink in sinks] == [UpstreamError] * 5
        assert (server.visits, server.max_concurrent) == (5, 1)
        await transport.close()


@pytest.mark.parametrize(
    ("parts", "timeouts"),
    [
        ((), Timeouts(LONG, SHORT, LONG, LONG)),
        ((answer(b"hello")[:-1],), Timeouts(LONG, LONG, SHORT, LONG)),
        ((), Timeouts(LONG, LONG, LONG, SHORT)),
        ((answer(b"hello")[:-1],), Timeouts(LONG, LONG, LONG, SHORT)),
    ],
    ids=["first byte", "idle", "total before", "total within"],
)
async def test_timeouts(transport: Http1Transport, parts: tuple[bytes, ...], timeouts: Timeouts) -> None:
    async with serving(saying(*parts, then="hang")) as server:
        sink = await collected(transport, request(server), timeouts)
        assert type(sink.error) is UpstreamTimeout
        await server.closed.wait()


async def test_total_time_ends_a_drip(transport: Http1Transport) -> None:
    async def drip(visit: Visit) -> None:
        await visit.request()
        await visit.write(answer(b"", "Content-Length: 1000000", length=False))
        while True:
            await visit.write(b"x", pause=0.005)

    async with serving(drip) as server:
        sink = await collected(transport, request(server), Timeouts(LONG, LONG, LONG, timedelta(seconds=2)))
        assert type(sink.error) is UpstreamTimeout
        assert len(sink.body) > 1


async def test_who_waits_for_a_connection_waits_no_longer_than_its_total_time() -> None:
    transport = Http1Transport(max_connections=1)
    async with serving(saying(then="hang")) as server:
        first = transport.open(request(server), PATIENT, Collector())
        sink = await collected(transport, request(server), Timeouts(LONG, LONG, LONG, SHORT))
        assert type(sink.error) is UpstreamTimeout
        first.close()
        await transport.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/v1",
        "http://nowhere.invalid/v1",
        "http://127.0.0.1:99999/v1",
        "ftp://127.0.0.1/v1",
        "http:///v1",
        "http://" + "a" * 300 + "/v1",
    ],
)
async def test_nobody_there(transport: Http1Transport, url: str) -> None:
    sink = await collected(transport, UpstreamRequest(url, {}, b""))
    assert type(sink.error) is UpstreamError
    assert "127.0.0.1" not in str(sink.error)


async def test_a_header_that_would_be_two(transport: Http1Transport) -> None:
    async with serving(keep_answering) as server:
        for value in ("a\r\nX-Other: b", "a\nb", "a\rb", "a\0b", "\u20ac"):
            sink = await collected(transport, request(server, Authorization=value))
            assert type(sink.error) is UpstreamError
        assert server.visits == 0


async def test_closing_closes_the_socket_and_nothing_more_is_heard(transport: Http1Transport) -> None:
    async with serving(saying(chunked(b"a")[:-5], then="hang")) as server:
        sink = Collector()
        exchange = transport.open(request(server), PATIENT, sink)
        await sink.begun.wait()
        exchange.close()
        exchange.close()
        await server.closed.wait()
        assert (sink.body, sink.events) == (b"a", ["head"])


async def test_closing_before_there_is_a_connection(transport: Http1Transport) -> None:
    async with serving(keep_answering) as server:
        sink = Collector()
        transport.open(request(server), PATIENT, sink).close()
        assert (await collected(transport, request(server))).body == b"hello"
        assert sink.events == []
        assert len(server.requests) == 1


async def test_a_sink_that_closes_within_its_own_callback(transport: Http1Transport) -> None:
    async with serving(saying(chunked(b"a", b"b"), then="hang")) as server:
        sink = Collector()
        exchange = transport.open(request(server), PATIENT, sink)
        sink.at_data = exchange.close
        await server.closed.wait()
        assert (sink.parts, sink.events) == ([b"a"], ["head"])


async def test_a_pause_stops_the_provider(transport: Http1Transport) -> None:
    """What it sends meanwhile waits in the sockets' buffers, and does not count as idle time."""
    size = 64 * 1024 * 1024

    async def flood(visit: Visit) -> None:
        await visit.request()
        await visit.write(answer(bytes(size)))

    async with serving(flood) as server:
        sink = Collector()
        exchange = transport.open(request(server), Timeouts(LONG, LONG, timedelta(seconds=3), LONG), sink)
        await sink.begun.wait()
        exchange.pause()
        paused_at = len(sink.body)
        await asyncio.sleep(4)
        assert len(sink.body) == paused_at < size
        exchange.resume()
        await sink.ended.wait()
        assert (sink.error, len(sink.body)) == (None, size)


async def test_a_large_request_is_read_slowly(transport: Http1Transport) -> None:
    """The time for the first byte begins when the request's last one has left."""

    async def slow(visit: Visit) -> None:
        await visit.reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(4)
        await visit.reader.readexactly(20_000_000)
        await visit.write(answer(b"hello"))

    async with serving(slow) as server:
        timeouts = Timeouts(LONG, timedelta(seconds=3), LONG, LONG)
        assert (await collected(transport, request(server, bytes(20_000_000)), timeouts)).body == b"hello"


async def test_an_answer_before_the_request_was_read(transport: Http1Transport) -> None:
    async def hasty(visit: Visit) -> None:
        await visit.reader.readuntil(b"\r\n\r\n")
        await visit.write(answer(b"too large", status="413 Content Too Large"))
        await visit.reader.read()

    async with serving(hasty) as server:
        for visits in (1, 2):
            sink = await collected(transport, request(server, bytes(20_000_000)))
            assert (sink.status, sink.body, server.visits) == (413, b"too large", visits)


async def test_an_address_of_six_bytes_pairs(transport: Http1Transport) -> None:
    async with serving(keep_answering, host="::1") as server:
        assert (await collected(transport, request(server, host="[::1]"))).body == b"hello"
        assert f"Host: [::1]:{server.port}".encode() in server.requests[0]


async def test_the_environments_proxies_are_ignored(transport: Http1Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with serving(keep_answering) as server:
        assert (await collected(transport, request(server))).body == b"hello"


async def test_closing_the_transport_ends_all_calls() -> None:
    transport = Http1Transport(max_connections=2)
    async with serving(saying(then="hang")) as server:
        sinks = [Collector() for _ in range(4)]
        for sink in sinks:
            transport.open(request(server), PATIENT, sink)
        await server.arrived.acquire()
        await server.arrived.acquire()
        await transport.close()
        for sink in sinks:
            await sink.ended.wait()
            assert type(sink.error) is UpstreamError


SCENARIOS = [
    test_connections_are_used_again,
    test_a_stale_connection_is_replaced_once,
    test_what_began_to_be_answered_is_not_sent_again,
    test_closing_closes_the_socket_and_nothing_more_is_heard,
    test_a_sink_that_closes_within_its_own_callback,
    test_a_pause_stops_the_provider,
    test_a_large_request_is_read_slowly,
    test_an_answer_before_the_request_was_read,
    test_total_time_ends_a_drip,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_the_same_on_uvloop(scenario: Callable[[Http1Transport], Coroutine[Any, Any, None]]) -> None:
    """What production runs on."""

    async def run() -> bool:
        transport = Http1Transport(max_connections=10)
        await scenario(transport)
        await transport.close()
        return isinstance(asyncio.get_running_loop(), uvloop.Loop)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(run())
