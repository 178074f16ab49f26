"""Reads and changes rows of conversations. What they say is sealed: see `gateway/conversations.py`.

The caller of a function that changes holds the account's lock: the ledger appends messages under it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete as deletion
from sqlalchemy import func, tuple_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.conversation_tables import ConversationRow, MessageRow
from db.tables import AccountRow
from domain.errors import NotFound

MAX_PAGE_BYTES = 8 * 1024 * 1024
"""Sealed bytes of messages that are read at once; a larger message is read alone."""


@dataclass(frozen=True, slots=True)
class Owner:
    """An account in its present epoch: what lies in earlier ones is being erased, and is not found any more."""

    account_id: UUID
    epoch: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list goes on: after the conversation with this time of its last message, and this id."""

    updated_at: datetime
    id: UUID


async def newest(session: AsyncSession, owner: Owner, after: Place | None, limit: int) -> Sequence[ConversationRow]:
    query = (
        select(ConversationRow)
        .where(ConversationRow.account_id == owner.account_id, ConversationRow.epoch == owner.epoch)
        .order_by(col(ConversationRow.updated_at).desc(), col(ConversationRow.id).desc())
        .limit(limit)
    )
    if after is not None:
        place = tuple_(col(ConversationRow.updated_at), col(ConversationRow.id))
        query = query.where(place < tuple_(after.updated_at, after.id))
    return (await session.exec(query)).all()


async def find(session: AsyncSession, owner: Owner, conversation_id: UUID) -> ConversationRow:
    """Raises `NotFound`, also for a conversation of another account."""
    row = await session.get(ConversationRow, conversation_id)
    if row is None or row.account_id != owner.account_id or row.epoch != owner.epoch:
        raise NotFound("There is no such conversation in this account.")
    return row


async def messages(session: AsyncSession, conversation_id: UUID, after: int, limit: int) -> Sequence[MessageRow]:
    """Return messages after a position, in order: at most `limit`, and only so many bytes, but at least one."""
    size = func.octet_length(MessageRow.sealed)
    sizes = (
        select(MessageRow.position, func.sum(size).over(order_by=col(MessageRow.position)).label("total"))
        .where(MessageRow.conversation_id == conversation_id, MessageRow.position > after)
        .order_by(col(MessageRow.position))
        .limit(limit)
        .subquery()
    )
    fitting = (await session.exec(select(sizes.c.position, sizes.c.total))).all()
    last = max((position for position, total in fitting if total <= MAX_PAGE_BYTES), default=None)
    if last is None:
        last = min((position for position, _ in fitting), default=after)
    query = (
        select(MessageRow)
        .where(MessageRow.conversation_id == conversation_id)
        .where(MessageRow.position > after, MessageRow.position <= last)
        .order_by(col(MessageRow.position))
    )
    return (await session.exec(query)).all()


async def all_messages(session: AsyncSession, conversation_id: UUID) -> Sequence[MessageRow]:
    query = select(MessageRow).where(MessageRow.conversation_id == conversation_id)
    return (await session.exec(query.order_by(col(MessageRow.position)))).all()


async def count(session: AsyncSession, account_id: UUID) -> int:
    query = select(func.count()).select_from(ConversationRow).where(ConversationRow.account_id == account_id)
    return (await session.exec(query)).one()


async def add(session: AsyncSession, row: ConversationRow, sealed: Sequence[bytes]) -> ConversationRow:
    """Add a conversation with its first messages."""
    row.messages, row.size = len(sealed), sum(map(len, sealed))
    session.add(row)
    await session.flush()
    for position, one in enumerate(sealed, 1):
        message = MessageRow(
            conversation_id=row.id, position=position, account_id=row.account_id, epoch=row.epoch, sealed=one
        )
        session.add(message)
    await session.flush()
    await session.refresh(row)
    return row


async def rename(session: AsyncSession, row: ConversationRow, title: bytes) -> None:
    change = update(ConversationRow).where(col(ConversationRow.id) == row.id).values(title=title)
    await session.exec(change)


async def delete(session: AsyncSession, owner: Owner, conversation_id: UUID) -> bool:
    """Delete a conversation with its messages. False if there is none."""
    mine = (col(ConversationRow.account_id) == owner.account_id) & (col(ConversationRow.epoch) == owner.epoch)
    gone = await session.exec(deletion(ConversationRow).where(mine, col(ConversationRow.id) == conversation_id))
    return bool(gone.rowcount)


async def delete_some(session: AsyncSession, owner: Owner, limit: int) -> int:
    """Delete some of the account's conversations. Returns how many; 0 means that none is left."""
    ids = select(ConversationRow.id).where(
        ConversationRow.account_id == owner.account_id, ConversationRow.epoch == owner.epoch
    )
    gone = await session.exec(deletion(ConversationRow).where(col(ConversationRow.id).in_(ids.limit(limit))))
    return int(gone.rowcount)


async def oldest(session: AsyncSession, owner: Owner, after: UUID | None, limit: int) -> Sequence[ConversationRow]:
    """Return conversations in the order in which they were made, which no message changes."""
    query = select(ConversationRow).where(
        ConversationRow.account_id == owner.account_id, ConversationRow.epoch == owner.epoch
    )
    if after is not None:
        query = query.where(ConversationRow.id > after)
    return (await session.exec(query.order_by(col(ConversationRow.id)).limit(limit))).all()


async def keeps_history(session: AsyncSession, account_id: UUID) -> bool:
    """Tell whether the account keeps its chats by default. Raises `NotFound`."""
    query = select(AccountRow.keep_history).where(AccountRow.id == account_id)
    keeps = (await session.exec(query)).one_or_none()
    if keeps is None:
        raise NotFound
    return keeps


async def keep_history(session: AsyncSession, account_id: UUID, *, keep: bool) -> None:
    await session.exec(update(AccountRow).where(col(AccountRow.id) == account_id).values(keep_history=keep))
