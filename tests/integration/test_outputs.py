"""`GET /media/<object>`: links, ranges, caches and what a browser is told."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from api import errors, outputs
from api.outputs import Outputs
from domain.secrets import DerivedKeys
from domain.signed_urls import SignedUrls
from storage.objects import ObjectStorage
from tests.support.forgeries import forgeries

JOB = "0f" * 16 + "/" + "a1" * 16
PICTURE = JOB + "/0.png"
OTHER = "1f" * 16 + "/" + "b2" * 16 + "/0.png"
CONTENT = bytes(range(256)) * 4
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Site:
    """The route over a folder, with a clock and a database of its own."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.gone: set[str] = set()
        self.storage = ObjectStorage.from_url(folder.as_uri())
        self.urls = SignedUrls(DerivedKeys(b"s" * 32), "http://yout.example", timedelta(hours=1))
        outputs_ = Outputs(self.storage, self.urls, self._live, clock=lambda: self.now)
        app = FastAPI(redirect_slashes=False)
        errors.install(app)
        app.include_router(outputs.router(lambda _: outputs_))
        transport = httpx2.ASGITransport(app=app)
        self.client = httpx2.AsyncClient(transport=transport, base_url="http://yout.example")

    async def _live(self, key: str) -> bool:
        return key not in self.gone

    async def keep(self, key: str, content: bytes = CONTENT) -> str:
        """A link to an object that lies in storage."""

        async def chunks() -> AsyncIterator[bytes]:
            yield content

        await self.storage.put(key, chunks(), content_type="image/png", max_bytes=10**6)
        return self.urls.url(key, NOW)[0]

    async def get(self, link: str, **headers: str) -> httpx2.Response:
        return await self.client.get(link, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site_ = Site(tmp_path)
    async with site_.client:
        yield site_


async def test_a_link_gives_the_file_and_tells_the_browser_to_take_care(site: Site) -> None:
    answer = await site.get(await site.keep(PICTURE))

    assert (answer.status_code, answer.content) == (200, CONTENT)
    headers = dict(answer.headers)
    assert len(headers.pop("etag")) == 34
    assert headers == {
        "content-type": "image/png",
        "content-length": str(len(CONTENT)),
        "content-disposition": f'inline; filename="{"a1" * 16}-0.png"',
        "accept-ranges": "bytes",
        "cache-control": "private, max-age=300",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; "
        "style-src 'unsafe-inline'",
        "referrer-policy": "no-referrer",
        "x-robots-tag": "noindex",
    }


async def test_a_head_tells_the_same_without_the_file(site: Site) -> None:
    link = await site.keep(PICTURE)
    whole, head = await site.get(link), await site.client.head(link, headers={"range": "bytes=0-9"})
    assert (head.status_code, head.content, head.headers) == (200, b"", whole.headers)


@pytest.mark.parametrize(
    ("name", "content_type", "disposition"),
    [
        ("0.mp4", "video/mp4", "inline"),
        ("0.mp3", "audio/mpeg", "inline"),
        ("0.opus", "audio/ogg", "inline"),
        ("0.pcm", "application/octet-stream", "attachment"),
        ("0.svg", "application/octet-stream", "attachment"),
        ("0.html", "application/octet-stream", "attachment"),
    ],
)
async def test_only_known_media_is_shown_in_place(site: Site, name: str, content_type: str, disposition: str) -> None:
    answer = await site.get(await site.keep(f"{JOB}/{name}"))
    assert answer.headers["content-type"] == content_type
    assert answer.headers["content-disposition"].partition(";")[0] == disposition


@pytest.mark.parametrize(
    ("range_header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=1000-", 1000, 1024),
        ("bytes=0-", 0, 1024),
        ("bytes=1023-99999", 1023, 1024),
        ("bytes=-4", 1020, 1024),
        ("bytes=-99999", 0, 1024),
    ],
)
async def test_one_range_is_served(site: Site, range_header: str, start: int, end: int) -> None:
    answer = await site.get(await site.keep(PICTURE), range=range_header)

    assert (answer.status_code, answer.content) == (206, CONTENT[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/1024"
    assert answer.headers["content-length"] == str(end - start)
    assert answer.headers["content-type"] == "image/png"


@pytest.mark.parametrize("range_header", ["bytes=1024-", "bytes=5000-6000", "bytes=-0"])
async def test_a_range_outside_of_the_file_is_an_error(site: Site, range_header: str) -> None:
    answer = await site.get(await site.keep(PICTURE), range=range_header)
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */1024"
    assert answer.json()["error"]["code"] == "invalid_value"


@pytest.mark.parametrize(
    "range_header",
    [
        "",
        "bytes=",
        "bytes=-",
        "bytes=9-3",
        "bytes=a-b",
        "bytes=0-1,5-6",
        "items=0-1",
        "bytes=" + ",".join(["0-"] * 9999),
    ],
)
async def test_a_range_that_is_none_or_many_is_ignored(site: Site, range_header: str) -> None:
    answer = await site.get(await site.keep(PICTURE), range=range_header)
    assert (answer.status_code, answer.content) == (200, CONTENT)


async def test_an_empty_file_is_served_whole_and_has_no_ranges(site: Site) -> None:
    link = await site.keep(PICTURE, b"")
    assert ((await site.get(link)).status_code, (await site.get(link)).content) == (200, b"")
    assert (await site.get(link, range="bytes=0-")).status_code == 416


async def test_a_cache_asks_again_by_etag(site: Site) -> None:
    link = await site.keep(PICTURE)
    etag = (await site.get(link)).headers["etag"]

    for etags in (etag, f'W/{etag}, "other"', "*"):
        answer = await site.get(link, if_none_match=etags)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert (await site.get(link, if_none_match='"other"')).status_code == 200
    assert (await site.get(link, range="bytes=0-3", if_range=etag)).status_code == 206
    assert (await site.get(link, range="bytes=0-3", if_range='"other"')).content == CONTENT


async def test_no_cache_keeps_a_file_longer_than_its_link_lives(site: Site) -> None:
    link = await site.keep(PICTURE)
    site.now = NOW + timedelta(minutes=59)
    assert (await site.get(link)).headers["cache-control"] == "private, max-age=60"


async def test_an_expired_link_is_refused_in_the_usual_words(site: Site) -> None:
    link = await site.keep(PICTURE)
    site.now = NOW + timedelta(hours=1)
    answer = await site.get(link)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "invalid_value"
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert "location" not in answer.headers


async def test_only_the_link_as_we_made_it_opens_the_object(site: Site) -> None:
    link = await site.keep(PICTURE)
    await site.keep(f"{JOB}/1.png")
    address, query = link.split("?")
    exp, sig = query.split("&")

    for other in (
        address,
        f"{address}?{sig}&{exp}",
        f"{link}&exp=1",
        f"{link}&{sig}",
        f"{link}&download=1",
        f"{address}?{exp}&sig=",
        f"{address}?{exp}&{sig[:-1]}",
        f"{address}?exp=1e30&{sig}",
        f"{address}?exp=99999999999&{sig}",
        f"{link[:-1]}{'A' if link[-1] != 'A' else 'B'}",
        link.replace("0.png", "1.png"),
        link.replace("0.png", "0.png/"),
        link.replace("/media/", "/media//"),
        f"http://yout.example/media/..%2f..%2fetc%2fpasswd?{query}",
        f"http://yout.example/media/{PICTURE}%00?{query}",
        f"http://yout.example/media/%c0%ae%c0%ae/?{query}",
        f"http://yout.example/media/?{query}",
    ):
        answer = await site.get(other)
        assert answer.status_code == 403, other
        assert answer.json()["error"]["message"]


async def test_no_link_made_of_a_genuine_one_opens_an_object(site: Site) -> None:
    genuine, other = await site.keep(PICTURE), await site.keep(OTHER, b"of somebody else")
    base, (path, _, query) = "http://yout.example/media/", genuine.partition("?")
    tried = [base + value for value in forgeries(genuine.removeprefix(base))]
    tried += [f"{path}?{value}" for value in forgeries(query)]
    exp, sig = query.split("&")
    tried += [
        f"{path}?{doubled}" for doubled in (f"{query}&{query}", f"{query}&{exp}", f"{query}&{sig}", f"{sig}&{exp}")
    ]
    tried += [f"{other.partition('?')[0]}?{query}", f"{path}?{other.partition('?')[2]}"]
    for link in tried:
        answer = await site.get(link)
        assert answer.status_code in (403, 404), link
        assert answer.json()["error"], link
    assert (await site.get(genuine)).content == CONTENT


async def test_what_the_database_gave_up_is_gone_at_once(site: Site) -> None:
    link = await site.keep(PICTURE)
    site.gone.add(PICTURE)
    expired = await site.get(link)
    site.gone.clear()
    await site.storage.delete(PICTURE)
    deleted = await site.get(link)

    assert expired.status_code == deleted.status_code == 404
    assert expired.content == deleted.content


async def test_nothing_can_be_written_through_a_link(site: Site) -> None:
    link = await site.keep(PICTURE)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert (await site.client.request(method, link, content=b"x")).status_code == 405
    assert (await site.get(link)).content == CONTENT
