"""A TCP proxy before Postgres that can swallow the reply to a COMMIT: it happened, and nobody was told."""

import asyncio
import contextlib

from tests.support.doubles.postgres_proxy import PostgresProxy


def _commits(data: bytes) -> bool:
    """A statement of that name is run, or one that says so; not where it is prepared."""
    return b"\0commit\0" in data or (b"COMMIT" in data and b"commit\0COMMIT" not in data)


class CuttingProxy(PostgresProxy):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.cuts_left = 0
        """COMMITs whose replies are still to be swallowed."""
        self.spared = 0
        """COMMITs before them that are answered."""
        self.last_cut_is_final = False
        """Whether new connections are refused from the last swallowed reply on."""
        self.cut = 0
        self.stalled = asyncio.Event()
        """While set, connections that exist pass nothing on, and say nothing."""
        self.refusing = False
        """New connections are closed at once."""

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
                if _commits(data) and self.spared:
                    self.spared -= 1
                elif _commits(data) and self.cuts_left:
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
                self.refusing = self.refusing or (self.last_cut_is_final and not self.cuts_left)
                writer.transport.abort()
                return
            writer.write(data)
            await writer.drain()
