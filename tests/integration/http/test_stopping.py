"""A process that stops answers whoever has connected, and refuses whoever comes then: no connection is reset."""

import asyncio
import errno
import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import uvicorn
from fastapi import FastAPI

import api.app
from api.cors import Cors
from api.http_protocol import Http1Protocol
from api.serving import Server
from api.sockets import listening_at, take_no_more
from dev import ports
from tests.support.stack import eventually

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
HOSTS = ("127.0.0.1", "::")


class Patient(Http1Protocol):
    max_last_head_seconds = 60.0


class Impatient(Http1Protocol):
    max_last_head_seconds = 0.1


@dataclass(frozen=True, slots=True)
class Started:
    server: Server
    listening: socket.socket

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.listening.getsockname()[1]

    async def connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return what the server has accepted."""
        before = len(self.server.server_state.connections)
        streams = await asyncio.open_connection(*self.address)

        async def accepted() -> bool:
            return len(self.server.server_state.connections) > before

        assert await eventually(accepted)
        return streams

    async def stop(self) -> None:
        await self.server.shutdown([self.listening])

    async def closed(self) -> bool:
        return self.listening.fileno() == -1


@asynccontextmanager
async def _nothing(_: FastAPI) -> AsyncIterator[None]:
    yield


@asynccontextmanager
async def started(host: str, protocol: type[Http1Protocol] = Patient) -> AsyncIterator[Started]:
    """Without uvicorn's loop, which looks for signals: a test says when it stops."""
    app = api.app.create_app(_nothing, max_body_bytes=1, cors=Cors())
    config = uvicorn.Config(
        app, http=protocol, ws="none", lifespan="off", log_config=None, timeout_graceful_shutdown=120
    )
    server, (listening,) = Server(config), listening_at(host, ports.free())
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup([listening])
    yield Started(server, listening)


@pytest.mark.parametrize("host", HOSTS)
async def test_who_has_connected_is_answered_though_nobody_has_accepted_it(host: str) -> None:
    async with started(host) as site:
        with socket.create_connection(site.address) as waiting:
            waiting.sendall(REQUEST)
            await site.stop()  # begins before the event loop has looked for connections
            assert waiting.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("host", HOSTS)
async def test_who_connects_while_it_stops_is_refused_and_not_reset(host: str) -> None:
    async with started(host) as site:
        with socket.socket() as late:
            late.setblocking(False)
            stopping = asyncio.create_task(site.stop())
            await asyncio.sleep(0)
            assert late.connect_ex(site.address) == errno.EINPROGRESS
            await stopping
            assert await asyncio.to_thread(select.select, [], [late], [], 60) != ([], [], [])
            assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


async def test_the_first_request_of_a_connection_is_answered_and_is_the_last() -> None:
    async with started("127.0.0.1") as site:
        reader, writer = await site.connected()
        stopping = asyncio.create_task(site.stop())
        assert await eventually(site.closed)
        writer.write(REQUEST)
        answer = await reader.read()
        await stopping
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in answer


async def test_who_says_nothing_holds_nobody_up() -> None:
    async with started("127.0.0.1", Impatient) as site:
        reader, writer = await site.connected()
        await site.stop()
        assert await reader.read() == b""
        writer.close()


async def test_a_connection_that_was_used_and_is_idle_is_closed_at_once() -> None:
    async with started("127.0.0.1") as site:
        reader, writer = await site.connected()
        writer.write(REQUEST)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        await site.stop()
        await reader.read()
        writer.close()


def test_a_kernel_that_filters_nothing_is_no_fault() -> None:
    """Some sandboxes have no packet filter. What is closed stands for one."""
    (listening,) = listening_at("127.0.0.1", ports.free())
    listening.close()
    assert take_no_more(listening) is False
