"""Outputs in storage that nobody needs any more: expired ones, and what no row names.

One order for everything: the objects go first, then the row says so. Killed in between, the next round deletes nothing,
and marks the row. Every method is one round: bounded, safe to do twice, safe from many processes at once.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from domain.errors import ServiceUnavailable
from domain.media import OutputFolder
from domain.rounds import MaintenanceErrors, Round
from storage.base import Listed, Storage

ORPHAN_MARGIN = timedelta(days=1)
"""Longer than any job: what is older than an output's lifetime and this, no row that was lost can have kept alive."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much a round does at most."""

    batch: int = 100
    max_round: timedelta = timedelta(seconds=30)
    max_deletion: timedelta = timedelta(seconds=10)
    """Of one job's outputs."""
    retry_pause: timedelta = timedelta(minutes=5)
    """Before outputs that could not be deleted are tried again: others come first."""
    scan_batch: int = 1000
    scan_pause: timedelta = timedelta(hours=6)
    """Between the end of one search for orphans and the next one's beginning."""


class StoredOutputRows(Protocol):
    """What PostgreSQL knows of the objects in storage."""

    async def due(self, limit: int) -> list[OutputFolder]: ...

    async def deleted(self, job_id: UUID) -> None: ...

    async def retry_after(self, job_id: UUID, pause: timedelta) -> None: ...

    async def orphans(self, old: Collection[OutputFolder], recent: Collection[OutputFolder]) -> list[OutputFolder]: ...

    async def scan_position(self, pause: timedelta) -> str | None: ...

    async def scanned(self, position: str) -> None: ...


class StoredOutputsMaintenance:
    """Deletes from storage what is not served any more."""

    def __init__(
        self,
        rows: StoredOutputRows,
        storage: Storage,
        errors: MaintenanceErrors,
        max_lifetime: Callable[[], timedelta],
        pace: Pace = Pace(),
    ) -> None:
        """`max_lifetime` returns the longest time for which an output of any plan is stored."""
        self._rows, self._storage, self._errors = rows, storage, errors
        self._pace = pace
        self._max_lifetime = max_lifetime

    async def delete_expired(self) -> int:
        """Delete the outputs that have expired, and what jobs that ended without outputs left. How many jobs' it was.

        Raises `ServiceUnavailable` while storage or PostgreSQL is away; what is left, the next round deletes.
        """
        deleted, end = 0, self._end_of_round()
        while due := await self._rows.due(self._pace.batch):
            deleted += await self._round("delete_expired_outputs").run(due, self._delete_due)
            if _over(end):
                break
        return deleted

    async def delete_orphans(self) -> int:
        """Search some more of the storage for objects that no row needs, and delete them. How many jobs' it was.

        A search takes as many rounds as it needs, then pauses. Where it is, PostgreSQL remembers.
        """
        deleted, end = 0, self._end_of_round()
        position = await self._rows.scan_position(self._pace.scan_pause)
        while position is not None:
            objects = await self._storage.listed(position, self._pace.scan_batch)
            deleted += await self._delete_orphans_of(objects)
            position = objects[-1].key if len(objects) == self._pace.scan_batch else None
            await self._rows.scanned(position or "")
            if _over(end):
                break
        return deleted

    async def _delete_due(self, folder: OutputFolder) -> int:
        try:
            await self._delete_folder(folder)
        except Exception:  # whatever it is, it is raised again: the round reports it
            await self._rows.retry_after(folder.job_id, self._pace.retry_pause)
            raise
        await self._rows.deleted(folder.job_id)
        return 1

    async def _delete_orphans_of(self, objects: list[Listed]) -> int:
        long_ago = datetime.now(UTC) - self._max_lifetime() - ORPHAN_MARGIN
        old, recent = set[OutputFolder](), set[OutputFolder]()
        for stored in objects:
            folder = OutputFolder.of(stored.key)
            if folder is not None:
                (old if stored.modified_at < long_ago else recent).add(folder)
        orphans = await self._rows.orphans(old, recent - old)
        try:
            return await self._round("delete_orphaned_outputs").run(orphans, self._delete_orphan)
        except ServiceUnavailable:  # named in the log: the search goes on, and the next one finds them again
            return 0

    async def _delete_orphan(self, folder: OutputFolder) -> int:
        await self._delete_folder(folder)
        return 1

    async def _delete_folder(self, folder: OutputFolder) -> None:
        """Delete one folder, with a timeout of its own, so that a slow store does not delay the other folders."""
        try:
            async with asyncio.timeout(self._pace.max_deletion.total_seconds()):
                await self._storage.delete_prefix(folder.prefix)
        except TimeoutError:
            raise ServiceUnavailable from None

    def _end_of_round(self) -> float:
        return asyncio.get_running_loop().time() + self._pace.max_round.total_seconds()

    def _round(self, task: str) -> Round[OutputFolder]:
        return Round(task, lambda folder: f"job {folder.job_id}", lambda folder: folder.account_id, self._errors)


def _over(end: float) -> bool:
    return asyncio.get_running_loop().time() >= end
