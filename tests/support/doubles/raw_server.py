"""A server of bytes: a test says what each connection reads and writes, well or badly."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Script = Callable[["Visit"], Awaitable[None]]


@dataclass(slots=True)
class Visit:
    """One connection."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    requests: list[bytes]
    """Of all connections, in the order of their arrival."""
    arrived: asyncio.Semaphore

    async def request(self) -> bytes:
        """The next request, head and body."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
        raw = head + await self.reader.readexactly(int(fields.get(b"Content-Length", b"0")))
        self.requests.append(raw)
        self.arrived.release()
        return raw

    async def write(self, *parts: bytes, pause: float = 0.0) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(pause)


@dataclass(slots=True)
class RawServer:
    port: int = 0
    visits: int = 0
    open_now: int = 0
    max_concurrent: int = 0
    requests: list[bytes] = field(default_factory=list)
    arrived: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    """Taken once for each request that has been read."""
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client closed a connection while its script ran."""

    def url(self, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}/v1/chat/completions"


@asynccontextmanager
async def serving(
    script: Script, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    server = RawServer()

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.visits += 1
        server.open_now += 1
        server.max_concurrent = max(server.max_concurrent, server.open_now)
        try:
            await script(Visit(server.visits, reader, writer, server.requests, server.arrived))
        except (OSError, asyncio.IncompleteReadError):
            server.closed.set()
        finally:
            server.open_now -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    listening = await asyncio.start_server(visit, host, 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def answer(body: bytes, *fields: str, status: str = "200 OK", length: bool = True) -> bytes:
    lines = [f"HTTP/1.1 {status}", *fields, *([f"Content-Length: {len(body)}"] if length else [])]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunked(*parts: bytes, fields: tuple[str, ...] = ()) -> bytes:
    pieces = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return answer(b"", "Transfer-Encoding: chunked", *fields, length=False) + pieces + b"0\r\n\r\n"
