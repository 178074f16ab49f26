"""HTTP for the adapters of media providers: who gets the key, where a download may come from, and what an answer means.

An adapter makes one `MediaHttp`. What it raises is an error of `MediaProvider`, without any text of the vendor.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import field
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx2
import structlog

from domain.catalog import Provider
from domain.errors import (
    AdapterFault,
    GatewayError,
    UpstreamBusy,
    UpstreamError,
    UpstreamGone,
    UpstreamRefused,
    UpstreamTimeout,
)
from domain.records import record
from providers import upstream_json
from providers.base import Headers
from providers.openai.errors import retry_after

log = structlog.get_logger(__name__)

MAX_JSON_BYTES = 64 << 20
"""Images come as base64."""
MAX_ERROR_BYTES = 64 << 10
LARGE_JSON_BYTES = 1 << 18
"""From so many bytes on, JSON is read in a thread: a worker's loop also sends heartbeats."""
MAX_REDIRECTS = 5
ACCOUNT_PAUSE = timedelta(minutes=1)
"""Until a submission that our key or our account there does not allow is tried again: the operator may mend it."""

_UNAVAILABLE = (503, 529)
_ENVELOPES = frozenset({"error", "detail"})

Explain = Callable[[int, Headers, bytes], GatewayError | None]
"""What an error's status, headers and body mean at one vendor. None: what the status means anywhere."""
Credentials = Callable[[], Awaitable[Mapping[str, str]]]
"""The headers with our key. They go to the provider's own origin alone."""


@record
class MediaTimeouts:
    connect: timedelta = timedelta(seconds=10)
    answer: timedelta = timedelta(seconds=60)
    """From the request to the head of the answer. See `HttpRequest.timeout`."""
    idle: timedelta = timedelta(seconds=30)
    """Between two parts of a body, and between two of a request."""
    total: timedelta = timedelta(minutes=9)
    """Of one body. Shorter than the step that reads it."""


@record
class HttpRequest:
    url: str = field(repr=False)
    method: str = "POST"
    json: Any = field(default=None, repr=False)
    data: Mapping[str, Any] | None = field(default=None, repr=False)
    """The fields of a form. With `files` it is a multipart form."""
    files: Sequence[tuple[str, tuple[str, bytes, str]]] = field(default=(), repr=False)
    """Name of the field, then name, content and type of the file."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: timedelta | None = None
    """In place of `MediaTimeouts.answer`, where the vendor works before it answers."""
    answers: bool = False
    """The vendor does nothing after its answer: when it says itself that it is unavailable, it has made nothing."""
    require: Callable[[], None] | None = None
    """Called once there is a connection, right before the request leaves. If it raises, nothing is sent."""
    of_work: bool = False
    """It is about work that was accepted, as all that is not POST is."""

    @property
    def orders(self) -> bool:
        """Whether it brings the caller's input, which the vendor may refuse."""
        return self.method == "POST" and not self.of_work


@record
class JsonAnswer:
    status: int
    headers: Headers = field(repr=False)
    value: Any = field(repr=False)


@record
class Download:
    """An answer with status 200 whose body is still to be read, once. Not reading it keeps its connection."""

    headers: Headers = field(repr=False)
    chunks: AsyncIterator[bytes] = field(repr=False)

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@record
class HttpRules:
    """What differs from vendor to vendor."""

    credentials: Credentials = field(repr=False)
    hosts: tuple[str, ...] = field(default=(), repr=False)
    """Where else its files are: a host, or `*.host` for all below it. HTTPS only, and never with our key."""
    explain: Explain | None = None
    timeouts: MediaTimeouts = field(default_factory=MediaTimeouts)


def key_in(header: str, provider: Provider, prefix: str = "") -> Credentials:
    """Return the credentials of a provider whose key is a header."""
    key = "" if provider.api_key is None else provider.api_key.get_secret_value()
    headers = {header: f"{prefix}{key}"} if key else {}

    async def credentials() -> Mapping[str, str]:
        return headers

    return credentials


def media_client() -> httpx2.AsyncClient:
    """The one client of a process: no proxy, no cookies, no redirects of its own."""
    return httpx2.AsyncClient(
        verify=ssl.create_default_context(),
        trust_env=False,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        headers={"user-agent": "yout", "accept": "*/*", "accept-encoding": "identity"},
        # A connection that rests for long may be closed by its server just when a job is sent: that is a doubt.
        limits=httpx2.Limits(max_connections=200, keepalive_expiry=3.0),
    )


class MediaHttp:
    def __init__(self, client: httpx2.AsyncClient, provider: Provider, rules: HttpRules) -> None:
        self._client, self._provider, self._rules = client, provider, rules
        self._origin = httpx2.URL(provider.base_url).origin

    async def json(self, request: HttpRequest, *, max_bytes: int = MAX_JSON_BYTES) -> JsonAnswer:
        """Send, and read the answer's JSON. Raises for a status of an error, and `AdapterFault` for another body."""
        async with aclosing(await self._opened(request)) as response:
            body = await self._read(response, max_bytes)
        try:
            if len(body) > LARGE_JSON_BYTES:
                value = await asyncio.to_thread(upstream_json.read_whole, body)
            else:
                value = upstream_json.read_whole(body)
        except UpstreamError:
            raise AdapterFault from None
        return JsonAnswer(response.status_code, response.headers, value)

    async def open(self, request: HttpRequest) -> Download:
        """Send, and return the answer as soon as its head is here. Raises for a status of an error."""
        response = await self._opened(request)
        return Download(response.headers, self._chunks(response))

    async def download(self, url: str) -> Download:
        """Open a file, at the provider's own origin or at an allowed host. Follows redirects to these."""
        return await self.open(HttpRequest(url, "GET"))

    async def _opened(self, request: HttpRequest) -> httpx2.Response:
        url = self._url(request.url)
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._sent(request, url)
            if not response.has_redirect_location:
                if response.is_success:
                    return response
                raise await self._failure(request, response, own=self._is_own(url))
            await response.aclose()
            if request.method != "GET":
                break  # whether it was accepted is not known
            url = self._url(str(url.join(response.headers["location"])))
        raise UpstreamError

    def _url(self, text: str) -> httpx2.URL:
        """Read a URL. Raises `UpstreamError` for one where nothing of ours has anything to do."""
        try:
            url = httpx2.URL(text)
            usable = self._is_own(url) or self._is_allowed(url)
        except (httpx2.InvalidURL, ValueError, TypeError):
            raise _unsent(UpstreamError()) from None
        if not usable:
            log.warning("a media provider names a host that its adapter does not allow", provider=self._provider.name)
            error = _unsent(UpstreamError())
            error.retryable = False
            raise error
        return url

    def _is_own(self, url: httpx2.URL) -> bool:
        return url.origin == self._origin and not url.userinfo

    def _is_allowed(self, url: httpx2.URL) -> bool:
        if url.scheme != "https" or url.port not in (None, 443) or url.userinfo:
            return False
        host = url.host.rstrip(".")
        return any(host.endswith(name[1:]) if name.startswith("*.") else host == name for name in self._rules.hosts)

    async def _sent(self, request: HttpRequest, url: httpx2.URL) -> httpx2.Response:
        """Send to one URL and return the head of the answer."""
        times = self._rules.timeouts
        headers = dict(request.headers)
        if self._is_own(url):
            headers |= {name: value.get_secret_value() for name, value in self._provider.headers.items()}
            headers |= await self._rules.credentials()
        idle = times.idle.total_seconds()
        timeout = httpx2.Timeout(idle, connect=times.connect.total_seconds(), read=None)
        prepared = self._client.build_request(
            request.method,
            url,
            headers=headers,
            content=None if request.json is None else upstream_json.written(request.json),
            data=request.data,
            files=list(request.files) or None,
            timeout=timeout,
            extensions={} if request.require is None else {"trace": _before_sent(request.require)},
        )
        if request.json is not None:
            prepared.headers["content-type"] = "application/json"
        try:
            async with asyncio.timeout((request.timeout or times.answer).total_seconds()):
                return await self._client.send(prepared, stream=True)
        except (httpx2.HTTPError, TimeoutError) as error:
            raise _of_transport(error) from None

    async def _read(self, response: httpx2.Response, max_bytes: int) -> bytes:
        parts, size = list[bytes](), 0
        async with aclosing(self._chunks(response)) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                if size > max_bytes:
                    raise AdapterFault
                parts.append(chunk)
        return b"".join(parts)

    async def _chunks(self, response: httpx2.Response) -> AsyncGenerator[bytes, None]:
        """Yield the body. Raises when nothing comes for long, when it takes too long, and when it is cut off."""
        times = self._rules.timeouts
        clock = asyncio.get_running_loop().time
        end = clock() + times.total.total_seconds()
        try:
            async with aclosing(response.aiter_bytes()) as body:
                while True:
                    async with asyncio.timeout_at(min(end, clock() + times.idle.total_seconds())):
                        chunk = await anext(body, None)
                    if chunk is None:
                        return
                    yield chunk
        except (httpx2.HTTPError, TimeoutError) as error:
            raise _of_transport(error) from None
        finally:
            await response.aclose()

    async def _failure(self, request: HttpRequest, response: httpx2.Response, *, own: bool) -> GatewayError:
        """Return what an error's status means. Its body is read for the adapter's `explain`, and dropped."""
        status, headers = response.status_code, response.headers
        try:
            body = await self._read(response, MAX_ERROR_BYTES)
        except UpstreamError:
            body = b""
        explained = self._rules.explain(status, headers, body) if own and self._rules.explain else None
        error = explained or of_status(status, headers, own=own, orders=request.orders)
        if isinstance(error, UpstreamBusy) and _leaves_doubt(request, status, body):
            error = UpstreamError(retry_after=error.retry_after)
        if isinstance(error, UpstreamError):
            error.status = status
        return error


def _before_sent(require: Callable[[], None]) -> Callable[[str, Any], Awaitable[None]]:
    async def trace(event: str, _: Any) -> None:
        if event.endswith("send_request_headers.started"):
            require()

    return trace


def of_status(status: int, headers: Headers, *, own: bool = True, orders: bool = True) -> UpstreamError:
    """Return what a status means at any vendor, for a request that may have been accepted.

    A status that refuses the input of a request which `orders` is `UpstreamGone` for any other: the vendor has accepted
    the input before, and cannot give the work.
    """
    if status in (408, 504, 524):
        return UpstreamTimeout()
    if status == 429 or status in _UNAVAILABLE:
        return UpstreamBusy(retry_after=retry_after(headers))
    if not own:
        return UpstreamError()
    if status in (401, 402, 403):
        return of_our_account()
    if status in (404, 405):
        return _unsent(UpstreamError())
    if 400 <= status < 500 and status != 409:
        return UpstreamRefused() if orders else UpstreamGone()
    return UpstreamError()


def _leaves_doubt(request: HttpRequest, status: int, body: bytes) -> bool:
    """Tell whether the vendor may work, and bill, behind an answer that it is unavailable.

    A proxy before it may have given the answer after it had passed the request on. And what a vendor puts into a queue
    may be there although its answer says so.
    """
    if status not in _UNAVAILABLE or not request.orders:
        return False
    return not (request.answers and _is_of_a_vendor(body))


def _is_of_a_vendor(body: bytes) -> bool:
    """Tell whether an error is written as vendors write theirs: proxies answer with a page, a text or nothing."""
    try:
        value = upstream_json.read_whole(body)
    except UpstreamError:
        return False
    return isinstance(value, Mapping) and not _ENVELOPES.isdisjoint(value)


def of_our_account() -> UpstreamError:
    """Our key, our account or its balance at the vendor does not allow it: no fault of the caller."""
    error = _unsent(UpstreamError(retry_after=ACCOUNT_PAUSE))
    error.blames_key = True
    return error


def _of_transport(error: Exception) -> UpstreamError:
    match error:
        case httpx2.ConnectTimeout() | httpx2.PoolTimeout():
            return _unreached(UpstreamTimeout())
        case httpx2.ConnectError() | httpx2.UnsupportedProtocol() | httpx2.LocalProtocolError() | httpx2.ProxyError():
            return _unreached(UpstreamError())
        case httpx2.TimeoutException() | TimeoutError():
            return UpstreamTimeout()
    return UpstreamError()


def _unsent(error: UpstreamError) -> UpstreamError:
    error.not_accepted = True
    return error


def _unreached(error: UpstreamError) -> UpstreamError:
    error.unreached = True
    return _unsent(error)
