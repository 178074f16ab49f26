"""HTTP as clients really speak it, byte by byte, against uvicorn with our protocol: upgrades, half-closed connections,
slow heads, bodies after the answer.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import orjson
import pytest

from api.http_protocol import Http1Protocol
from tests.support.doubles.http_apps import JSON, DirectApp, Server, headers_of, post, served

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"


@pytest.fixture
async def direct() -> AsyncIterator[tuple[Server, DirectApp]]:
    app = DirectApp()
    async with served(app) as server:
        yield server, app


@pytest.mark.parametrize("upgrade", [H2C, b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"Upgrade: TLS/1.0\r\n"])
async def test_an_upgrade_is_ignored_and_the_body_kept(server: Server, upgrade: bytes) -> None:
    answer = await server.exchange(post("/x", headers=upgrade))
    assert headers_of(answer) == {"method": "POST", "path": "/x", "body": JSON.decode()}


@pytest.mark.parametrize("cut", [10, 60, 150, 250, 300])
async def test_an_upgrade_that_comes_in_parts(server: Server, cut: int) -> None:
    request = post("/x", body=JSON * 10, headers=H2C)
    async with server.connected() as (reader, writer):
        writer.write(request[:cut])
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(request[cut:])
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        assert orjson.loads(await reader.readexactly(length))["body"] == (JSON * 10).decode()
        writer.write(post("/again", headers=H2C))  # the connection is good for more
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")


async def test_a_chunked_body_with_an_upgrade(server: Server) -> None:
    head = b"POST /x HTTP/1.1\r\nHost: x\r\n%bTransfer-Encoding: chunked\r\n\r\n" % H2C
    answer = await server.exchange(head + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
    assert headers_of(answer)["body"] == "hello world"


async def test_connect_is_refused(server: Server) -> None:
    answer = await server.exchange(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 405")


@pytest.mark.parametrize("path", ["/x", "/slow"])
async def test_a_half_closed_client_gets_its_answer(server: Server, path: str) -> None:
    answer = await server.exchange(post(path), answers=None, half_closed=True)
    assert headers_of(answer)["path"] == path
    assert b"HTTP/1.1 200" in answer


async def test_a_half_closed_client_gets_its_stream(server: Server) -> None:
    answer = await server.exchange(post("/stream"), answers=None, half_closed=True)
    assert b"data: 2" in answer
    assert answer.endswith(b"0\r\n\r\n")
    assert not server.app.left.is_set()


async def test_a_client_that_is_gone_is_noticed(server: Server) -> None:
    server.app.patience = 300
    async with server.connected() as (reader, writer):
        writer.write(post("/stream"))
        await reader.readuntil(b"data: 1")
        assert not server.app.left.is_set()
    async with asyncio.timeout(60):
        assert await server.app.left.wait()


async def test_half_a_request_and_no_more_is_no_request(server: Server) -> None:
    assert b"200" not in await server.exchange(post("/x")[:-3], answers=None, half_closed=True)


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> bytes:
    """Sends byte by byte until the server answers or closes; what it has answered.

    A server that closes with a byte unread resets the connection: what came before that is its answer.
    """
    answered = bytearray()

    async def collect() -> None:
        with contextlib.suppress(ConnectionResetError):
            while part := await reader.read(1024):
                answered.extend(part)

    answer = asyncio.create_task(collect())
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        for byte in data:
            if answered or answer.done():
                break
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)
    await answer
    return bytes(answered)


async def test_a_head_that_drips_is_cut(impatient: Server) -> None:
    async with impatient.connected() as (reader, writer):
        assert (await drip(reader, writer, post("/x") * 3)).startswith(b"HTTP/1.1 408")


async def test_a_connection_that_says_nothing_is_closed(impatient: Server) -> None:
    async with impatient.connected() as (reader, _):
        assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_a_head_without_end_is_cut(server: Server) -> None:
    answer = await server.exchange(b"GET / HTTP/1.1\r\n" + b"x-y: " + b"z" * 70_000)
    assert answer.startswith(b"HTTP/1.1 431")


CHUNKED = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"


@pytest.mark.parametrize("endless", [b"2;", b"0\r\nX-Trailer: ", b"0\r\n" + b"X-Trailer: x\r\n" * 5000])
async def test_what_is_said_beside_a_body_is_bounded(server: Server, endless: bytes) -> None:
    """No limit on bodies counts it."""
    async with server.connected() as (_, writer):
        written = 0
        with contextlib.suppress(OSError):
            writer.write(CHUNKED + endless)
            while written < 64 * 1024 * 1024:
                writer.write(b"x" * 65_536)
                written += 65_536
                await writer.drain()
        assert written < 64 * 1024 * 1024


@pytest.mark.parametrize("head", [b"Transfer-Encoding: chunked", b"Content-Length: 1000000000"])
async def test_a_body_that_goes_on_after_its_answer_is_bounded(server: Server, head: bytes) -> None:
    """Who was refused before a body was read could keep the event loop reading it."""
    part = b"x" * 65_536
    piece = b"10000\r\n%b\r\n" % part if b"chunked" in head else part
    async with server.connected() as (reader, writer):
        writer.write(b"POST /early HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % head)
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        written = 0
        with contextlib.suppress(OSError):
            while written < 2 * Http1Protocol.max_drain_bytes:
                writer.write(piece)
                written += len(piece)
                await writer.drain()
        assert Http1Protocol.max_drain_bytes // 2 < written < 2 * Http1Protocol.max_drain_bytes


async def test_what_trails_a_body_is_no_header(server: Server) -> None:
    head = CHUNKED.replace(b"/x", b"/headers").replace(b"Host: x", b"Host: x\r\nConnection: close")
    answer = await server.exchange(head + b"0\r\nAuthorization: Bearer x\r\n\r\n")
    assert headers_of(answer)["body"] == "host, connection, transfer-encoding"


@pytest.mark.parametrize("nonsense", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"hello\r\n\r\n"])
async def test_what_is_no_http_is_refused_in_the_envelope(server: Server, nonsense: bytes) -> None:
    answer = await server.exchange(nonsense)
    assert answer.startswith(b"HTTP/1.1 400")
    error = orjson.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("hosts", [b"", b"Host: x\r\nHost: x\r\n", b"Host: x\r\nHOST: y\r\nUpgrade: h2c\r\n"])
async def test_a_request_has_one_host(server: Server, hosts: bytes) -> None:
    answer = await server.exchange(b"GET /headers HTTP/1.1\r\n" + hosts + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert orjson.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"] == "Send one Host header."


async def test_an_old_client_may_name_no_host(server: Server) -> None:
    assert (await server.exchange(b"GET /headers HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_who_is_answered_early_may_finish_and_ask_again(server: Server) -> None:
    async with server.connected() as (reader, writer):
        request = post("/early", body=b"x" * 300_000)
        writer.write(request[:1000])
        assert headers_of(await reader.readuntil(b"}"))["path"] == "/early"
        writer.write(request[1000:])
        writer.write(post("/x"))
        assert headers_of(await reader.readuntil(b'}"}'))["path"] == "/x"


async def test_who_drips_on_after_the_answer_is_cut(impatient: Server) -> None:
    async with impatient.connected() as (reader, writer):
        writer.write(post("/early", body=b"x" * 1000)[:-900])
        await reader.readuntil(b"}")
        assert await drip(reader, writer, b"x" * 100) == b""


async def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    answer = await server.exchange(post("/slow") + post("/stream") + post("/asgi") + post("/x"), answers=4)
    heads = [at for path in ("/slow", "/asgi", "/x") if (at := answer.find(b'"path":"%b"' % path.encode())) > 0]
    assert len(heads) == 3
    assert heads == sorted(heads)
    assert heads[0] < answer.find(b"data: 1") < answer.find(b"data: 2") < heads[1]
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 4


async def test_a_client_that_waits_for_a_continue_gets_it(server: Server) -> None:
    request = post("/x", headers=b"Expect: 100-continue\r\n")
    async with server.connected() as (reader, writer):
        writer.write(request[: -len(JSON)])
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(JSON)
        assert headers_of(await reader.readuntil(b'}"}'))["body"] == JSON.decode()


async def test_a_connection_that_its_client_wants_closed_is_closed(server: Server) -> None:
    async with server.connected() as (reader, writer):
        writer.write(post("/x", headers=b"Connection: close\r\n"))
        answer = await reader.read()
    assert b"connection: close\r\n" in answer
    assert headers_of(answer)["path"] == "/x"


async def test_a_direct_answer_has_the_headers_of_every_answer(direct: tuple[Server, DirectApp]) -> None:
    head, _, body = (await direct[0].exchange(post("/x"))).partition(b"\r\n\r\n")
    assert {b"x-direct: yes", b"content-length: %d" % len(body)} <= set(head.split(b"\r\n"))
    assert b"date: " in head
    head, _, body = (await direct[0].exchange(post("/stream"))).partition(b"\r\n\r\n")
    assert {b"x-direct: yes", b"transfer-encoding: chunked"} <= set(head.split(b"\r\n"))
    assert body == b"9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"


async def test_a_direct_stream_to_an_old_client_ends_with_its_connection(direct: tuple[Server, DirectApp]) -> None:
    answer = await direct[0].exchange(post("/stream").replace(b"HTTP/1.1", b"HTTP/1.0"), answers=None)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert body == b"data: 1\n\ndata: 2\n\n"


@pytest.mark.parametrize("path", ["/broken", "/split"])
async def test_a_direct_answer_that_breaks_is_no_silence(direct: tuple[Server, DirectApp], path: str) -> None:
    answer = await direct[0].exchange(post(path))
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"set-cookie" not in answer


async def test_a_direct_stream_waits_for_a_client_that_is_behind(direct: tuple[Server, DirectApp]) -> None:
    server, app = direct
    async with server.connected() as (reader, writer):
        writer.write(post("/much"))
        await app.behind.wait()
        assert not app.caught_up.is_set()
        size = 0
        while not app.caught_up.is_set():
            size += len(await reader.read(65536))
        assert size > 0
        writer.write(post("/x"))
        while not (rest := await reader.read(65536)).endswith(b'}"}'):
            assert rest


async def test_who_leaves_is_noticed_behind_a_request_that_waits(direct: tuple[Server, DirectApp]) -> None:
    server, app = direct
    async with server.connected() as (_, writer):
        writer.write(post("/much") + post("/x"))
        await app.behind.wait()
        assert not app.left.is_set()
        writer.transport.abort()
    async with asyncio.timeout(60):
        assert await app.left.wait()
