"""The object store, in a real folder and against a server that speaks S3."""

import errno
import hashlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.errors import NotFound, OutputTooLarge, ServiceUnavailable, UpstreamError
from storage import folders, probe
from storage.base import Listed, Storage
from storage.faults import SETTING
from storage.objects import CHUNK, WHOLE, ObjectStorage
from tests.support.doubles.s3_server import S3Server, bucket
from tests.support.fault_lines import FaultLines

KEY = "0f" * 16 + "/" + "a1" * 16 + "/0.png"
PLENTY = 10**9


@pytest.fixture
def s3() -> Iterator[S3Server]:
    with S3Server().serving() as server:
        server.written_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield server


def folder(path: Path) -> ObjectStorage:
    return ObjectStorage.from_url((path / "my media").as_uri())


@pytest.fixture(params=["file", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return folder(tmp_path) if request.param == "file" else bucket(request.getfixturevalue("s3"))


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def content(storage: Storage, key: str = KEY, start: int = 0, end: int = PLENTY) -> bytes:
    return b"".join([chunk async for chunk in storage.read(key, start, end)])


def left(path: Path) -> list[str]:
    return [str(each.relative_to(path)) for each in path.rglob("*") if each.is_file()]


@pytest.mark.parametrize("size", [0, 1, 70_000, WHOLE, WHOLE * 2 + 17])
async def test_what_was_written_is_read(storage: Storage, size: int) -> None:
    written = hashlib.shake_128(b"seed").digest(size)
    parts = [written[at : at + 65_536] for at in range(0, size, 65_536)]
    stored = await storage.put(KEY, chunks(*parts), content_type="image/png", max_bytes=PLENTY)

    assert (stored.key, stored.bytes, stored.content_type) == (KEY, size, "image/png")
    head = await storage.head(KEY)
    assert head is not None
    assert (head.bytes, head.content_type) == (size, "image/png")
    assert await content(storage, end=size) == written


async def test_a_range_comes_in_small_chunks(storage: Storage) -> None:
    written = hashlib.shake_128(b"seed").digest(WHOLE * 2)
    await storage.put(KEY, chunks(written), content_type="image/png", max_bytes=PLENTY)

    for start, end in ((0, 1), (5, 5), (3, 1_000_000), (WHOLE * 2 - 7, WHOLE * 2)):
        parts = [chunk async for chunk in storage.read(KEY, start, end)]
        assert b"".join(parts) == written[start:end]
        assert max(map(len, parts), default=0) <= CHUNK


async def test_writing_again_replaces_the_object(storage: Storage) -> None:
    first = await storage.put(KEY, chunks(b"one"), content_type="image/png", max_bytes=PLENTY)
    second = await storage.put(KEY, chunks(b"three"), content_type="image/png", max_bytes=PLENTY)
    assert await content(storage, end=5) == b"three"
    assert first.version != second.version


@pytest.mark.parametrize("size", [1000, WHOLE + 1000])
async def test_what_is_too_large_leaves_nothing(storage: Storage, size: int, tmp_path: Path) -> None:
    with pytest.raises(OutputTooLarge):
        await storage.put(KEY, chunks(b"x" * size, b"x"), content_type="image/png", max_bytes=size)
    assert await storage.head(KEY) is None
    assert left(tmp_path) == []
    assert (await storage.put(KEY, chunks(b"x" * size), content_type="image/png", max_bytes=size)).bytes == size


@pytest.mark.parametrize("size", [10, WHOLE + 10])
async def test_a_source_that_breaks_off_leaves_what_was_there(storage: Storage, size: int, tmp_path: Path) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield b"y" * size
        raise UpstreamError

    await storage.put(KEY, chunks(b"before"), content_type="image/png", max_bytes=PLENTY)
    with pytest.raises(UpstreamError):
        await storage.put(KEY, breaking(), content_type="image/png", max_bytes=PLENTY)
    assert await content(storage, end=6) == b"before"
    assert len(left(tmp_path)) <= 1


async def test_what_is_not_there_is_told(storage: Storage) -> None:
    assert await storage.head(KEY) is None
    assert await storage.head(KEY.rpartition("/")[0]) is None
    with pytest.raises(NotFound):
        await content(storage)
    for _ in range(2):
        await storage.delete(KEY)


async def test_deleting_twice_and_a_whole_account(storage: Storage, tmp_path: Path) -> None:
    keys = [f"account/{job}/{index}.png" for job in ("a", "b") for index in range(3)]
    for key in (*keys, "accounting/a/0.png"):
        await storage.put(key, chunks(b"x"), content_type="image/png", max_bytes=PLENTY)

    for _ in range(2):
        await storage.delete(keys[0])
    assert [await storage.delete_prefix("account"), await storage.delete_prefix("account")] == [5, 0]
    assert await storage.head(keys[5]) is None
    assert await storage.head("accounting/a/0.png") is not None
    await storage.delete("accounting/a/0.png")
    assert left(tmp_path) == []


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/.hidden", "a/", "a\0b", "a\\b", "ä"])
async def test_a_key_leads_nowhere_else(storage: Storage, key: str) -> None:
    assert await storage.head(key) is None
    for act in (storage.put(key, chunks(b"x"), content_type="image/png", max_bytes=9), storage.delete_prefix(key)):
        with pytest.raises(ValueError, match="plain segments"):
            await act


async def test_a_folder_is_ours_alone_and_keeps_types_by_extension(tmp_path: Path) -> None:
    storage = folder(tmp_path)
    assert (tmp_path / "my media").stat().st_mode & 0o777 == 0o700
    for extension, content_type in (("opus", "audio/ogg"), ("mp4", "video/mp4"), ("bin", "application/octet-stream")):
        await storage.put(f"a/0.{extension}", chunks(b"x"), content_type="image/png", max_bytes=9)
        head = await storage.head(f"a/0.{extension}")
        assert head is not None
        assert head.content_type == content_type


async def test_what_a_killed_writer_left_is_deleted_too(tmp_path: Path) -> None:
    storage = folder(tmp_path)
    for key in ("a/b/0.png", "a/c/0.png"):
        await storage.put(key, chunks(b"x"), content_type="image/png", max_bytes=9)
        (tmp_path / "my media" / f"{key}#1").write_bytes(b"half")

    await storage.delete("a/b/0.png")
    assert sorted(left(tmp_path)) == ["my media/a/c/0.png", "my media/a/c/0.png#1"]
    await storage.delete_prefix("a")
    assert left(tmp_path) == []


async def test_a_bucket_keeps_type_and_prefix_and_no_half_upload(s3: S3Server) -> None:
    storage = bucket(s3)
    await storage.put("a/0.bin", chunks(b"x"), content_type="video/mp4", max_bytes=9)
    await storage.put("a/1.bin", chunks(b"x" * WHOLE * 2), content_type="video/webm", max_bytes=PLENTY)
    with pytest.raises(OutputTooLarge):
        await storage.put("a/2.bin", chunks(b"x" * WHOLE, b"x"), content_type="video/mp4", max_bytes=WHOLE)

    types = {key: content_type for key, (_, content_type) in s3.objects.items()}
    assert types == {"media/some/prefix/a/0.bin": "video/mp4", "media/some/prefix/a/1.bin": "video/webm"}
    assert s3.uploads == {}
    head = await storage.head("a/1.bin")
    assert head is not None
    assert head.content_type == "video/webm"


async def test_trouble_at_the_store_is_ours_and_names_nothing(s3: S3Server) -> None:
    storage = bucket(s3)
    s3.broken = True
    for act in (storage.head(KEY), storage.delete(KEY), content(storage)):
        with pytest.raises(ServiceUnavailable) as unavailable:
            await act
        assert "127.0.0.1" not in str(unavailable.value)
        assert unavailable.value.__suppress_context__


@pytest.mark.parametrize("act", ["list", "delete", "read"])
async def test_a_folder_that_is_not_mounted_is_a_fault_for_its_operator(tmp_path: Path, act: str) -> None:
    faults, place = FaultLines(), tmp_path / "media"
    storage = ObjectStorage.from_url(place.as_uri(), faults=faults)

    async def acts() -> None:
        match act:
            case "list":
                await storage.listed("", 1)
            case "delete":
                await storage.delete_prefix("a")
            case _:
                assert await storage.head(KEY) is None

    elsewhere = place.rename(tmp_path / "elsewhere")
    with pytest.raises(ServiceUnavailable) as unavailable:
        await acts()
    assert unavailable.value.reported
    elsewhere.rename(place)
    await acts()
    where = f"{SETTING} ({act})"
    assert faults.lines == [f"{where}: the folder of outputs cannot be used", f"{where}: mended"]


async def test_a_disk_that_fails_is_a_fault_for_its_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> list[Listed]:
        raise OSError(errno.EIO, "Input/output error")

    faults = FaultLines()
    storage = ObjectStorage.from_url((tmp_path / "media").as_uri(), faults=faults)
    monkeypatch.setattr(folders, "listed", failing)
    with pytest.raises(ServiceUnavailable):
        await storage.listed("", 1)
    assert faults.lines == [f"{SETTING} (list): the folder of outputs cannot be used"]


@pytest.mark.parametrize("url", ["", "/var/media", "file://host/media", "s3://", "gs://media", "http://media/x"])
def test_another_kind_of_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="storage URL"):
        ObjectStorage.from_url(url)


async def test_a_probe_deletes_what_a_killed_one_left(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one's that runs at present stays, and so does everything else."""
    for key in (KEY, f"{probe.PREFIX}/left.txt", "other/0.png"):
        await storage.put(key, chunks(probe.CONTENT), content_type="text/plain", max_bytes=PLENTY)
    await probe.probe(storage)
    assert await keys(storage) == {KEY, f"{probe.PREFIX}/left.txt", "other/0.png"}
    monkeypatch.setattr(probe, "LEFT_AFTER", -probe.LEFT_AFTER)
    await probe.probe(storage)
    assert await keys(storage) == {KEY, "other/0.png"}


async def test_a_probe_deletes_an_unfinished_file_of_a_killed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = folder(tmp_path)
    await probe.probe(storage)
    (tmp_path / "my media" / probe.PREFIX).mkdir(exist_ok=True)
    (tmp_path / "my media" / probe.PREFIX / "left.txt#1").write_bytes(probe.CONTENT[:3])
    monkeypatch.setattr(probe, "LEFT_AFTER", -probe.LEFT_AFTER)
    await probe.probe(storage)
    assert left(tmp_path) == []


async def keys(storage: Storage) -> set[str]:
    return {one.key for one in await storage.listed("", 1000)}
