"""The input files of a job as its caller gives them: a URL, a data URI, an upload, or the bytes of a form.

They are read before anything is held, and checked by their bytes. Every fault is a 400 that names the field.
"""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import field
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from domain.errors import NotFound, RequestInvalid
from domain.media import MediaInput
from domain.media_files import ROLES, FileFacts, FileLimits, MediaFile
from domain.records import record
from gateway.fair_turns import FairTurns
from gateway.uploads import Uploads

MAX_RUNNING = 32
"""Accounts whose input files are read at a time, in a process: those of one job of each."""
MAX_WAITING = 8
"""More jobs with input files of one account, that wait. One more is answered with 429."""
MAX_FILES = 16
"""Of a job."""
FETCH_TIMEOUT = timedelta(seconds=10)

ReadFacts = Callable[[bytes], FileFacts | None]
"""What a file is by its bytes; None for what is not taken."""


_ALSO_NAMED = frozenset(
    {
        *("image/jpg", "audio/mp3", "audio/mpeg3", "audio/x-mpeg", "audio/x-wav", "audio/wave", "audio/vnd.wave"),
        *("audio/x-m4a", "audio/m4a", "audio/x-flac", "audio/opus", "application/ogg", "audio/webm", "audio/aacp"),
        "binary/octet-stream",
    }
)
"""Other names that servers have for the types which are taken. The bytes decide."""


class Fetched(Protocol):
    @property
    def content(self) -> bytes: ...


class Fetcher(Protocol):
    async def fetch(self, url: str, *, max_bytes: int, timeout: timedelta, types: Collection[str]) -> Fetched:  # noqa: ASYNC109
        """Return the file behind a caller's URL."""


@record
class UrlFiles:
    """How files behind URLs are fetched."""

    fetcher: Fetcher
    unusable: tuple[type[Exception], ...] = field(repr=False)
    """What the fetcher raises where there is no file that may be used. The caller is told one text for all."""


@record
class GivenInput:
    """One input file, as the caller gives it."""

    role: str
    source: str | bytes = field(repr=False)
    """A URL, a data URI or an upload's id; or the file itself, from a form."""
    param: str = ""
    """The field of the request. Empty: it is named as the role is."""
    types: frozenset[str] = field(default=frozenset(), repr=False)
    """The content types that the model takes. Empty: those of the role."""
    max_bytes: int | None = None
    """What the model takes at most, where it is less than this server's limit."""

    @property
    def name(self) -> str:
        return self.param or self.role

    @property
    def accepted(self) -> frozenset[str]:
        return self.types & ROLES[self.role] if self.types else ROLES[self.role]


@record
class ResolvedInput:
    """An input file that was read and checked."""

    role: str
    file: MediaFile = field(repr=False)

    @property
    def seconds(self) -> float | None:
        """The length of a recording."""
        return self.file.facts.seconds

    @property
    def input(self) -> MediaInput:
        return MediaInput(self.role, self.file.facts.content_type, self.file.content)


class MediaInputs:
    def __init__(self, uploads: Uploads, facts: ReadFacts, limits: FileLimits, urls: UrlFiles | None = None) -> None:
        """Without `urls`, no URL is taken."""
        self._uploads, self._facts, self._limits, self._urls = uploads, facts, limits, urls
        self._turns = FairTurns(MAX_RUNNING, MAX_WAITING)

    @asynccontextmanager
    async def turn(self, account_id: UUID) -> AsyncIterator[None]:
        """Have the account's turn to read input files, one job at a time. Raises `RateLimited` if many wait."""
        async with self._turns.turn(account_id):
            yield

    async def resolve(self, account_id: UUID, given: Sequence[GivenInput]) -> tuple[ResolvedInput, ...]:
        """Read and check the input files of one job. Call it in the account's `turn`, and outside of a transaction.

        Raises `RequestInvalid` that names the field.
        """
        if len(given) > MAX_FILES:
            raise RequestInvalid(f"A job has at most {MAX_FILES} input files.", param=given[MAX_FILES].name)
        files = []
        room = self._limits.largest
        for one in given:
            resolved = await self._resolved(account_id, one)
            room -= len(resolved.file.content)
            if room < 0:
                most = f"{self._limits.largest:,}"
                raise RequestInvalid(f"The input files of a job have at most {most} bytes together.", param=one.name)
            files.append(resolved)
        return tuple(files)

    async def checked(self, content: bytes, name: str, accepted: Collection[str]) -> MediaFile:
        """Return what a file is. Raises `RequestInvalid` that names the field if it may not be used."""
        facts = await asyncio.to_thread(self._facts, content)
        if facts is None or facts.content_type not in accepted:
            raise RequestInvalid(f"'{name}' must be a file of one of these types: {_listed(accepted)}.", param=name)
        if (problem := self._limits.problem(facts, len(content))) is not None:
            raise RequestInvalid(f"'{name}' {problem}.", param=name)
        return MediaFile(facts, content)

    def max_bytes(self, accepted: Collection[str], least: int | None = None) -> int:
        most = max(self._limits.max_bytes(content_type) for content_type in accepted)
        return most if least is None else min(most, least)

    async def _resolved(self, account_id: UUID, given: GivenInput) -> ResolvedInput:
        most = self.max_bytes(given.accepted, given.max_bytes)
        content = await self._content(account_id, given, most)
        if len(content) > most:
            raise _too_large(given, most)
        return ResolvedInput(given.role, await self.checked(content, given.name, given.accepted))

    async def _content(self, account_id: UUID, given: GivenInput, most: int) -> bytes:
        source = given.source
        if isinstance(source, bytes):
            return source
        scheme = source[:8].lower()
        if scheme.startswith("data:"):
            return await asyncio.to_thread(_decoded, given, source, most)
        if scheme.startswith(("https:", "http:")):
            return await self._fetched(given, source, most)
        try:
            return (await self._uploads.read(account_id, source)).content
        except NotFound:
            raise RequestInvalid(
                f"'{given.name}' must be an https URL, a data URI, or the id of an upload of this account that has not "
                "expired.",
                param=given.name,
            ) from None

    async def _fetched(self, given: GivenInput, url: str, most: int) -> bytes:
        if self._urls is None:
            raise RequestInvalid(
                f"'{given.name}' cannot be a URL on this server. Send a data URI, or the id of an upload.",
                param=given.name,
            )
        try:
            types = given.accepted | _ALSO_NAMED
            fetched = await self._urls.fetcher.fetch(url, max_bytes=most, timeout=FETCH_TIMEOUT, types=types)
            return fetched.content
        except self._urls.unusable:
            raise RequestInvalid(
                f"The URL in '{given.name}' gives no file that can be used. It must be https and public, and answer "
                f"in {FETCH_TIMEOUT.seconds} seconds, without a redirect, with at most {most:,} bytes of one of these "
                f"types: {_listed(given.accepted)}.",
                param=given.name,
            ) from None


def _decoded(given: GivenInput, uri: str, most: int) -> bytes:
    head, comma, text = uri.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise RequestInvalid(f"'{given.name}' must be a data URI in base64: data:image/png;base64,….", param=given.name)
    if len(text) * 3 // 4 > most + 2:
        raise _too_large(given, most)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RequestInvalid(f"'{given.name}' is a data URI whose base64 is not valid.", param=given.name) from None


def _too_large(given: GivenInput, most: int) -> RequestInvalid:
    return RequestInvalid(f"'{given.name}' has more than {most:,} bytes.", param=given.name)


def _listed(types: Collection[str]) -> str:
    return ", ".join(sorted(types))
