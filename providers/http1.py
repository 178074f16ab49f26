"""The transport of every adapter: HTTP/1.1, a pool of connections for each origin, timeouts and bounds.

It follows no redirect and uses no proxy of the environment. It fails with `UpstreamError` or `UpstreamTimeout`, which
contain no text and no address of the provider.
"""

import asyncio
import ssl
import time
from collections.abc import Hashable
from contextvars import Context
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urlsplit

from domain.errors import GatewayError, UpstreamError, UpstreamTimeout
from providers.base import Headers, Sink, Timeouts, UpstreamCall, UpstreamRequest
from providers.http1_connection import Connection
from providers.waiting_calls import WaitingCalls

KEEP_IDLE_SECONDS = 30.0
"""A connection that was idle for this long is closed."""
_ADDED = ("host", "content-length", "user-agent", "accept-encoding", "connection", "transfer-encoding")


@dataclass(frozen=True, slots=True)
class Origin:
    tls: bool
    host: str
    port: int


@lru_cache(maxsize=1024)
def _split(url: str) -> tuple[Origin, str, str]:
    """Return the origin, the request target and the `Host` header. Raises ValueError for an invalid URL."""
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("no URL of a provider")
    host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
    port = parts.port or (443 if tls else 80)
    shown = f"[{host}]" if ":" in host else host
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (f"?{parts.query}" if parts.query else "")
    return Origin(tls, host, port), target, shown if port == (443 if tls else 80) else f"{shown}:{port}"


@lru_cache(maxsize=256)
def _head(method: str, target: str, host: str, headers: tuple[tuple[str, str], ...]) -> bytes:
    """Write the head but for the length, which makes it cacheable. Raises ValueError for a header with a line end."""
    lines = [
        f"{method} {target} HTTP/1.1",
        f"Host: {host}",
        "User-Agent: yout",
        "Accept-Encoding: identity",
        *[f"{name}: {value}" for name, value in headers if name.lower() not in _ADDED],
    ]
    written = "\r\n".join(lines)
    if written.count("\n") != len(lines) - 1 or written.count("\r") != len(lines) - 1 or "\0" in written:
        raise ValueError("a header with a line end")
    return written.encode("latin-1") + b"\r\n"


class Http1Transport:
    """Implements `providers.base.Transport`. Belongs to one event loop."""

    def __init__(self, max_connections: int, *, tls: ssl.SSLContext | None = None) -> None:
        """`max_connections` is the limit for each origin; more calls wait. `tls` replaces the default TLS context."""
        self._max = max_connections
        self._tls = tls
        self._pools: dict[Origin, _Pool] = {}

    def open(self, request: UpstreamRequest, timeouts: Timeouts, sink: Sink, owner: Hashable = None) -> UpstreamCall:
        exchange = HttpExchange(timeouts, sink, owner)
        try:
            origin, target, host = _split(request.url)
            head = _head(request.method, target, host, tuple(request.headers.items()))
            exchange.prepare(b"%bContent-Length: %d\r\n\r\n" % (head, len(request.body)), request.body)
        except (ValueError, UnicodeError):
            exchange.refuse(UpstreamError())
            return exchange
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = _Pool(origin, self._max, self._context(origin))
        exchange.start(pool)
        return exchange

    async def close(self) -> None:
        """Close every connection. Calls under way fail with `UpstreamError`."""
        for pool in self._pools.values():
            pool.close()
        await asyncio.sleep(0)

    def _context(self, origin: Origin) -> ssl.SSLContext | None:
        if not origin.tls:
            return None
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


class _Pool:
    """The connections of one origin. Implements `http1_connection.Owner`."""

    def __init__(self, origin: Origin, max_connections: int, tls: ssl.SSLContext | None) -> None:
        self._origin = origin
        self._max = max_connections
        self._tls = tls
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._waiting: WaitingCalls[HttpExchange] = WaitingCalls()
        self._sweep: asyncio.TimerHandle | None = None

    def acquire(self, exchange: "HttpExchange", *, fresh: bool = False) -> None:
        """Give the exchange an idle connection, a new one, or the next that is free. `fresh` skips idle ones."""
        while self._idle and not fresh:
            connection = self._idle.pop()
            if connection.usable and time.monotonic() - connection.idle_since < KEEP_IDLE_SECONDS:
                exchange.run_on(connection)
                return
            connection.abort()
        if self._has_room():
            # Later calls on this connection are other requests: nothing of this one's context stays with it.
            task = asyncio.get_running_loop().create_task(self._connect(exchange), context=Context())
            self._connecting.add(task)
            exchange.connecting = task
            task.add_done_callback(self._connected)
        elif fresh:  # before all others, on the next connection
            self._waiting.add_first(exchange)
            if self._idle:
                self._idle.pop(0).abort()
        else:
            self._waiting.add(exchange)

    def idle(self, connection: Connection) -> None:
        if exchange := self._waiting.take():
            exchange.run_on(connection)
            return
        connection.idle_since = time.monotonic()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(KEEP_IDLE_SECONDS, self._close_idle)

    def gone(self, connection: Connection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._next()

    def close(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        for exchange in self._waiting:
            exchange.refuse(UpstreamError())
        for task in self._connecting:
            task.cancel()
        for connection in list(self._all):
            connection.abort_and_tell()

    def _has_room(self) -> bool:
        return len(self._all) + len(self._connecting) < self._max

    def _next(self) -> None:
        """Open connections for waiting calls while there is room."""
        while self._has_room() and (exchange := self._waiting.take()):
            self.acquire(exchange)

    def _connected(self, task: asyncio.Task[None]) -> None:
        self._connecting.discard(task)
        self._next()

    async def _connect(self, exchange: "HttpExchange") -> None:
        loop = asyncio.get_running_loop()
        host = self._origin.host if self._tls else None
        try:
            async with asyncio.timeout(exchange.timeouts.connect.total_seconds()):
                _, connection = await loop.create_connection(
                    lambda: Connection(self), self._origin.host, self._origin.port, ssl=self._tls, server_hostname=host
                )
        except TimeoutError:
            exchange.fail(UpstreamTimeout())
        except (OSError, ValueError):  # refused, unknown host, or an invalid certificate
            error = UpstreamError()
            error.unreached = True
            exchange.fail(error)
        except asyncio.CancelledError:
            exchange.fail(UpstreamError())
        else:
            self._take(connection, exchange)

    def _take(self, connection: Connection, exchange: "HttpExchange") -> None:
        if not connection.usable:
            exchange.fail(UpstreamError())
            return
        self._all.add(connection)
        if exchange.over:
            self.idle(connection)
        else:
            exchange.run_on(connection)

    def _close_idle(self) -> None:
        self._sweep = None
        limit = time.monotonic() - KEEP_IDLE_SECONDS
        for connection in [each for each in self._idle if each.idle_since <= limit]:
            self._idle.remove(connection)
            connection.abort()
        if self._idle:
            self._sweep = asyncio.get_running_loop().call_later(KEEP_IDLE_SECONDS / 2, self._close_idle)


class HttpExchange:
    """One call. Implements `providers.base.UpstreamCall`, and `http1_connection.Answering` towards its connection."""

    def __init__(self, timeouts: Timeouts, sink: Sink, owner: Hashable = None) -> None:
        self.owner = owner
        self.timeouts = timeouts
        self.over = False
        self.connecting: asyncio.Task[None] | None = None
        self._sink = sink
        self.data = sink.data
        self._head = self._body = b""
        self._pool: _Pool | None = None
        self._connection: Connection | None = None
        self._retried = False
        self._paused = False
        self._loop = asyncio.get_running_loop()
        self._end_at = self._loop.time() + timeouts.total.total_seconds()
        self._due = self._end_at
        """When the current timeout ends. Each part that is received moves it; the timer only checks it."""
        self._timer: asyncio.TimerHandle | None = None
        self._idle_seconds = timeouts.idle.total_seconds()

    def prepare(self, head: bytes, body: bytes) -> None:
        self._head, self._body = head, body

    def start(self, pool: _Pool) -> None:
        self._pool = pool
        self._timer = self._loop.call_at(self._end_at, self._look)
        pool.acquire(self)

    def refuse(self, error: GatewayError) -> None:
        """Fail in the next iteration of the loop: the caller of `open` does not have the exchange yet."""
        self._loop.call_soon(self.fail, error)

    def run_on(self, connection: Connection) -> None:
        self.connecting = None
        self._connection = connection
        if self._paused:
            connection.pause()
        connection.start(self, self._head, self._body)

    def fail(self, error: GatewayError) -> None:
        if not self.over:
            self._finish()
            self._sink.fail(error)

    # UpstreamCall.

    def pause(self) -> None:
        self._paused = True
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        self._paused = False
        self._due = self._loop.time() + self._idle_seconds
        if self._connection is not None:
            self._connection.resume()

    def close(self) -> None:
        if not self.over:
            self._finish()

    # Answering.

    def written(self) -> None:
        self._wait(self.timeouts.first_byte.total_seconds())

    def received(self) -> None:
        self._due = self._loop.time() + self._idle_seconds

    def head(self, status: int, headers: Headers) -> None:
        self._head = self._body = b""  # it is not sent again, and the answer may take minutes
        self._wait(self._idle_seconds)
        self._sink.head(status, headers)

    def complete(self) -> None:
        if not self.over:
            self._connection = None
            self._finish()
            self._sink.end()

    def lost(self, *, stale: bool) -> None:
        self._connection = None
        if stale and not self._retried and not self.over and self._pool is not None:
            self._retried = True
            self._due = self._end_at
            self._pool.acquire(self, fresh=True)
        else:
            self.fail(UpstreamError())

    def _finish(self) -> None:
        """End the exchange: stop the timer, and close a connection that still carries it."""
        self.over = True
        self._head = self._body = b""
        if self._timer is not None:
            self._timer.cancel()
        if self.connecting is not None:
            self.connecting.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    def _wait(self, seconds: float) -> None:
        """Set the timeout for the next part."""
        self._due = min(self._loop.time() + seconds, self._end_at)
        if self._timer is not None and self._due < self._timer.when():
            self._timer.cancel()
            self._timer = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        if self._paused:
            self._due = now + self._idle_seconds
        due = min(self._due, self._end_at)
        if now < due:
            self._timer = self._loop.call_at(due, self._look)
        else:
            self.fail(UpstreamTimeout())
