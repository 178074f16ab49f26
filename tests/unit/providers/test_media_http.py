"""The HTTP of media adapters: who gets the key, where files may come from, what an answer means, and its bounds."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from aiohttp import web
from pydantic import SecretStr

from domain.catalog import Provider
from domain.errors import (
    AdapterFault,
    ContentPolicyViolation,
    GatewayError,
    UpstreamBusy,
    UpstreamError,
    UpstreamGone,
    UpstreamRefused,
    UpstreamTimeout,
)
from providers.media_http import HttpRequest, HttpRules, MediaHttp, MediaTimeouts, key_in, media_client
from tests.support.doubles.threaded_app import ThreadedApp
from tests.support.doubles.toy_media import ToyVendor

SECRET = "vendor-says-SECRET"
KEY = "sk-ours"
SHORT = MediaTimeouts(
    connect=timedelta(seconds=5),
    answer=timedelta(milliseconds=300),
    idle=timedelta(milliseconds=300),
    total=timedelta(milliseconds=900),
)
PATIENT = MediaTimeouts()
"""A busy machine may take longer than the others for an answer that comes."""


@dataclass(slots=True)
class Faults(ThreadedApp):
    """A server with a path for each fault."""

    def routes(self, app: web.Application) -> None:
        app.router.add_route("*", "/status/{status}", self._status)
        app.router.add_route("*", "/{fault}", self._fault)

    async def _status(self, request: web.Request) -> web.Response:
        if request.query.get("form") == "json":
            return web.json_response({"error": {"message": SECRET}}, status=int(request.match_info["status"]))
        hints = {name: value for name, value in request.query.items() if name.startswith("retry")}
        return web.Response(status=int(request.match_info["status"]), text=SECRET, headers=hints)

    async def _fault(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        match request.match_info["fault"]:
            case "json":
                return web.json_response({"ok": True})
            case "page":
                return web.Response(text=f"<html>{SECRET}</html>", content_type="text/html")
            case "hang-up":
                assert request.transport is not None
                request.transport.abort()
            case "silent":
                await asyncio.get_running_loop().run_in_executor(None, self.release.wait, 5)
        return await self._streamed(request)

    async def _streamed(self, request: web.Request) -> web.StreamResponse:
        fault = request.match_info["fault"]
        response = web.StreamResponse(headers={"content-type": "Video/MP4; x=y"})
        if fault == "cut-off":
            response.content_length = 1000
        await response.prepare(request)
        try:
            for _ in range(40 if fault == "drips" else 3):
                await response.write(b"x" * 10)
                await asyncio.sleep(0.05 if fault == "drips" else 0)
            if fault == "stalls":
                await asyncio.sleep(2)
            if fault == "cut-off" and request.transport is not None:
                request.transport.close()
        except ConnectionError:
            return response
        return response


@pytest.fixture(scope="module")
def faults() -> Iterator[Faults]:
    with Faults() as server:
        yield server


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with media_client() as client:
        yield client


def provider(base_url: str) -> Provider:
    return Provider(name="vendor", kind="fal", active=True, base_url=base_url, api_key=SecretStr(KEY))


def http(client: httpx2.AsyncClient, base_url: str, **rules: Any) -> MediaHttp:
    given = provider(base_url)
    return MediaHttp(client, given, HttpRules(key_in("Authorization", given, "Key "), **rules))


def at(faults: Faults, client: httpx2.AsyncClient, **rules: Any) -> tuple[MediaHttp, str]:
    origin = f"http://127.0.0.1:{faults.port}"
    return http(client, origin, **rules), origin


MEANINGS: Mapping[str, tuple[type[UpstreamError], bool, float | None]] = {
    "400": (UpstreamRefused, False, None),
    "401": (UpstreamError, True, 60),
    "402": (UpstreamError, True, 60),
    "403": (UpstreamError, True, 60),
    "404": (UpstreamError, True, None),
    "408": (UpstreamTimeout, False, None),
    "409": (UpstreamError, False, None),
    "413": (UpstreamRefused, False, None),
    "422": (UpstreamRefused, False, None),
    "429": (UpstreamBusy, False, None),
    "429?retry-after=7": (UpstreamBusy, False, 7),
    "429?retry-after-ms=1500": (UpstreamBusy, False, 1.5),
    "503?retry-after=30": (UpstreamError, False, 30),
    "529": (UpstreamError, False, None),
    "500": (UpstreamError, False, None),
    "502": (UpstreamError, False, None),
    "504": (UpstreamTimeout, False, None),
    "300": (UpstreamError, False, None),
}
"""The error of a status, whether the job was certainly not accepted, and the pause in seconds."""


@pytest.mark.parametrize("status", MEANINGS)
async def test_what_a_status_means(faults: Faults, client: httpx2.AsyncClient, status: str) -> None:
    media, origin = at(faults, client)
    with pytest.raises(UpstreamError) as failure:
        await media.json(HttpRequest(f"{origin}/status/{status}", json={}))
    error, (kind, not_accepted, pause) = failure.value, MEANINGS[status]
    assert type(error) is kind
    assert (error.not_accepted, error.status) == (not_accepted, int(status[:3]))
    assert error.retry_after == (None if pause is None else timedelta(seconds=pause))
    assert SECRET not in str(error)


@pytest.mark.parametrize("status", [400, 410, 413, 422])
@pytest.mark.parametrize("request_", [{"method": "GET"}, {"method": "DELETE"}, {"of_work": True}], ids=str)
async def test_what_was_accepted_is_no_fault_of_the_input(
    faults: Faults, client: httpx2.AsyncClient, status: int, request_: Mapping[str, Any]
) -> None:
    media, origin = at(faults, client)
    with pytest.raises(UpstreamGone):
        await media.json(HttpRequest(f"{origin}/status/{status}", **request_))


@pytest.mark.parametrize(
    ("path", "request_", "certain"),
    [
        ("503?form=json", {"answers": True}, True),
        ("529?form=json", {"answers": True}, True),
        ("503", {"answers": True}, False),
        ("503?form=json", {}, False),
        ("503", {"method": "GET"}, True),
        ("503", {"of_work": True}, True),
    ],
    ids=["the vendor itself", "the vendor itself, too", "a proxy", "a queue", "a poll", "a poll, too"],
)
async def test_unavailable_is_a_doubt_unless_nothing_can_be_under_way(
    faults: Faults, client: httpx2.AsyncClient, path: str, request_: Mapping[str, Any], certain: bool
) -> None:
    media, origin = at(faults, client)
    with pytest.raises(UpstreamError) as failure:
        await media.json(HttpRequest(f"{origin}/status/{path}", **request_))
    assert isinstance(failure.value, UpstreamBusy) is certain
    assert not failure.value.not_accepted
    assert SECRET not in str(failure.value)


async def test_our_account_is_the_operators_matter(
    faults: Faults, client: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    media, origin = at(faults, client)
    with pytest.raises(UpstreamError) as failure:
        await media.json(HttpRequest(f"{origin}/status/402"))
    assert failure.value.blames_key
    logged = "".join(capsys.readouterr())
    assert SECRET not in logged
    assert KEY not in logged


async def test_an_adapter_may_explain_an_error(faults: Faults, client: httpx2.AsyncClient) -> None:
    def explain(status: int, _headers: Mapping[str, str], body: bytes) -> GatewayError | None:
        return ContentPolicyViolation() if status == 422 and SECRET.encode() in body else None

    media, origin = at(faults, client, explain=explain)
    with pytest.raises(ContentPolicyViolation):
        await media.json(HttpRequest(f"{origin}/status/422"))
    with pytest.raises(UpstreamRefused) as failure:
        await media.json(HttpRequest(f"{origin}/status/400"))
    assert type(failure.value) is UpstreamRefused


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("page", AdapterFault),
        ("hang-up", UpstreamError),
        ("silent", UpstreamTimeout),
        ("stalls", UpstreamTimeout),
        ("drips", UpstreamTimeout),
        ("cut-off", UpstreamError),
        ("long", AdapterFault),
    ],
)
async def test_an_answer_that_is_none(
    faults: Faults, client: httpx2.AsyncClient, fault: str, kind: type[UpstreamError]
) -> None:
    """Whether it was accepted is not known."""
    media, origin = at(faults, client, timeouts=SHORT if kind is UpstreamTimeout else PATIENT)
    with pytest.raises(UpstreamError) as failure:
        await media.json(HttpRequest(f"{origin}/{fault}", json={}), max_bytes=20 if fault == "long" else 1 << 20)
    assert type(failure.value) is kind
    assert not failure.value.not_accepted
    media, _ = at(faults, client)
    assert (await media.json(HttpRequest(f"{origin}/json", json={}))).value == {"ok": True}


@pytest.mark.parametrize(("fault", "kind"), [("stalls", UpstreamTimeout), ("cut-off", UpstreamError)])
async def test_a_download_that_ends_too_early(
    faults: Faults, client: httpx2.AsyncClient, fault: str, kind: type[UpstreamError]
) -> None:
    timeouts = replace(PATIENT, idle=SHORT.idle) if kind is UpstreamTimeout else PATIENT
    media, origin = at(faults, client, timeouts=timeouts)
    file = await media.download(f"{origin}/{fault}")
    assert file.content_type == "video/mp4"
    with pytest.raises(kind):
        b"".join([chunk async for chunk in file.chunks])


async def test_what_may_not_be_sent_any_more_does_not_leave(client: httpx2.AsyncClient) -> None:
    """Looked at when there is a connection: it may have taken long."""

    class Late(Exception):
        pass

    looks = list[Exception | None]([None, Late()])

    def require() -> None:
        if (fault := looks.pop(0)) is not None:
            raise fault

    with ToyVendor() as vendor:
        origin = vendor.provider.base_url
        media, order = http(client, origin), HttpRequest(f"{origin}/jobs", json={"reference": "r"}, require=require)
        await media.json(order)
        with pytest.raises(Late):
            await media.json(order)
        assert (vendor.jobs, looks) == (["r"], [])


async def test_a_provider_that_cannot_be_reached_has_accepted_nothing(client: httpx2.AsyncClient) -> None:
    with Faults() as gone:
        origin = f"http://127.0.0.1:{gone.port}"
    with pytest.raises(UpstreamError) as failure:
        await http(client, origin).json(HttpRequest(origin, json={}))
    assert (failure.value.not_accepted, failure.value.unreached) == (True, True)


@dataclass(slots=True)
class Vendor:
    """Hosts by name, without a network."""

    to: Mapping[str, str]
    """Where each URL redirects to."""
    seen: list[tuple[str, str | None, str | None]]

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        given = request.headers
        self.seen.append((str(request.url), given.get("authorization"), given.get("x-catalog")))
        location = self.to.get(str(request.url))
        headers = {"set-cookie": "track=me", **({"location": location} if location else {})}
        assert "cookie" not in given
        return httpx2.Response(302 if location else 200, headers=headers, json={})


def with_hosts(**to: str) -> tuple[MediaHttp, Vendor]:
    vendor = Vendor({f"https://api.vendor.com/{name}": url for name, url in to.items()}, [])
    client = media_client()
    client._transport = httpx2.MockTransport(vendor)
    given = provider("https://api.vendor.com/v1").model_copy(update={"headers": {"x-catalog": SecretStr("ours")}})
    rules = HttpRules(key_in("Authorization", given, "Key "), hosts=("*.cdn.media", "files.net"))
    return MediaHttp(client, given, rules), vendor


@pytest.mark.parametrize(
    "url",
    [
        "https://v3.cdn.media/a",
        "https://a.b.cdn.media/a",
        "https://files.net/a",
        "https://FILES.net:443/a",
    ],
)
async def test_the_key_stays_at_the_provider(url: str) -> None:
    media, vendor = with_hosts(file=url)
    await media.download(url)
    await media.download("https://api.vendor.com/file")
    assert [(seen[1], seen[2]) for seen in vendor.seen] == [(None, None), (f"Key {KEY}", "ours"), (None, None)]


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.media/a",
        "https://evilcdn.media/a",
        "https://cdn.media.evil.com/a",
        "http://v3.cdn.media/a",
        "https://v3.cdn.media:8443/a",
        "https://user:pass@v3.cdn.media/a",
        "https://sub.files.net/a",
        "https://files.net.evil.com/a",
        "http://api.vendor.com/a",
        "https://api.vendor.com:444/a",
        "https://user@api.vendor.com/a",
        "https://127.0.0.1/a",
        "https://169.254.169.254/latest",
        "ftp://files.net/a",
        "file:///etc/passwd",
        "//files.net:1/a",
        "https://[",
        "",
    ],
)
async def test_a_host_that_is_not_allowed_is_never_called(url: str) -> None:
    media, vendor = with_hosts(file=url)
    with pytest.raises(UpstreamError):
        await media.download(url)
    assert vendor.seen == []
    if url:
        with pytest.raises(UpstreamError):
            await media.download("https://api.vendor.com/file")
        assert [seen[0] for seen in vendor.seen] == ["https://api.vendor.com/file"]


async def test_redirects_end_and_a_submission_follows_none() -> None:
    media, vendor = with_hosts(file="https://api.vendor.com/file", submit="https://api.vendor.com/other")
    with pytest.raises(UpstreamError):
        await media.download("https://api.vendor.com/file")
    assert len(vendor.seen) == 6
    with pytest.raises(UpstreamError) as failure:
        await media.json(HttpRequest("https://api.vendor.com/submit", json={}))
    assert not failure.value.not_accepted
    assert vendor.seen[6:] == [("https://api.vendor.com/submit", f"Key {KEY}", "ours")]
