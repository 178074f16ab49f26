"""Outputs in a real server that speaks S3: the store itself and its faults. test_rolling_restart.py has whole jobs."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from api import errors, outputs
from domain.errors import NotFound, OutputTooLarge, ServiceUnavailable
from domain.secrets import DerivedKeys
from domain.signed_urls import SignedUrls
from storage.base import Storage
from storage.objects import CHUNK, WHOLE
from tests.support.fault_lines import FaultLines
from tests.support.seaweed import BUCKET, OWNER, READER, Seaweed
from tests.support.stack import Stack, eventually

PLENTY = 10**9
LARGE = hashlib.shake_128(b"a large file").digest(WHOLE * 2 + 17)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    with Seaweed.running(tmp_path_factory.mktemp("s3")) as running:
        yield running


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def put(storage: Storage, key: str, content: bytes, content_type: str = "image/png") -> None:
    parts = [content[at : at + 65_536] for at in range(0, len(content), 65_536)]
    stored = await storage.put(key, chunks(*parts), content_type=content_type, max_bytes=PLENTY)
    assert (stored.bytes, stored.content_type) == (len(content), content_type)


async def content(storage: Storage, key: str, start: int = 0, end: int = PLENTY) -> bytes:
    return b"".join([chunk async for chunk in storage.read(key, start, end)])


async def test_what_was_written_is_read_whole_and_in_ranges(server: Seaweed) -> None:
    """The second one is above the size of a part: it goes up in three."""
    storage = server.storage()
    for key, written in (("read/small/0.png", b"a lake"), ("read/large/0.mp4", LARGE)):
        await put(storage, key, written, "video/webm")
        head = await storage.head(key)
        assert head is not None
        assert (head.bytes, head.content_type) == (len(written), "video/webm")
        assert await content(storage, key, end=len(written)) == written
    size = len(LARGE)
    for start, end in ((0, 1), (5, 5), (3, 1_000_000), (WHOLE - 1, WHOLE + 1), (size - 7, size)):
        parts = [chunk async for chunk in storage.read("read/large/0.mp4", start, end)]
        assert b"".join(parts) == LARGE[start:end]
        assert max(map(len, parts), default=0) <= CHUNK


async def test_the_objects_of_one_account_are_listed_and_deleted(server: Seaweed) -> None:
    storage = server.storage()
    keys = [f"{'0a' * 16}/{job * 32}/{index}.png" for job in ("a", "b") for index in range(3)]
    neighbour = f"{'0b' * 16}/{'a' * 32}/0.png"
    for key in (*keys, neighbour):
        await put(storage, key, b"x")
    listed, page = list[str](), [""]
    while page:
        page = [one.key for one in await storage.listed(page[-1], 2)]
        listed += page
    assert [key for key in listed if key.startswith("0")] == [*keys, neighbour]
    for _ in range(2):
        await storage.delete(keys[0])
    account = "0a" * 16
    assert [await storage.delete_prefix(account), await storage.delete_prefix(account)] == [5, 0]
    assert await storage.head(keys[5]) is None
    with pytest.raises(NotFound):
        await content(storage, keys[5])
    assert await storage.head(neighbour) is not None


async def test_what_breaks_off_leaves_nothing(server: Seaweed) -> None:
    storage = server.storage()
    with pytest.raises(OutputTooLarge):
        await storage.put("half/0.mp4", chunks(LARGE, b"x"), content_type="video/mp4", max_bytes=len(LARGE))
    assert await storage.head("half/0.mp4") is None
    assert await storage.delete_prefix("half") == 0


DENIED, MISSING = "the object store denies our key", "the bucket of outputs does not exist"


@pytest.mark.parametrize(
    ("bucket", "key", "expected"),
    [
        (BUCKET, (OWNER[0], "another secret"), dict.fromkeys(("list", "read", "write", "delete"), DENIED)),
        (BUCKET, ("nobody", "x"), dict.fromkeys(("list", "read", "write", "delete"), DENIED)),
        (BUCKET, READER, dict.fromkeys(("write", "delete"), DENIED)),
        ("no-such-bucket", OWNER, dict.fromkeys(("list", "read", "write", "delete"), MISSING)),
    ],
    ids=["wrong secret", "unknown key", "may only read", "no bucket"],
)
async def test_what_is_wrong_is_told_to_the_operator_alone(
    server: Seaweed, bucket: str, key: tuple[str, str], expected: dict[str, str]
) -> None:
    await put(server.storage(), "there/0.png", b"x")
    reports = FaultLines()
    storage = server.storage(bucket, key, reports)
    acts = {
        "list": storage.listed("", 1),
        "read": content(storage, "there/0.png", end=1),
        "write": storage.put("there/1.png", chunks(b"x"), content_type="image/png", max_bytes=9),
        "delete": storage.delete("there/2.png"),
    }
    for act, doing in acts.items():
        if act not in expected:
            await doing
            continue
        with pytest.raises(ServiceUnavailable) as unavailable:
            await doing
        assert unavailable.value.__suppress_context__
    assert reports.lines == [f"YOUT_STORAGE_URL ({act}): {what}" for act, what in expected.items()]


async def test_a_server_that_is_away_is_tried_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    reports = FaultLines()
    server = Seaweed(tmp_path_factory.mktemp("s3-away"))
    storage = server.storage(faults=reports)
    for _ in range(2):
        with pytest.raises(ServiceUnavailable):
            await storage.listed("", 1)
    async with server:
        assert await storage.listed("", 1) == []
    where = "YOUT_STORAGE_URL (list)"
    assert reports.lines == [*[f"{where}: the object store does not answer"] * 2, f"{where}: mended"]


async def test_a_process_tells_it_when_it_starts(server: Seaweed, database_url: str, tmp_path: Path) -> None:
    """Variables of other programs at Amazon's do not disturb it."""
    options = server.options((OWNER[0], "another secret")) | {"AWS_EXECUTION_ENV": "AWS_ECS_FARGATE"}
    stack = Stack(database_url, tmp_path / "state", extra={"YOUT_STORAGE_URL": server.url, **options})

    async def lines() -> list[dict[str, Any]]:
        logged = [json.loads(line) for line in stack.log("api").splitlines()]
        return [line for line in logged if line["level"] == "error"]

    with stack.running("api"):
        (line,) = await eventually(lines)
    assert (line["event"], line["where"]) == (DENIED, "YOUT_STORAGE_URL (list)")
    assert "AWS_SECRET_ACCESS_KEY" in line["remedy"]
    assert not any(word in stack.log("api") for word in ("another secret", server.endpoint, BUCKET))


async def test_a_link_leads_to_the_store_after_our_own_check(server: Seaweed) -> None:
    """Only with the option, for a while, and only to what a browser may show."""
    storage, gone = server.storage(), set[str]()
    urls = SignedUrls(DerivedKeys(b"s" * 32), "http://yout.example", timedelta(hours=1))

    async def live(key: str) -> bool:
        return key not in gone

    app = FastAPI()
    errors.install(app)
    app.include_router(outputs.router(lambda _: outputs.Outputs(storage, urls, live, storage.link)))
    picture, page = "shown/a/0.png", "shown/a/1.html"
    await put(storage, picture, b"a lake")
    await put(storage, page, b"<script>", "text/html")
    shown, downloaded = (urls.url(key, datetime.now(UTC))[0] for key in (picture, page))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app)) as client, httpx2.AsyncClient() as anyone:
        answer = await client.get(shown)
        assert (answer.status_code, answer.headers["cache-control"]) == (302, "no-store")
        elsewhere = answer.headers["location"]
        part = await anyone.get(elsewhere, headers={"range": "bytes=2-5"})
        assert (part.status_code, part.content, part.headers["content-type"]) == (206, b"lake", "image/png")
        assert (await anyone.get(elsewhere.replace("0.png", "1.html"))).status_code == 403
        assert (await anyone.put(elsewhere, content=b"x")).status_code == 403
        assert [(await client.head(shown)).status_code, (await client.get(downloaded)).status_code] == [200, 200]
        gone.add(picture)
        assert [(await client.get(link)).status_code for link in (shown, shown + "x")] == [404, 403]


async def test_half_a_key_ends_the_start_in_one_line(database_url: str, tmp_path: Path) -> None:
    extra = {"YOUT_STORAGE_URL": "s3://outputs", "AWS_ACCESS_KEY_ID": "half-a-key"}
    stack = Stack(database_url, tmp_path / "state", extra=extra)
    process = stack.spawn("api")
    assert await asyncio.to_thread(process.wait, 60) == 2
    (line,) = [line for line in stack.log("api").splitlines() if not line.startswith("{")]
    assert line == "error: YOUT_STORAGE_URL: the AWS_ variables are not complete: a key has an id and a secret"
