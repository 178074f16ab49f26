"""Requests to callers' URLs: where they connect, and what becomes of every bad answer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import httpcore2
import pytest

import outbound.client
import outbound.urls
from dev import ports
from outbound.addresses import Address
from outbound.client import OutboundClient
from outbound.errors import FileUnusable, RequestFailed, Trouble, UrlRefused
from tests.support.certificates import self_signed
from tests.support.doubles.webhook_receiver import HUGE, Receiver, receiving
from tests.unit.outbound.test_addresses import REFUSED

SECOND = timedelta(seconds=1)
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass
class Names:
    """A name server that gives other addresses at each look-up; the last stays."""

    answers: list[list[str]]
    lookups: list[str] = field(default_factory=list)

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        self.lookups.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [ip_address(one) for one in answer]


@pytest.fixture
async def sink() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


def client_with(*answers: list[str], loopback: bool = False) -> tuple[OutboundClient, Names]:
    names = Names(list(answers))
    return OutboundClient(loopback=loopback, resolve=names), names


async def refused(client: OutboundClient, url: str) -> None:
    async with client:
        with pytest.raises((UrlRefused, RequestFailed)) as posted:
            await client.post(url, {}, b"{}", total=SECOND)
        if isinstance(posted.value, RequestFailed):
            assert posted.value.trouble is Trouble.UNREACHABLE
        with pytest.raises(UrlRefused):
            await client.fetch(url, max_bytes=10, timeout=SECOND, types=("image/png",))


@pytest.mark.parametrize("address", REFUSED)
async def test_a_name_with_an_address_that_is_not_public_is_never_connected(
    sink: Receiver, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound.urls, "PORTS", (sink.port,))
    client, names = client_with([address])
    await refused(client, f"https://receiver.example:{sink.port}/200")
    assert names.lookups == ["receiver.example"] * 2
    assert sink.received == []


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"],
)
async def test_a_host_that_is_this_machine_is_refused_by_its_text(
    sink: Receiver, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound.urls, "PORTS", (sink.port,))
    client, names = client_with(["127.0.0.1"])
    await refused(client, f"https://{host}:{sink.port}/200")
    assert (names.lookups, sink.received) == ([], [])


async def test_one_bad_address_among_good_ones_refuses_the_name(
    sink: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound.urls, "PORTS", (sink.port,))
    client, _ = client_with(["1.1.1.1", "127.0.0.1"])
    await refused(client, f"https://receiver.example:{sink.port}/200")
    assert sink.received == []


async def test_a_name_is_looked_up_once_for_a_request(sink: Receiver) -> None:
    """What a second look-up would give is of no use to who rebinds a name."""
    client, names = client_with(["127.0.0.1"], ["10.0.0.1"], loopback=True)
    async with client:
        posted = await client.post(sink.url(host="a.localhost"), {"x-a": "b"}, b"{}")
    assert (posted.status, names.lookups) == (200, ["a.localhost"])
    assert sink.received.pop().headers["Host"] == f"a.localhost:{sink.port}"


async def test_the_network_connects_to_no_unix_socket() -> None:
    client, _ = client_with([])
    with pytest.raises(httpcore2.ConnectError):
        await client._network.connect_unix_socket("/var/run/docker.sock")


async def test_proxies_of_the_environment_are_not_used(sink: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with OutboundClient(loopback=True) as client:
        assert (await client.post(sink.url(), {}, b"{}")).status == 200


async def test_tls_goes_on_with_the_name_of_the_url(tmp_path: Path) -> None:
    identity = self_signed(tmp_path)
    async with receiving(identity.server) as receiver:
        names = Names([["127.0.0.1"]])
        async with OutboundClient(loopback=True, resolve=names, tls=identity.trusting) as client:
            assert (await client.post(receiver.url(host="localhost", scheme="https"), {}, b"{}")).status == 200
            with pytest.raises(RequestFailed) as failed:
                await client.post(receiver.url(host="other.localhost", scheme="https"), {}, b"{}")
            assert failed.value.trouble is Trouble.TLS
        assert [one.headers["Host"] for one in receiver.received] == [f"localhost:{receiver.port}"]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/204", 204), ("/410", 410), ("/500", 500), ("/moved", 301), ("/endless", 200), ("/huge", 200)],
)
async def test_the_status_of_an_answer_is_known_however_its_body_goes_on(
    sink: Receiver, path: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound.client, "ANSWER_TIMEOUT", timedelta(milliseconds=50))
    async with OutboundClient(loopback=True) as client:
        posted = await client.post(sink.url(path), {}, b"{}")
    assert posted.status == status
    assert [one.path for one in sink.received] == [path]
    assert sink.written < HUGE


@pytest.mark.parametrize(
    ("path", "trouble"), [("/slow", Trouble.TIMEOUT), ("/reset", Trouble.BROKEN), ("/garbage", Trouble.BROKEN)]
)
async def test_no_answer_is_a_failure_with_a_word_of_ours(sink: Receiver, path: str, trouble: Trouble) -> None:
    total = 2 * SECOND if trouble is Trouble.TIMEOUT else timedelta(seconds=60)
    async with OutboundClient(loopback=True) as client:
        with pytest.raises(RequestFailed) as failed:
            await client.post(sink.url(path), {}, b"{}", total=total)
    assert failed.value.trouble is trouble


async def test_a_port_where_nobody_listens_is_unreachable() -> None:
    port = ports.free()
    async with OutboundClient(loopback=True) as client:
        with pytest.raises(RequestFailed) as failed:
            await client.post(f"http://127.0.0.1:{port}/", {}, b"{}")
    assert failed.value.trouble is Trouble.UNREACHABLE


async def test_a_name_server_that_never_answers_ends_with_the_time_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound.client, "CONNECT", timedelta(milliseconds=50))

    async def never(host: str, port: int) -> Sequence[Address]:
        await asyncio.Event().wait()
        return []

    async with OutboundClient(resolve=never) as client:
        with pytest.raises(RequestFailed) as failed:
            await client.post("https://receiver.example/", {}, b"{}")
    assert failed.value.trouble is Trouble.UNREACHABLE


async def served(body: bytes, headers: dict[str, str], status: int = 200) -> tuple[asyncio.Server, str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {status} x\r\n{head}\r\n".encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/file"


FILES = [
    ({"content-type": "image/PNG; a=b"}, 200, "image/png"),
    ({"content-type": "application/octet-stream"}, 200, "application/octet-stream"),
    ({}, 200, ""),
    ({"content-type": "text/html"}, 200, None),
    ({"content-type": "image/png", "content-encoding": "gzip"}, 200, None),
    ({"content-type": "image/png", "content-length": "1000"}, 200, None),
    ({"content-type": "image/png", "location": "/other"}, 302, None),
    ({"content-type": "image/png"}, 206, None),
    ({"content-type": "image/png"}, 404, None),
]


@pytest.mark.parametrize(("headers", "status", "content_type"), FILES)
async def test_a_file_is_fetched_or_refused_by_its_head(
    headers: dict[str, str], status: int, content_type: str | None
) -> None:
    server, url = await served(PNG, headers, status)
    async with server, OutboundClient(loopback=True) as client:
        fetching = client.fetch(url, max_bytes=len(PNG), timeout=SECOND * 60, types=("image/png",))
        if content_type is None:
            with pytest.raises(FileUnusable) as unusable:
                await fetching
            assert str(unusable.value) == FileUnusable.TEXT
        else:
            fetched = await fetching
            assert (fetched.content, fetched.content_type) == (PNG, content_type)


@pytest.mark.parametrize(("path", "seconds"), [("/huge", 60), ("/endless", 5)])
async def test_a_file_without_an_end_is_cut_by_its_size_or_the_time(sink: Receiver, path: str, seconds: int) -> None:
    """A file whose head is not there in time is another error: the time is enough for one."""
    sink.written = 0
    async with OutboundClient(loopback=True) as client:
        with pytest.raises(FileUnusable):
            await client.fetch(
                sink.url(path), max_bytes=1000, timeout=seconds * SECOND, types=("application/octet-stream",)
            )
