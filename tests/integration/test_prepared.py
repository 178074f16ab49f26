"""The ledger's prepared connection, when it ends."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from db import connections
from db.prepared import BEGIN, COMMIT, PreparedConnection


async def opened(url: str) -> tuple[PreparedConnection, int, int]:
    """The connection, its backend's process id, and the number of its socket."""
    connection = await connections.connect(connections.conninfo(url), "yout-test", {}, writes=True)
    backend, number = connection.pgconn.backend_pid, connection.pgconn.socket
    return await PreparedConnection.over(connection, (BEGIN, COMMIT)), backend, number


async def lost(url: str) -> tuple[PreparedConnection, int]:
    """A connection whose backend was ended, and which has noticed."""
    connection, backend, number = await opened(url)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as other:
        await other.execute("SELECT pg_terminate_backend(%s)", [backend])
    with pytest.raises(psycopg.Error):
        await connection.run((BEGIN, {}), (COMMIT, {}))
    return connection, number


async def dropped(url: str) -> tuple[PreparedConnection, int]:
    connection, _, number = await opened(url)
    connection.drop()
    return connection, number


@pytest.mark.parametrize("ended", [lost, dropped])
async def test_closing_it_leaves_a_socket_alone_that_has_its_number_now(
    database_url: str, ended: Callable[[str], Awaitable[tuple[PreparedConnection, int]]]
) -> None:
    connection, number = await ended(database_url)
    sockets: list[socket.socket] = []
    while number not in [one.fileno() for one in sockets]:
        sockets += socket.socketpair()
        assert len(sockets) < 200, "the number was not given again"
    ours = next(one for one in sockets if one.fileno() == number)
    ours.setblocking(False)
    readable = asyncio.Event()
    asyncio.get_running_loop().add_reader(number, readable.set)
    try:
        await connection.close()
        sockets[sockets.index(ours) ^ 1].send(b"x")
        async with asyncio.timeout(60):
            assert await readable.wait()
    finally:
        asyncio.get_running_loop().remove_reader(number)
        for one in sockets:
            one.close()
