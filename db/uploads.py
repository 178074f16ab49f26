"""Uploads: files of callers that wait for a job, in sealed parts. One that has expired is not found, and is deleted."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, func, insert
from sqlalchemy import delete as deletion
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from db import expiry
from db.engine import Database
from db.tables import AccountRow
from db.upload_tables import UploadPartRow, UploadRow

BATCH = 100


def _live() -> ColumnElement[bool]:
    """The clock of the database decides, in every process alike."""
    return col(UploadRow.expires_at) > func.now()


def _current(account_id: UUID) -> SelectOfScalar[UploadRow]:
    """Live uploads of the account's present epoch."""
    ours = (col(AccountRow.id) == col(UploadRow.account_id)) & (AccountRow.epoch == UploadRow.epoch)
    return select(UploadRow).join(AccountRow, ours).where(UploadRow.account_id == account_id, _live())


async def add(session: AsyncSession, row: UploadRow, parts: Sequence[bytes]) -> None:
    session.add(row)
    await session.flush()
    rows = [
        {"upload_id": row.id, "part": number, "epoch": row.epoch, "sealed": part} for number, part in enumerate(parts)
    ]
    await (await session.connection()).execute(insert(UploadPartRow), rows)


async def usage(session: AsyncSession, account_id: UUID) -> int:
    """Return the bytes of an account's live uploads."""
    query = select(func.coalesce(func.sum(UploadRow.bytes), 0)).where(UploadRow.account_id == account_id, _live())
    return int((await session.exec(query)).one())


async def listed(session: AsyncSession, account_id: UUID, before: UUID | None, limit: int) -> Sequence[UploadRow]:
    """Return live uploads: the newest first, older than `before`."""
    query = _current(account_id).order_by(col(UploadRow.id).desc()).limit(limit)
    if before is not None:
        query = query.where(UploadRow.id < before)
    return (await session.exec(query)).all()


async def find(session: AsyncSession, account_id: UUID, upload_id: UUID) -> UploadRow | None:
    """Return a live upload of the account."""
    return (await session.exec(_current(account_id).where(UploadRow.id == upload_id))).one_or_none()


async def parts(session: AsyncSession, upload_id: UUID) -> Sequence[bytes]:
    query = select(UploadPartRow.sealed).where(UploadPartRow.upload_id == upload_id)
    return (await session.exec(query.order_by(col(UploadPartRow.part)))).all()


async def delete(session: AsyncSession, account_id: UUID, upload_id: UUID) -> bool:
    """Delete a live upload of the account. False if there is none."""
    query = deletion(UploadRow).where(col(UploadRow.id) == upload_id, col(UploadRow.account_id) == account_id, _live())
    return bool((await session.exec(query)).rowcount)


async def delete_expired(database: Database) -> int:
    """Delete uploads that have expired. Returns how many."""
    columns = col(UploadRow.id), col(UploadRow.expires_at)
    return await expiry.delete_expired(database, UploadRow, *columns, BATCH)
