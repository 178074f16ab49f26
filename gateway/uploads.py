"""Uploads: files that an account sends before the job that needs them. They are sealed, and end after a time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from db import accounts, sealed_parts, stored_bytes
from db import uploads as stored
from db.data_keys import ContentKey, Sealing
from db.engine import Database
from db.upload_tables import UploadRow
from domain.errors import EndedByPurge, NotFound, StorageFull
from domain.media_files import MIB, FileFacts, MediaFile, upload_id, upload_name
from domain.records import record
from gateway.ids import new_id

NO_UPLOAD = "There is no such upload in this account, or it has expired."


@dataclass(frozen=True, slots=True)
class Upload:
    id: UUID
    facts: FileFacts
    bytes: int
    created_at: datetime
    expires_at: datetime

    @property
    def name(self) -> str:
        return upload_name(self.id)


@record
class UploadPage:
    data: list[Upload]
    next: UUID | None
    """The id of the last upload of this page, if more follow."""


@dataclass(frozen=True, slots=True)
class UploadRules:
    lifetime: timedelta = timedelta(hours=24)
    max_bytes: int = 500 * MIB
    """Of an account's uploads together."""
    max_stored_bytes: int | None = None
    """Of all its files. None: no limit."""


class Uploads:
    def __init__(self, database: Database, sealing: Sealing, rules: UploadRules = UploadRules()) -> None:
        self._database, self._sealing, self._rules = database, sealing, rules

    async def create(self, account_id: UUID, file: MediaFile) -> Upload:
        """Store a file. Raises `StorageFull` when the account's uploads would be too large together."""
        async with self._database.reading() as session:
            key = await self._sealing.current(session, account_id)
            self._require_space(await stored.usage(session, account_id), len(file.content))
        now, id_ = datetime.now(UTC), new_id()
        row = UploadRow(
            id=id_,
            account_id=account_id,
            epoch=key.epoch,
            content_type=file.facts.content_type,
            bytes=len(file.content),
            width=file.facts.width,
            height=file.facts.height,
            seconds=file.facts.seconds,
            created_at=now,
            expires_at=now + self._rules.lifetime,
        )
        parts = await asyncio.to_thread(partial(sealed_parts.seal, key, file.content, name=_name(row)))
        async with self._database.transaction(account=account_id) as session:
            await stored.add(session, row, parts)
            await accounts.lock(session, account_id)  # as late as possible: the account's calls wait for it
            if await accounts.epoch(session, account_id) != key.epoch:
                raise EndedByPurge("A purge of this account has begun. Send the file again.")
            held = await stored_bytes.of(session, account_id)
            self._require_space(held.uploads, 0)
            held.require_within(self._rules.max_stored_bytes)
        return _upload(row)

    async def listed(self, account_id: UUID, before: UUID | None, limit: int) -> UploadPage:
        """List live uploads, the newest first."""
        async with self._database.reading() as session:
            rows = await stored.listed(session, account_id, before, limit + 1)
        page = [_upload(row) for row in rows[:limit]]
        return UploadPage(page, page[-1].id if len(rows) > limit else None)

    async def find(self, account_id: UUID, name: str) -> Upload:
        """Raises `NotFound`, also for an upload of another account."""
        async with self._database.reading() as session:
            row = await stored.find(session, account_id, _id(name))
        if row is None:
            raise NotFound(NO_UPLOAD)
        return _upload(row)

    async def read(self, account_id: UUID, name: str) -> MediaFile:
        """Return the file. Raises `NotFound` as `find` does."""
        async with self._database.reading() as session:
            row = await stored.find(session, account_id, _id(name))
            if row is None:
                raise NotFound(NO_UPLOAD)
            key = await self._sealing.of_epoch(session, account_id, row.epoch)
            parts = await stored.parts(session, row.id)
        return await asyncio.to_thread(_opened, key, row, parts)

    async def delete(self, account_id: UUID, name: str) -> None:
        """Raises `NotFound` as `find` does. A job that was accepted with the file has its own copy."""
        async with self._database.transaction() as session:
            if not await stored.delete(session, account_id, _id(name)):
                raise NotFound(NO_UPLOAD)

    def _require_space(self, used: int, more: int) -> None:
        if used + more > self._rules.max_bytes:
            raise StorageFull(
                f"The uploads of this account would have {used + more:,} bytes; they may have "
                f"{self._rules.max_bytes:,}. Delete some (DELETE /api/media/uploads/<id>/), or wait until they expire."
            )


def _opened(key: ContentKey, row: UploadRow, parts: Sequence[bytes]) -> MediaFile:
    return MediaFile(_facts(row), sealed_parts.unseal(key, parts, name=_name(row)))


def _id(name: str) -> UUID:
    parsed = upload_id(name)
    if parsed is None:
        raise NotFound(NO_UPLOAD)
    return parsed


def _name(row: UploadRow) -> str:
    return f"upload_parts|{row.id}"


def _facts(row: UploadRow) -> FileFacts:
    return FileFacts(row.content_type, row.width, row.height, row.seconds)


def _upload(row: UploadRow) -> Upload:
    return Upload(row.id, _facts(row), row.bytes, row.created_at, row.expires_at)
