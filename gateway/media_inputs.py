"""The input files of a job as its caller gives them: a URL, a data URI, an upload, or the bytes of a form.

They are read before anything is held, and checked by their bytes. Every fault is a 400 that names the field.
"""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from time import monotonic
from typing import Any, Protocol
from uuid import UUID

from domain.counts import counted
from domain.errors import NotFound, RequestInvalid
from domain.media import MediaInput
from domain.media_files import ROLES, FileFacts, FileLimits, MediaFile
from domain.media_orders import InputCounts
from domain.media_schema import Input, MediaSchema
from domain.records import record
from gateway.body_budget import BodyBudget, BodyClaim
from gateway.fair_turns import FairTurns
from gateway.uploads import Uploads

MAX_RUNNING = 32
"""Accounts whose input files are read at a time, in a process: those of one job of each."""
MAX_WAITING = 8
"""More jobs with input files of one account, that wait. One more is answered with 429."""
MAX_FILES = 16
"""Of a job."""
PRICED_IMAGES = frozenset({"image", "reference"})
"""Roles of pictures that have a price each, where a model has one."""
FETCH_TIMEOUT = timedelta(seconds=10)
ALL_FETCHES_TIMEOUT = timedelta(seconds=30)
"""Of the files of one job, which has one of few turns meanwhile."""
UNMEASURED = (
    "The length of '{name}' cannot be measured: it has no sound, is damaged, is longer than 8 hours, takes too long to "
    "decode, or has a format that this server does not decode. Every server measures WAV (PCM), MP3, FLAC, AAC (ADTS) "
    "and Ogg (Opus)."
)

MAX_MEASURED = 2
"""Recordings that are measured at a time, in a process: one of an account."""

ReadFacts = Callable[[bytes], FileFacts | None]
"""What a file is by its bytes; None for what is not taken."""
Measure = Callable[[bytes, str], Awaitable[Decimal | None]]
"""The seconds of a recording of a content type. None for one that cannot be measured."""


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
class FileReaders:
    """How the bytes of a file are looked at."""

    facts: ReadFacts
    measure: Measure


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
    name: str = field(repr=False)
    """The field of the request."""
    file: MediaFile = field(repr=False)
    seconds: Decimal | None = None
    """The length of a recording, as it was measured. None for other files."""

    @property
    def input(self) -> MediaInput:
        return MediaInput(self.role, self.file.facts.content_type, self.file.content)


def split(
    schema: MediaSchema,
    parameters: Mapping[str, object],
    files: Mapping[str, Sequence[str | bytes]],
    names: Mapping[str, str],
) -> tuple[dict[str, object], tuple[GivenInput, ...]]:
    """Return the parameters of a request without its input files, and these. `names` are the caller's, by ours.

    A field that the model takes as a file has one as a text, or several in a list. Raises `RequestInvalid` that names
    the field.
    """
    given = {
        role: _listed_files(names.get(role, role), parameters[role]) for role in parameters if role in schema.inputs
    }
    given |= {role: list(files[role]) for role in files if files[role]}
    for role in given.keys() - schema.inputs.keys():
        name = names.get(role, role)
        raise RequestInvalid(f"This model takes no '{name}'.", param=name, code="unsupported_parameter")
    for role, rule in schema.inputs.items():
        _require_number(names.get(role, role), rule, len(given.get(role, ())))
    for role in given:
        _require_combination(role, schema.inputs[role], given.keys(), names)
    inputs = [
        GivenInput(
            role, source, names.get(role, role), frozenset(schema.inputs[role].types), schema.inputs[role].max_bytes
        )
        for role in schema.inputs
        for source in given.get(role, ())
    ]
    return {name: value for name, value in parameters.items() if name not in schema.inputs}, tuple(inputs)


def _listed_files(name: str, value: object) -> list[str | bytes]:
    files: list[Any] = value if isinstance(value, list) else [value]
    if not files or not all(isinstance(file, str) for file in files):
        raise RequestInvalid(
            f"'{name}' must be an https URL, a data URI or the id of an upload, or a list of these.",
            param=name,
            code="invalid_type",
        )
    return files


def _require_number(name: str, rule: Input, number: int) -> None:
    if rule.required and number == 0:
        raise RequestInvalid(f"'{name}' is required: a file.", param=name, code="missing_required_parameter")
    if number > rule.max:
        raise RequestInvalid(f"'{name}' may have at most {counted(rule.max, 'file')}.", param=name)


def _require_combination(role: str, rule: Input, given: Collection[str], names: Mapping[str, str]) -> None:
    """Raises `RequestInvalid` if an input is missing beside this one, or must not be there beside it."""
    name = names.get(role, role)
    for other in rule.needs:
        if other not in given:
            missing = names.get(other, other)
            raise RequestInvalid(
                f"'{missing}' is required beside '{name}'.", param=missing, code="missing_required_parameter"
            )
    for other in rule.without:
        if other in given:
            raise RequestInvalid(f"This model does not take '{name}' with '{names.get(other, other)}'.", param=name)


def counts(inputs: Sequence[ResolvedInput]) -> InputCounts:
    """Return what is priced of the files."""
    lengths = [one.seconds for one in inputs if one.seconds is not None]
    seconds = sum(lengths, Decimal(0)) if lengths else None
    return InputCounts(images=sum(one.role in PRICED_IMAGES for one in inputs), seconds=seconds)


class MediaInputs:
    def __init__(
        self,
        uploads: Uploads,
        readers: FileReaders,
        limits: FileLimits,
        budget: BodyBudget,
        urls: UrlFiles | None = None,
    ) -> None:
        """Without `urls`, no URL is taken."""
        self._uploads, self._readers, self._limits = uploads, readers, limits
        self._budget, self._urls = budget, urls
        self._turns, self._measured = FairTurns(MAX_RUNNING, MAX_WAITING), FairTurns(MAX_MEASURED, MAX_WAITING)

    @asynccontextmanager
    async def turn(self, account_id: UUID) -> AsyncIterator[BodyClaim]:
        """Have the account's turn to read input files, one job at a time, and a claim of what they take of the memory.

        Raises `RateLimited` if many wait.
        """
        async with self._turns.turn(account_id):
            with self._budget.claim() as claim:
                yield claim

    async def resolve(
        self, account_id: UUID, given: Sequence[GivenInput], claim: BodyClaim
    ) -> tuple[ResolvedInput, ...]:
        """Read and check the input files of one job. Call it in the account's `turn`, and outside of a transaction.

        What is not in the request itself counts as part of the `claim`, which outlives it. Raises `RequestInvalid` that
        names the field, and what `claim.take` raises.
        """
        if len(given) > MAX_FILES:
            raise RequestInvalid(f"A job has at most {MAX_FILES} input files.", param=given[MAX_FILES].name)
        files = []
        owner = _Owner(account_id, claim, self._limits.largest)
        for one in given:
            resolved = await self._resolved(owner, one)
            owner.bytes_left -= len(resolved.file.content)
            if owner.bytes_left < 0:
                allowed = f"at most {self._limits.largest:,} bytes together"
                raise RequestInvalid(f"The input files of a job have {allowed}.", param=one.name)
            files.append(resolved)
        return tuple(files)

    async def checked(self, content: bytes, name: str, accepted: Collection[str]) -> MediaFile:
        """Return what a file is. Raises `RequestInvalid` that names the field if it may not be used."""
        facts = await asyncio.to_thread(self._readers.facts, content)
        if facts is None or facts.content_type not in accepted:
            raise RequestInvalid(f"'{name}' must be a file of one of these types: {_listed(accepted)}.", param=name)
        if (problem := self._limits.problem(facts, len(content))) is not None:
            raise RequestInvalid(f"'{name}' {problem}.", param=name)
        return MediaFile(facts, content)

    def max_bytes(self, accepted: Collection[str], of_the_model: int | None = None) -> int:
        ours = max(self._limits.max_bytes(content_type) for content_type in accepted)
        return ours if of_the_model is None else min(ours, of_the_model)

    async def _resolved(self, owner: "_Owner", given: GivenInput) -> ResolvedInput:
        limit = self.max_bytes(given.accepted, given.max_bytes)
        content = await self._content(owner, given, limit)
        if len(content) > limit:
            raise _too_large(given, limit)
        file = await self.checked(content, given.name, given.accepted)
        seconds = await self._length(owner.account_id, given.name, file) if given.role == "audio" else None
        return ResolvedInput(given.role, given.name, file, seconds)

    async def _length(self, account_id: UUID, name: str, file: MediaFile) -> Decimal:
        async with self._measured.turn(account_id):
            seconds = await self._readers.measure(file.content, file.facts.content_type)
        if seconds is None:
            raise RequestInvalid(UNMEASURED.format(name=name), param=name)
        return seconds

    async def _content(self, owner: "_Owner", given: GivenInput, limit: int) -> bytes:
        source = given.source
        if isinstance(source, bytes):
            return source
        scheme = source[:8].lower()
        if scheme.startswith("data:"):
            return await asyncio.to_thread(_decoded, given, source, limit)
        if scheme.startswith(("https:", "http:")):
            return await self._fetched(owner, given, source, min(limit, owner.bytes_left))
        try:
            await owner.claim.take(owner.account_id, (await self._uploads.find(owner.account_id, source)).bytes)
            return (await self._uploads.read(owner.account_id, source)).content
        except NotFound:
            raise RequestInvalid(
                f"'{given.name}' must be an https URL, a data URI, or the id of an upload of this account that has not "
                "expired.",
                param=given.name,
            ) from None

    async def _fetched(self, owner: "_Owner", given: GivenInput, url: str, limit: int) -> bytes:
        if self._urls is None:
            raise RequestInvalid(
                f"'{given.name}' cannot be a URL on this server. Send a data URI, or the id of an upload.",
                param=given.name,
            )
        timeout = min(FETCH_TIMEOUT, owner.fetch_time_left)
        if timeout <= timedelta(0):
            together = f"at most {ALL_FETCHES_TIMEOUT.seconds} seconds together"
            raise RequestInvalid(f"The URLs of a job have {together} to answer.", param=given.name)
        before, began = owner.claim.size, monotonic()
        await owner.claim.take(owner.account_id, limit)  # how large it is, nobody knows yet
        try:
            types = given.accepted | _ALSO_NAMED
            fetched = await self._urls.fetcher.fetch(url, max_bytes=limit, timeout=timeout, types=types)
            owner.fetch_time_left -= timedelta(seconds=monotonic() - began)
            owner.claim.shrink(before + len(fetched.content))
            return fetched.content
        except self._urls.unusable:
            raise RequestInvalid(
                f"The URL in '{given.name}' gives no file that can be used. It must be https and public, and answer "
                f"in {FETCH_TIMEOUT.seconds} seconds, without a redirect, with at most {limit:,} bytes of one of these "
                f"types: {_listed(given.accepted)}.",
                param=given.name,
            ) from None


@dataclass(slots=True)
class _Owner:
    """Whose files of one job are read, and how much of what they may have is left."""

    account_id: UUID
    claim: BodyClaim = field(repr=False)
    bytes_left: int
    """Of what its files may have together."""
    fetch_time_left: timedelta = field(default_factory=lambda: ALL_FETCHES_TIMEOUT)


def _decoded(given: GivenInput, uri: str, limit: int) -> bytes:
    head, comma, text = uri.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise RequestInvalid(f"'{given.name}' must be a data URI in base64: data:image/png;base64,….", param=given.name)
    if len(text) * 3 // 4 > limit + 2:
        raise _too_large(given, limit)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RequestInvalid(f"'{given.name}' is a data URI whose base64 is not valid.", param=given.name) from None


def _too_large(given: GivenInput, limit: int) -> RequestInvalid:
    return RequestInvalid(f"'{given.name}' has more than {limit:,} bytes.", param=given.name)


def _listed(types: Collection[str]) -> str:
    return ", ".join(sorted(types))
