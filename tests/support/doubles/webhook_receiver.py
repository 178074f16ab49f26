"""A receiver of webhooks, a real HTTP server on loopback: keeps what it gets, and misbehaves by the path."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

HUGE = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers `/<status>` with it; `/slow`, `/endless`, `/huge`, `/reset`, `/garbage`, `/moved` as they say."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    answers: dict[str, list[int]] = field(default_factory=dict)
    """Statuses by path, one after the other; the last one stays."""
    retry_after: str | None = None
    written: int = 0
    """Bytes of `/huge` that went out."""
    active: dict[str, int] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    """Ends what `/slow` and `/endless` wait for."""

    def url(self, path: str = "/200", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def at(self, path: str) -> list[Received]:
        return [one for one in self.received if one.path == path]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        self.received.append(Received(path, dict(request.headers), await request.read()))
        self.active[path] = self.active.get(path, 0) + 1
        self.peaks[path] = max(self.peaks.get(path, 0), self.active[path])
        try:
            return await self._answer(request)
        finally:
            self.active[path] -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path in ("/slow", "/endless"):
            return await self._waiting(request)
        if path == "/huge":
            return await self._huge(request)
        if path in ("/reset", "/garbage"):
            return await self._broken(request)
        if path == "/moved":
            return web.Response(status=301, headers={"location": self.url("/200")})
        statuses = self.answers.get(path)
        status = (statuses.pop(0) if len(statuses) > 1 else statuses[0]) if statuses else int(path.split("/")[1] or 200)
        headers = {"retry-after": self.retry_after} if self.retry_after else {}
        return web.Response(status=status, text="the answer's body", headers=headers)

    async def _waiting(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/endless":
            answer = web.StreamResponse()
            await answer.prepare(request)
            await answer.write(b"x")
            await self.released.wait()
            return answer
        await self.released.wait()
        return web.Response()

    async def _huge(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while self.written < HUGE:
            await answer.write(b"x" * 65536)
            self.written += 65536
        return answer

    async def _broken(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        if request.path == "/garbage":
            request.transport.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
        request.transport.close()
        return web.Response()


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application(client_max_size=2**20)
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        receiver.released.set()
        await runner.cleanup()
