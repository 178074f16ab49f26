"""Applications behind uvicorn with our protocol, and a client that speaks to them byte by byte."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httptools
import orjson
import uvicorn
from starlette.types import Receive, Scope, Send

from api.direct import DirectExchange, Handler
from api.errors import openai_error
from api.exchange import Headers
from api.http_protocol import Http1Protocol
from api.wire.base import ErrorAnswer
from dev import ports
from tests.support.stack import eventually

JSON = b'{"a": "body"}'


class Impatient(Http1Protocol):
    """Cuts who is slow, after a time that a busy machine also takes: only for tests of that."""

    max_head_seconds = 0.3
    max_drain_seconds = 0.3


class App:
    """Answers what it heard; `/early` before it has read anything, `/slow` late, `/stream` until its client leaves."""

    patience = 1.0
    """Seconds after which a stream ends whose client stays."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        if scope["path"] != "/early":
            while True:
                message = await receive()
                body += message["body"]
                if not message["more_body"]:
                    break
        if scope["path"] == "/stream":
            await self._stream(scope, receive, send)
            return
        await asyncio.sleep(0.5 if scope["path"] == "/slow" else 0)
        if scope["path"] == "/headers":
            body = b", ".join(name for name, _ in scope["headers"])
        answer = orjson.dumps({"method": scope["method"], "path": scope["path"], "body": body.decode()})
        length = (b"content-length", str(len(answer)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": answer})

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["event_stream"] = True
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.patience):
                await receive()
                self.left.set()
                return
        await send({"type": "http.response.body", "body": b"data: 2\n\n", "more_body": False})


class DirectApp(App):
    """The same without ASGI. `/much` writes until its client is behind, and ends when it has caught up."""

    def __init__(self) -> None:
        super().__init__()
        self.behind = asyncio.Event()
        self.caught_up = asyncio.Event()

    def direct(self, scope: Scope) -> Handler | None:
        return None if scope["path"] in ("/asgi", "/headers") else self._direct

    def error_response(self, target: bytes, headers: Headers, error: ErrorAnswer) -> tuple[Headers, bytes]:
        return [(b"x-target", target[:100])], openai_error(error, "")

    async def _direct(self, exchange: DirectExchange) -> None:
        path, body = exchange.scope["path"], b""
        exchange.more_headers = lambda: [(b"x-direct", b"yes")]
        while path != "/early":
            message = await exchange.receive()
            body += message["body"]
            if not message["more_body"]:
                break
        if path in {"/stream", "/much"}:
            exchange.listen(self)
            exchange.begin([(b"content-type", b"text/event-stream")])
            await (self._direct_stream(exchange) if path == "/stream" else self._much(exchange))
            return
        if path == "/broken":
            raise RuntimeError
        if path == "/split":
            await exchange.reply(200, [(b"x-of-client", b"a\r\nset-cookie: b")], b"")
        await asyncio.sleep(0.5 if path == "/slow" else 0)
        answer = orjson.dumps({"method": exchange.scope["method"], "path": path, "body": body.decode()})
        await exchange.reply(200, [], answer)

    async def _direct_stream(self, exchange: DirectExchange) -> None:
        exchange.write(b"data: 1\n\n")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.patience):
                await self.left.wait()
                return
        exchange.write(b"data: 2\n\n")
        await exchange.end()

    async def _much(self, exchange: DirectExchange) -> None:
        while exchange.write(b"x" * 65536):
            pass
        assert exchange.unsent() > 0
        self.behind.set()
        await self.caught_up.wait()
        await exchange.end()

    def gone(self) -> None:
        self.left.set()
        self.caught_up.set()

    def writable(self) -> None:
        self.caught_up.set()


class Server:
    def __init__(self, app: App, port: int) -> None:
        self.app = app
        self._port = port

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def exchange(self, request: bytes, *, answers: int | None = 1, half_closed: bool = False) -> bytes:
        """All that comes back until so many answers are whole, or the server closes. With None, only then."""
        whole, answer = _Whole(), b""
        parser = httptools.HttpResponseParser(whole)
        async with asyncio.timeout(60), self.connected() as (reader, writer):
            writer.write(request)
            if half_closed:
                writer.write_eof()
            with contextlib.suppress(ConnectionResetError):
                while whole.answers != answers and (part := await reader.read(65536)):
                    answer += part
                    if answers is not None:
                        parser.feed_data(part)
            return answer


class _Whole:
    """Counts answers that have ended."""

    answers = 0

    def on_message_complete(self) -> None:
        self.answers += 1


@contextlib.asynccontextmanager
async def served(app: App, protocol: type[Http1Protocol] = Http1Protocol) -> AsyncIterator[Server]:
    port = ports.free()
    config = uvicorn.Config(
        app, port=port, http=protocol, ws="none", lifespan="off", log_config=None, proxy_headers=False
    )
    serving = uvicorn.Server(config)
    task = asyncio.create_task(serving.serve())

    async def started() -> bool:
        return serving.started

    assert await eventually(started)
    yield Server(app, port)
    serving.should_exit = True
    await task


def post(path: str, body: bytes = JSON, headers: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (path.encode(), headers, len(body), body)


def headers_of(answer: bytes) -> dict[str, str]:
    """The body of the last answer."""
    assert b"HTTP/1.1 200" in answer, answer
    body: dict[str, str] = orjson.loads(answer.rpartition(b"\r\n\r\n")[2])
    return body
