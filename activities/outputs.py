"""The outputs of media jobs on their way into our storage: what may come in, and what may not stay."""

import codecs
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from activities import failures
from domain.errors import NotFound
from domain.media import Job, Kind, Output, OutputFolder, object_key
from providers.base import OutputFile
from storage.base import Storage, Stored

Sniff = Callable[[bytes], str | None]
"""The content type of a file that begins with these bytes; None for what is not served."""

Poster = Callable[[AsyncIterator[bytes], int], Awaitable[bytes | None]]
"""A JPEG of a film of so many bytes; None if there is none to be had. It raises nothing of its own."""


async def no_poster(_film: AsyncIterator[bytes], _size: int) -> None:
    return None


FAMILIES = {Kind.IMAGE: "image/", Kind.VIDEO: "video/", Kind.SPEECH: "audio/"}
"""The content types that each kind makes, by the first bytes. A transcription makes text: see `TEXTS`."""
TEXTS = ("text/plain", "application/json")
EXTENSIONS = {
    "image/jpeg": "jpg",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/mp4": "m4a",
    "text/plain": "txt",
    "application/json": "json",
}
POSTER, POSTER_EXTENSION = "image/jpeg", "poster.jpg"
RAW_AUDIO = "audio/pcm"
"""Samples without a header: nothing in the bytes can confirm it, and no browser takes it for anything else."""


class Bounds(Protocol):
    @property
    def max_output_bytes(self) -> int: ...
    @property
    def max_outputs(self) -> int: ...
    @property
    def sniffed_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class OutputStore:
    storage: Storage
    sniff: Sniff
    poster: Poster = no_poster

    async def require(self, job: Job) -> None:
        """Raises `ServiceUnavailable` while the store is away: what comes with a provider's answer would be lost.

        Reads what is not there. `head` would do, but its answer does not say why a store refuses us.
        """
        with suppress(NotFound):
            async for _ in self.storage.read(object_key(job.account_id, job.id, 0, EXTENSIONS["image/jpeg"]), 0, 1):
                break

    async def keep(self, job: Job, files: AsyncIterator[OutputFile], bounds: Bounds) -> tuple[Output, ...]:
        """Store all files. Keys are derived from the job: a second time writes the same objects.

        Raises for no file, too many, one that is too large or empty, and one of a type that the job does not make.
        """
        outputs: list[Output] = []
        async for file in files:
            if len(outputs) == bounds.max_outputs:
                raise failures.unusable_output()
            outputs.append(await self._keep(job, len(outputs), file, bounds))
        if not outputs:
            raise failures.unusable_output()
        return tuple(outputs)

    async def delete(self, job: Job) -> None:
        """Delete everything that is stored for the job."""
        await self.storage.delete_prefix(OutputFolder(job.account_id, job.id).prefix)

    async def _keep(self, job: Job, index: int, file: OutputFile, bounds: Bounds) -> Output:
        first, chunks = await _peeked(file.chunks, bounds.sniffed_bytes)
        content_type = self._content_type(job.kind, file, first)
        extension = file.extension if content_type == file.content_type else _extension(content_type)
        key = object_key(job.account_id, job.id, index, extension)
        stored = await self.storage.put(key, chunks, content_type=content_type, max_bytes=bounds.max_output_bytes)
        return Output(
            object_key=key,
            content_type=content_type,
            bytes=stored.bytes,
            width=file.width,
            height=file.height,
            duration=file.duration,
            poster=await self._poster_of(job, index, stored) if job.kind is Kind.VIDEO else None,
        )

    async def _poster_of(self, job: Job, index: int, film: Stored) -> Output | None:
        picture = await self.poster(self.storage.read(film.key, 0, film.bytes), film.bytes)
        if picture is None:
            return None
        key = object_key(job.account_id, job.id, index, POSTER_EXTENSION)
        stored = await self.storage.put(key, _once(picture), content_type=POSTER, max_bytes=len(picture))
        return Output(object_key=key, content_type=POSTER, bytes=stored.bytes)

    def _content_type(self, kind: Kind, file: OutputFile, first: bytes) -> str:
        if kind is Kind.TRANSCRIPTION:
            return _type_of_text(file.content_type, first)
        if kind is Kind.SPEECH and file.content_type == RAW_AUDIO and first:
            return RAW_AUDIO
        content_type = self.sniff(first)
        if content_type is None or not content_type.startswith(FAMILIES[kind]):
            raise failures.unusable_output()
        return content_type


def _type_of_text(content_type: str, first: bytes) -> str:
    """Return the type that the adapter says, for bytes that are text. Its outputs are downloads, no pages."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(first)
    except UnicodeDecodeError:
        text = ""
    if not text or "\0" in text or content_type not in TEXTS:
        raise failures.unusable_output()
    return content_type


def _extension(content_type: str) -> str:
    return EXTENSIONS.get(content_type, content_type.rpartition("/")[2])


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _peeked(chunks: AsyncIterator[bytes], enough: int) -> tuple[bytes, AsyncIterator[bytes]]:
    """The first bytes, and the whole again."""
    first = b""
    async for chunk in chunks:
        first += chunk
        if len(first) >= enough:
            break

    async def whole() -> AsyncIterator[bytes]:
        if first:
            yield first
        async for chunk in chunks:
            yield chunk

    return first, whole()
