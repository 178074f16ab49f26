"""Shared pages: rows of sealed content, found by the hash of a slug. A page that ends is deleted."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_
from sqlalchemy import delete as deletion
from sqlalchemy.orm import defer
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from db import expiry
from db.engine import Database, Reader
from db.share_tables import ShareRow
from db.tables import AccountRow

BATCH = 1000
_LISTED: LiteralString = """
SELECT s.id, s.slug_hash, s.epoch, s.messages, s.sealed_heading, s.created_at, s.expires_at
FROM shares s JOIN accounts a ON a.id = s.account_id AND a.epoch = s.epoch
WHERE s.account_id = %(account_id)s AND (s.expires_at IS NULL OR s.expires_at > now())
  AND (CAST(%(before)s AS uuid) IS NULL OR s.id < %(before)s)
ORDER BY s.id DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Head:
    """A page without its messages."""

    id: UUID
    slug_hash: bytes
    epoch: int
    messages: int
    sealed_heading: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime | None


def _live() -> ColumnElement[bool]:
    """The clock of the database decides, in every process alike."""
    return or_(col(ShareRow.expires_at).is_(None), col(ShareRow.expires_at) > func.now())


async def add(session: AsyncSession, row: ShareRow) -> None:
    session.add(row)
    await session.flush()


async def count(session: AsyncSession, account_id: UUID) -> int:
    """Count the live pages of an account."""
    query = select(func.count()).select_from(ShareRow).where(ShareRow.account_id == account_id, _live())
    return (await session.exec(query)).one()


async def listed(reader: Reader, account_id: UUID, before: UUID | None, limit: int) -> list[Head]:
    """Return live pages of the account's present epoch, without messages: the newest first, older than `before`."""
    rows = await reader.rows(_LISTED, {"account_id": account_id, "before": before, "limit": limit})
    return [Head(*row) for row in rows]


async def find(session: AsyncSession, account_id: UUID, slug_hash: bytes) -> ShareRow | None:
    """Return a live page of the account, without messages."""
    query = _heads().where(ShareRow.slug_hash == slug_hash, ShareRow.account_id == account_id)
    return (await session.exec(query)).one_or_none()


async def of_id(session: AsyncSession, account_id: UUID, share_id: UUID) -> ShareRow | None:
    query = _heads().where(ShareRow.id == share_id, ShareRow.account_id == account_id)
    return (await session.exec(query)).one_or_none()


def _heads() -> SelectOfScalar[ShareRow]:
    return _current().options(defer(ShareRow.sealed, raiseload=True))  # type: ignore[arg-type]


def _current() -> SelectOfScalar[ShareRow]:
    return (
        select(ShareRow)
        .join(AccountRow, (col(AccountRow.id) == col(ShareRow.account_id)) & (AccountRow.epoch == ShareRow.epoch))
        .where(_live())
    )


async def published(session: AsyncSession, slug_hash: bytes, *, whole: bool = False) -> ShareRow | None:
    """Return a live page, whoever asks, with messages if `whole`. None of a suspended account, or of an ended epoch."""
    query = (_current() if whole else _heads()).where(
        ShareRow.slug_hash == slug_hash, col(AccountRow.suspended_at).is_(None)
    )
    return (await session.exec(query)).one_or_none()


async def delete(session: AsyncSession, slug_hash: bytes, account_id: UUID | None = None) -> bool:
    """Delete a live page; with `account_id`, only if it is of this account. False if there is none."""
    query = deletion(ShareRow).where(col(ShareRow.slug_hash) == slug_hash, _live())
    if account_id is not None:
        query = query.where(col(ShareRow.account_id) == account_id)
    return bool((await session.exec(query)).rowcount)


async def delete_expired(database: Database) -> int:
    """Delete pages that have ended. Returns how many."""
    columns = col(ShareRow.slug_hash), col(ShareRow.expires_at)
    return await expiry.delete_expired(database, ShareRow, *columns, BATCH)
