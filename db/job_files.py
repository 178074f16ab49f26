"""The input files of jobs, in sealed parts. They are written with their job, and deleted when it ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from uuid import UUID

from sqlalchemy import delete as deletion
from sqlalchemy import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import sealed_parts
from db.data_keys import ContentKey, Sealing
from db.engine import Database
from db.media_tables import MediaJobRow
from db.upload_tables import JobFileRow
from domain.errors import NotFound
from domain.media import MediaInput


def sealed(key: ContentKey, account_id: UUID, job_id: UUID, inputs: Sequence[MediaInput]) -> list[dict[str, object]]:
    """Return the rows of a job's input files. It takes time for large files, and no connection."""
    return [
        {
            "job_id": job_id,
            "file": number,
            "part": part,
            "role": file.role,
            "content_type": file.content_type,
            "epoch": key.epoch,
            "sealed": content,
            "account_id": account_id,
        }
        for number, file in enumerate(inputs)
        for part, content in enumerate(
            sealed_parts.seal(key, file.content, name=_name(job_id, number, file.role, file.content_type))
        )
    ]


async def add(session: AsyncSession, rows: Sequence[dict[str, object]]) -> None:
    """Write them before their job, in one transaction: the account is locked after it, and not for as long."""
    if rows:
        await (await session.connection()).execute(insert(JobFileRow), list(rows))


async def delete(session: AsyncSession, job_id: UUID) -> None:
    await session.exec(deletion(JobFileRow).where(col(JobFileRow.job_id) == job_id))


@dataclass(frozen=True, slots=True)
class JobFiles:
    """Implements `activities.ports.Inputs`."""

    database: Database
    sealing: Sealing

    async def of(self, job_id: UUID) -> tuple[MediaInput, ...]:
        """Return a job's input files, in their order. None once the job has ended."""
        query = select(JobFileRow).where(JobFileRow.job_id == job_id)
        async with self.database.reading() as session:
            rows = (await session.exec(query.order_by(col(JobFileRow.file), col(JobFileRow.part)))).all()
            if not rows:
                return ()
            owner = (await session.exec(select(MediaJobRow.account_id).where(MediaJobRow.id == job_id))).one_or_none()
            if owner is None:
                raise NotFound
            key = await self.sealing.of_epoch(session, owner, rows[0].epoch)
        return tuple(_opened(key, list(parts)) for _, parts in groupby(rows, key=lambda row: row.file))


def _opened(key: ContentKey, rows: Sequence[JobFileRow]) -> MediaInput:
    first = rows[0]
    name = _name(first.job_id, first.file, first.role, first.content_type)
    content = sealed_parts.unseal(key, [row.sealed for row in rows], name=name)
    return MediaInput(first.role, first.content_type, content)


def _name(job_id: UUID, number: int, role: str, content_type: str) -> str:
    return f"job_files|{job_id}|{number}|{role}|{content_type}"
