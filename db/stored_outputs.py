"""Tells which objects in storage are still needed. A job's row is kept until its objects are deleted."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from db.engine import Database
from domain.media import COPY_GRACE, OutputFolder

NOT_DELETED = """(j.outputs_deleted_at IS NULL
    AND (j.state = 'succeeded' OR (j.state IN ('failed', 'cancelled') AND j.submit_intended_at IS NOT NULL)))"""
"""Files of the ended job `j` may be in storage. A job that never was at a provider has none."""

# The clock of the database decides.
_DUE = """
SELECT account_id, id FROM media_jobs
WHERE outputs_deleted_at IS NULL AND state = 'succeeded' AND (expires_at <= now() OR expires_at IS NULL)
    AND (outputs_retry_at IS NULL OR outputs_retry_at <= now())
UNION ALL
SELECT account_id, id FROM media_jobs
WHERE outputs_deleted_at IS NULL AND state IN ('failed', 'cancelled') AND submit_intended_at IS NOT NULL
    AND finished_at <= now() - :grace AND (outputs_retry_at IS NULL OR outputs_retry_at <= now())
LIMIT :batch
"""
_DELETED = """
UPDATE media_jobs SET outputs_deleted_at = now(), outputs_retry_at = NULL
WHERE id = :id AND outputs_deleted_at IS NULL
    AND (state IN ('failed', 'cancelled') OR (state = 'succeeded' AND coalesce(expires_at <= now(), true)))
"""
_EXPIRE = """
UPDATE media_jobs SET expires_at = now() WHERE id = :id AND account_id = :account AND expires_at > now()
"""
_RETRY = "UPDATE media_jobs SET outputs_retry_at = now() + :pause WHERE id = :id AND outputs_deleted_at IS NULL"
# Objects of an unknown account belong to another installation.
_ACCOUNTS = "SELECT id FROM accounts WHERE id = ANY(:ids)"
_NEEDED = """
SELECT id FROM media_jobs
WHERE id = ANY(:ids) AND (state IN ('queued', 'running') OR (state = 'succeeded' AND outputs_deleted_at IS NULL))
"""
_KNOWN = "SELECT id FROM media_jobs WHERE id = ANY(:ids)"
# What is written after a purge is nobody's. It leaves the job's call, or itself, to tell.
_ERASED = """
SELECT id FROM holds WHERE id = ANY(:ids) AND state = 'erased'
UNION ALL
SELECT CAST(part_id AS uuid) FROM purges WHERE part = 'job' AND part_id = ANY(CAST(CAST(:ids AS uuid[]) AS text[]))
"""
_POSITION = "SELECT position FROM storage_scans WHERE position <> '' OR finished_at > now() - :pause"
_MOVE = """
INSERT INTO storage_scans AS s (id, position, finished_at)
VALUES (1, CAST(:position AS text), CASE WHEN CAST(:position AS text) = '' THEN now() END)
ON CONFLICT (id) DO UPDATE
SET position = excluded.position, finished_at = coalesce(excluded.finished_at, s.finished_at)
"""


@dataclass(frozen=True, slots=True)
class StoredOutputs:
    """Each method is one transaction. It is idempotent, also when it runs late."""

    database: Database

    async def due(self, limit: int) -> list[OutputFolder]:
        """Return folders to delete now: of jobs whose outputs have expired, and of jobs that ended without outputs."""
        async with self.database.reading() as session:
            rows = await _rows(session, _DUE, grace=COPY_GRACE, batch=limit)
        return [OutputFolder(account_id, job_id) for account_id, job_id in rows]

    async def deleted(self, job_id: UUID) -> None:
        """Record that nothing of the job is in storage any more."""
        async with self.database.transaction() as session:
            await _run(session, _DELETED, id=job_id)

    async def expire(self, account_id: UUID, job_id: UUID) -> None:
        """End the time of the job's outputs: they are not served any more, and due to be deleted."""
        async with self.database.transaction() as session:
            await _run(session, _EXPIRE, id=job_id, account=account_id)

    async def retry_after(self, job_id: UUID, pause: timedelta) -> None:
        """Record that the folder could not be deleted: it is due again after `pause`."""
        async with self.database.transaction() as session:
            await _run(session, _RETRY, id=job_id, pause=pause)

    async def orphans(self, old: Collection[OutputFolder], recent: Collection[OutputFolder]) -> list[OutputFolder]:
        """Return the orphans: folders that no row needs or will need.

        A folder is an orphan if its job ended without outputs, its outputs were deleted, or a purge has erased it. If
        its job is unknown (pruned, or the database is an older copy), it is an orphan only if it is `old`: older than
        any output is stored.
        A folder of an unknown account is never an orphan.
        """
        folders = [*old, *recent]
        jobs = [folder.job_id for folder in folders]
        async with self.database.snapshot() as session:
            accounts = await _ids(session, _ACCOUNTS, [folder.account_id for folder in folders])
            needed, known = await _ids(session, _NEEDED, jobs), await _ids(session, _KNOWN, jobs)
            known |= await _ids(session, _ERASED, jobs)
        forgotten = {folder for folder in old if folder.job_id not in known}
        return [
            folder
            for folder in folders
            if folder.account_id in accounts
            and folder.job_id not in needed
            and (folder.job_id in known or folder in forgotten)
        ]

    async def scan_position(self, pause: timedelta) -> str | None:
        """Return where the search for orphans continues: "" at its start. None until `pause` after the last search."""
        async with self.database.reading() as session:
            rows = await _rows(session, _POSITION, pause=pause)
        if not rows:
            return ""
        return rows[0][0] or None

    async def scanned(self, position: str) -> None:
        """Record how far the search has come; "" means that it has ended."""
        async with self.database.transaction() as session:
            await _run(session, _MOVE, position=position)


async def _rows(session: AsyncSession, statement: str, **values: object) -> Sequence[tuple[Any, ...]]:
    connection = await session.connection()
    return [tuple(row) for row in await connection.execute(text(statement), values)]


async def _run(session: AsyncSession, statement: str, **values: object) -> None:
    await (await session.connection()).execute(text(statement), values)


async def _ids(session: AsyncSession, statement: str, ids: list[UUID]) -> set[UUID]:
    return {row[0] for row in await (await session.connection()).execute(text(statement), {"ids": ids})}
