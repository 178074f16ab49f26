"""A TCP proxy before Postgres that counts the messages of its wire protocol, and calls for a fault at one of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from tests.support.doubles.postgres_proxy import PostgresProxy


class Way(StrEnum):
    FORTH = "forth"
    """From the client: Startup, Password, Parse, Bind, Execute, Sync, Query, …"""
    BACK = "back"


@dataclass(frozen=True, slots=True)
class Point:
    """The `number`th message (from 1) in one direction since the wire was armed, before or after it is passed on."""

    way: Way
    number: int
    passed_on: bool = False


Fault = Callable[[], Awaitable[bool]]
"""True: the connection goes on, as far as it can. False: nothing more is passed on, either way."""


class FaultyWire(PostgresProxy):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._point: Point | None = None
        self._fault: Fault | None = None
        self.seen = dict.fromkeys(Way, 0)
        """Messages since the wire was armed."""
        self.backend: int | None = None
        """Process id of the backend behind the newest connection, as it told the client itself."""
        self.fired = False

    def arm(self, point: Point | None, fault: Fault | None = None) -> None:
        """Count from here, and call for the fault once. Without one the connection is cut."""
        self.seen = dict.fromkeys(Way, 0)
        self._point, self._fault, self.fired = point, fault, False

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = asyncio.current_task()
        assert relay is not None
        self._relays.add(relay)
        try:
            server, to_server = await asyncio.open_connection(self._parts.hostname, self._parts.port)
            forth = asyncio.create_task(self._pass_on(Way.FORTH, messages(reader, untyped=1), to_server))
            back = asyncio.create_task(self._pass_on(Way.BACK, messages(server), writer))
            try:
                await asyncio.wait((forth, back), return_when=asyncio.FIRST_COMPLETED)
            finally:  # whoever ends, ends both: half a connection is none
                forth.cancel()
                back.cancel()
                to_server.close()
                writer.close()
        except (ConnectionError, asyncio.CancelledError):
            writer.close()
        finally:
            self._relays.discard(relay)

    async def _pass_on(self, way: Way, chunks: AsyncIterator[bytes], to: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            async for message in chunks:
                if way is Way.BACK and message[:1] == b"K":
                    self.backend = int.from_bytes(message[5:9])
                self.seen[way] += 1
                here = self._point is not None and (way, self.seen[way]) == (self._point.way, self._point.number)
                late = here and self._point is not None and self._point.passed_on
                if here and not late and not await self._fire():
                    return
                to.write(message)
                await to.drain()
                if late and not await self._fire():
                    return

    async def _fire(self) -> bool:
        fault, self._point = self._fault, None
        self.fired = True
        return fault is not None and await fault()


async def messages(stream: asyncio.StreamReader, untyped: int = 0) -> AsyncIterator[bytes]:
    """Each message whole: a byte of type (which a client's first one has not), four of length, the rest."""
    while True:
        kind = b"" if untyped else await stream.readexactly(1)
        untyped = max(0, untyped - 1)
        length = await stream.readexactly(4)
        yield kind + length + await stream.readexactly(int.from_bytes(length) - 4)
