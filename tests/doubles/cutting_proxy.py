"""A TCP proxy before Postgres that can swallow the reply to a COMMIT: it happened, and nobody was told."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit


class CuttingProxy:
    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()
        self.cuts_left = 0
        """COMMITs whose replies are still to be swallowed."""
        self.cut = 0
        self.stalled = asyncio.Event()
        """While set, connections that exist pass nothing on, and say nothing."""
        self.refusing = False
        """New connections are closed at once."""

    @property
    def url(self) -> str:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        user = f"{self._parts.username}:{self._parts.password}"
        return urlunsplit(self._parts._replace(netloc=f"{user}@127.0.0.1:{port}", query="sslmode=disable"))

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for relay in list(self._relays):
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.close()
            return
        relay = asyncio.ensure_future(self._relay(reader, writer))
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)
        with contextlib.suppress(asyncio.CancelledError):
            await relay

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, to_upstream = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        swallowing = asyncio.Event()
        down = asyncio.create_task(self._down(upstream, writer, swallowing))
        try:
            while data := await reader.read(65_536):
                if self.stalled.is_set():
                    await asyncio.Event().wait()
                if b"COMMIT" in data and self.cuts_left:
                    self.cuts_left -= 1
                    swallowing.set()
                to_upstream.write(data)
                await to_upstream.drain()
        except ConnectionError:
            pass
        finally:
            down.cancel()
            to_upstream.close()
            writer.close()

    async def _down(
        self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter, swallowing: asyncio.Event
    ) -> None:
        while data := await upstream.read(65_536):
            if swallowing.is_set():  # the server has answered: it is committed
                self.cut += 1
                writer.transport.abort()
                return
            writer.write(data)
            await writer.drain()
