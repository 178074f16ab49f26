"""Objects in a local folder or in an S3 bucket, over obstore."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, UnknownConfigurationKeyError
from obstore.store import LocalStore, S3Store

from domain.errors import NotFound, OutputTooLarge, ServiceUnavailable
from domain.faults import FaultLog
from storage import folders, sniff
from storage.base import Listed, Stored
from storage.faults import StoreFaults

CHUNK = 256 * 1024
WHOLE = 5 * 1024 * 1024
"""Bytes. An object up to this size is uploaded in one request, a larger one in parts of this size."""
PARTS_AT_ONCE = 4
LISTED_AT_ONCE = 1000
MAX_FAILED_AT_FIRST = 3

_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class ObjectStorage:
    """Implements `storage.base.Storage`."""

    def __init__(
        self, store: LocalStore | S3Store, *, folder: Path | None = None, faults: FaultLog | None = None
    ) -> None:
        self._store = store
        self._folder = folder
        self._watched = StoreFaults(faults, folder=folder is not None).watched

    @classmethod
    def from_url(cls, url: str, options: Mapping[str, str] | None = None, *, faults: FaultLog | None = None) -> Self:
        """Open `file:///folder` (created if missing, for this user alone) or `s3://bucket/prefix`.

        `options` are the standard `AWS_*` names with their values; obstore looks up the missing ones itself.
        What is wrong at the store goes to `faults`, in words for its operator.
        """
        parts = urlsplit(url)
        if parts.scheme == "file" and parts.netloc in ("", "localhost"):
            folder = Path(unquote(parts.path))
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls(LocalStore(folder, automatic_cleanup=True), folder=folder, faults=faults)
        if parts.scheme == "s3" and parts.netloc:
            return cls(_bucket(parts.netloc, parts.path.strip("/"), dict(options or {})), faults=faults)
        raise ValueError("a storage URL is file:///absolute/folder or s3://bucket/prefix")

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, content_type: str, max_bytes: int) -> Stored:
        _checked(key)
        capped = _Capped(chunks, max_bytes)
        source = aiter(capped)
        first = bytearray()
        async for chunk in source:
            first += chunk
            if len(first) >= WHOLE:
                break
        # The local store refuses attributes: there the key's extension gives the type.
        attributes = None if self._folder else {"Content-Type": content_type}
        body = bytes(first) if len(first) < WHOLE else _joined(first, source)
        with self._watched("write"):
            written = await obstore.put_async(
                self._store, key, body, attributes=attributes, chunk_size=WHOLE, max_concurrency=PARTS_AT_ONCE
            )
        stored_type = sniff.by_extension(key) if self._folder else content_type
        return Stored(key=key, bytes=capped.taken, content_type=stored_type, version=written["e_tag"])

    async def head(self, key: str) -> Stored | None:
        if not _KEY.fullmatch(key):
            return None
        try:
            with self._watched("read"):
                self._require_folder()
                result = await obstore.get_async(self._store, key, options={"head": True})
        except FileNotFoundError:
            return None
        content_type = result.attributes.get("Content-Type") or sniff.by_extension(key)
        return Stored(key=key, bytes=result.meta["size"], content_type=content_type, version=result.meta["e_tag"])

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        if start >= end:
            return
        _checked(key)
        try:
            with self._watched("read"):
                result = await obstore.get_async(self._store, key, options={"range": (start, end)})
        except FileNotFoundError:
            raise NotFound from None
        with self._watched("read"):
            async for chunk in result.stream(min_chunk_size=CHUNK // 4):
                for at in range(0, len(chunk), CHUNK):
                    yield bytes(chunk[at : at + CHUNK])

    async def delete(self, key: str) -> None:
        _checked(key)
        with suppress(FileNotFoundError), self._watched("delete"):
            await obstore.delete_async(self._store, key)
        if self._folder:
            await asyncio.to_thread(_remove_partial, self._folder / key)

    async def delete_prefix(self, prefix: str) -> int:
        _checked(prefix)
        tried, failed = set[str](), set[str]()
        with self._watched("delete"):
            self._require_folder()
            while keys := await self._below(prefix, tried):
                tried.update(keys)
                try:
                    await obstore.delete_async(self._store, keys)
                except (BaseError, OSError):
                    failed |= await self._delete_singly(keys)
        # The store does not list the unfinished files of a killed writer, but they hold a customer's content.
        gone = self._folder is None or await asyncio.to_thread(folders.remove, self._folder / prefix)
        if failed or not gone:
            raise ServiceUnavailable
        return len(tried)

    async def listed(self, after: str, limit: int) -> list[Listed]:
        objects: list[Listed] = []
        with self._watched("list"):
            self._require_folder()
            if self._folder:
                return await asyncio.to_thread(folders.listed, self._folder, after, limit)
            async for batch in obstore.list(self._store, offset=after or None, chunk_size=min(limit, LISTED_AT_ONCE)):
                objects += [Listed(meta["path"], meta["size"], meta["last_modified"]) for meta in batch]
                if len(objects) >= limit:
                    break
        return objects[:limit]

    async def link(self, key: str, lifetime: timedelta) -> str | None:
        """Return a link with which anybody may read the object for a time. None for a folder, which has none."""
        _checked(key)
        if isinstance(self._store, LocalStore):
            return None
        with self._watched("read"):
            return await obstore.sign_async(self._store, "GET", key, lifetime)

    def _require_folder(self) -> None:
        """Raises if the folder is missing: then its disk is not mounted, and the store is not empty."""
        if self._folder and not self._folder.is_dir():
            raise NotADirectoryError

    async def _below(self, prefix: str, tried: set[str]) -> list[str]:
        """Return the first objects below the prefix that were not tried yet."""
        try:
            async for batch in obstore.list(self._store, prefix, chunk_size=LISTED_AT_ONCE):
                if keys := [meta["path"] for meta in batch if meta["path"] not in tried]:
                    return keys
        except FileNotFoundError:  # the bucket itself
            raise ServiceUnavailable from None
        return []

    async def _delete_singly(self, keys: Sequence[str]) -> set[str]:
        """Return the keys that cannot be deleted. Raises if the first ones all fail: the store is unavailable."""
        failed = set[str]()
        for number, key in enumerate(keys, start=1):
            try:
                await obstore.delete_async(self._store, key)
            except FileNotFoundError:
                continue
            except (BaseError, OSError):
                failed.add(key)
                if len(failed) == number == MAX_FAILED_AT_FIRST:
                    raise
        return failed


class _Capped:
    """Passes chunks on and counts them, up to `max_bytes` bytes in total."""

    def __init__(self, chunks: AsyncIterator[bytes], max_bytes: int) -> None:
        self._chunks = chunks
        self._max_bytes = max_bytes
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            self.taken += len(chunk)
            if self.taken > self._max_bytes:
                raise OutputTooLarge
            yield chunk


async def _joined(first: bytearray, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield bytes(first)
    first.clear()
    async for chunk in rest:
        yield chunk


def _bucket(name: str, prefix: str, options: dict[str, str]) -> S3Store:
    endpoint = next((value for option, value in options.items() if "ENDPOINT" in option.upper()), "")
    allow_http = options.pop("AWS_ALLOW_HTTP", "").lower() == "true" or endpoint.startswith("http://")
    config = cast("Any", {option: value for option, value in options.items() if _is_known(option)})
    try:
        return S3Store(name, prefix=prefix or None, config=config, **_waits(allow_http))
    except BaseError:  # its text may quote a value
        raise ValueError("the AWS_ variables are not complete: a key has an id and a secret") from None


def _is_known(option: str) -> bool:
    """Other programs have `AWS_` variables too, and the store takes none that it does not know."""
    try:
        S3Store("any", config=cast("Any", {option: ""}))
    except UnknownConfigurationKeyError:
        return False
    except BaseError:  # known, with another value or with a second option
        return True
    return True


def _waits(allow_http: bool) -> Any:
    return {
        # By default a call times out after 30 s whatever its size, and a dead server is tried for three minutes.
        "client_options": {
            "allow_http": allow_http,
            "connect_timeout": timedelta(seconds=5),
            "read_timeout": timedelta(seconds=30),
            "timeout": timedelta(minutes=15),
        },
        "retry_config": {"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
    }


def _checked(key: str) -> None:
    if not _KEY.fullmatch(key):
        raise ValueError("an object key is made of plain segments, none of them beginning with a dot")


def _remove_partial(path: Path) -> None:
    for partial in path.parent.glob(f"{path.name}#*"):
        partial.unlink(missing_ok=True)
