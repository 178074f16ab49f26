"""HTTP to URLs that callers gave: to public addresses alone, without redirects, proxies, cookies or kept connections.

An answer is bounded in time and size. Nothing of it is in an error.
"""

import asyncio
import ssl
from collections.abc import Collection, Iterable, Mapping
from contextlib import aclosing
from dataclasses import field
from datetime import timedelta
from typing import Self

import httpcore2

from domain.records import record
from domain.webhooks import Answer
from outbound.addresses import Network
from outbound.errors import FileUnusable, RequestFailed, Trouble, UrlRefused
from outbound.network import GuardedNetwork, Resolver, SystemResolver
from outbound.urls import Target, target

CONNECT = timedelta(seconds=5)
TOTAL = timedelta(seconds=15)
MAX_ANSWER = 16 * 1024
"""So many bytes of an answer to a webhook are read, and dropped."""
ANSWER_TIMEOUT = timedelta(seconds=2)
"""How long they are read for, after the status: a receiver whose connection breaks may undo what it did."""
_UNTYPED = ("application/octet-stream", "binary/octet-stream")


@record
class Posted:
    """The answer of a receiver, without its body."""

    status: int
    latency: timedelta
    """Until the head of the answer."""
    retry_after: str | None = field(default=None, repr=False)


@record
class Fetched:
    content: bytes = field(repr=False)
    content_type: str = field(repr=False)
    """What the host says, in lower case and without parameters; empty if it says nothing. The bytes may differ."""


class OutboundClient:
    def __init__(
        self,
        *,
        loopback: bool = False,
        denied: Iterable[Network] = (),
        resolve: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """With `loopback`, for development, URLs and names of this machine pass."""
        self._loopback, self._denied = loopback, tuple(denied)
        self._names = None if resolve else SystemResolver()
        self._network = GuardedNetwork(resolve or self._names or SystemResolver(), loopback=loopback, denied=denied)
        self._tls = tls

    async def __aenter__(self) -> Self:
        self._tls = self._tls or ssl.create_default_context()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._names:
            self._names.close()

    def check(self, url: str) -> None:
        """Raise `UrlRefused` for a URL that can be refused by its text. The control is where it connects."""
        target(url, loopback=self._loopback, denied=self._denied)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, *, total: timedelta = TOTAL) -> Posted:
        """Send `body`. Raises `UrlRefused` before anything was sent, and `RequestFailed` if nobody answered in time."""
        to = target(url, loopback=self._loopback, denied=self._denied)
        began = asyncio.get_running_loop().time()
        sent = {**headers, "content-length": str(len(body))}
        try:
            async with asyncio.timeout(total.total_seconds()) as deadline, self._connection(to) as connection:
                answer = await connection.handle_async_request(_request("POST", to, sent, body))
                latency = timedelta(seconds=asyncio.get_running_loop().time() - began)
                deadline.reschedule(None)
                posted = Posted(answer.status, latency, _header(answer, b"retry-after"))
                await _drop(answer)
                return posted
        except TimeoutError:
            raise RequestFailed(Trouble.TIMEOUT) from None
        except _FAULTS as error:
            raise RequestFailed(_fault_of(error)) from None

    async def deliver(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a webhook once. A receiver can bring about no error; `Answer.trouble` says why there is no status."""
        try:
            posted = await self.post(url, headers, body)
        except UrlRefused:
            return Answer(trouble=Trouble.UNREACHABLE)
        except RequestFailed as failed:
            return Answer(trouble=failed.trouble)
        return Answer(posted.status, None, posted.latency, posted.retry_after)

    async def fetch(
        self,
        url: str,
        *,
        max_bytes: int,
        timeout: timedelta,  # noqa: ASYNC109  # of the whole, and its error says which part it was
        types: Collection[str],
    ) -> Fetched:
        """Return the file behind a URL: at most `max_bytes`, of one of the media types.

        A host that names no type passes: judge the bytes. Raises `UrlRefused` if nobody can be reached there, and
        `FileUnusable` if what is there cannot be used.
        """
        to = target(url, loopback=self._loopback, denied=self._denied)
        headers = {"accept": ", ".join(types), "user-agent": "yout"}
        answered = False
        try:
            async with asyncio.timeout(timeout.total_seconds()), self._connection(to) as connection:
                answer = await connection.handle_async_request(_request("GET", to, headers))
                answered = True
                return await _read(answer, max_bytes, types)
        except (TimeoutError, *_FAULTS):
            raise (FileUnusable if answered else UrlRefused) from None

    def _connection(self, to: Target) -> httpcore2.AsyncHTTPConnection:
        origin = httpcore2.Origin(to.scheme.encode(), to.host.encode(), to.port)
        return httpcore2.AsyncHTTPConnection(
            origin, ssl_context=self._tls, keepalive_expiry=0, network_backend=self._network
        )


_FAULTS = (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, OSError)


def _request(method: str, to: Target, headers: Mapping[str, str], body: bytes | None = None) -> httpcore2.Request:
    own = {"host": to.authority, "connection": "close", "accept-encoding": "identity", **headers}
    seconds = CONNECT.total_seconds()
    return httpcore2.Request(
        method,
        httpcore2.URL(scheme=to.scheme.encode(), host=to.host.encode(), port=to.port, target=to.path),
        headers=list(own.items()),
        content=body,
        extensions={"timeout": {"connect": seconds, "pool": seconds}},
    )


def _fault_of(error: Exception) -> Trouble:
    if isinstance(error.__cause__ or error.__context__, ssl.SSLError):
        return Trouble.TLS
    if isinstance(error, httpcore2.ConnectTimeout | httpcore2.ConnectError):
        return Trouble.UNREACHABLE
    if isinstance(error, httpcore2.TimeoutException):
        return Trouble.TIMEOUT
    return Trouble.BROKEN


def _header(answer: httpcore2.Response, name: bytes) -> str | None:
    for key, value in answer.headers:
        if key.lower() == name:
            return value.decode("latin-1")[:200].strip()
    return None


async def _drop(answer: httpcore2.Response) -> None:
    """Read a bounded part of the body. What it is, and how it ends, changes nothing: the status is known."""
    left = MAX_ANSWER
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT.total_seconds()), aclosing(answer.aiter_stream()) as chunks:
            async for chunk in chunks:
                left -= len(chunk)
                if left <= 0:
                    return
    except (TimeoutError, *_FAULTS):
        return


async def _read(answer: httpcore2.Response, max_bytes: int, types: Collection[str]) -> Fetched:
    content_type = (_header(answer, b"content-type") or "").partition(";")[0].strip().lower()
    if answer.status != 200 or (_header(answer, b"content-encoding") or "identity").lower() != "identity":
        raise FileUnusable
    if content_type and content_type not in (*types, *_UNTYPED):
        raise FileUnusable
    content = bytearray()
    async with aclosing(answer.aiter_stream()) as chunks:
        async for chunk in chunks:
            content += chunk
            if len(content) > max_bytes:
                raise FileUnusable
    return Fetched(bytes(content), content_type)
