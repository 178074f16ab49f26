"""Reads and changes rows of conversations. What they say is sealed: see `gateway/conversations.py`.

The caller of a function that changes holds the account's lock: the ledger appends messages under it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, insert, tuple_, update
from sqlalchemy import delete as deletion
from sqlalchemy import select as select_columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.conversation_tables import ConversationRow, MessageRow
from db.engine import Database
from db.tables import AccountRow
from domain.errors import NotFound
from domain.records import record

MAX_PAGE_BYTES = 1024 * 1024
"""Sealed bytes of messages that are read at once; a larger message is read alone."""
ADDED_AT_ONCE = 100
"""Messages that are written before others have the event loop."""


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


@record
class SealedMessage:
    """A message as it is read: by the thousand, so it is no row of the mapper, which would take ten times as long."""

    conversation_id: UUID
    position: int
    created_at: datetime
    sealed: bytes = field(repr=False)


@record
class SealedConversation:
    """A conversation as it is listed, by the thousand."""

    id: UUID
    account_id: UUID
    title: bytes = field(repr=False)
    messages: int
    size: int
    created_at: datetime
    updated_at: datetime


_MESSAGE = tuple(MessageRow.__table__.c[one.name] for one in fields(SealedMessage))  # type: ignore[attr-defined]
_CONVERSATION = tuple(ConversationRow.__table__.c[one.name] for one in fields(SealedConversation))  # type: ignore[attr-defined]


async def newest(session: AsyncSession, owner: Owner, after: Place | None, limit: int) -> list[SealedConversation]:
    query = (
        select_columns(*_CONVERSATION)
        .where(col(ConversationRow.account_id) == owner.account_id, col(ConversationRow.epoch) == owner.epoch)
        .order_by(col(ConversationRow.updated_at).desc(), col(ConversationRow.id).desc())
        .limit(limit)
    )
    if after is not None:
        place = tuple_(col(ConversationRow.updated_at), col(ConversationRow.id))
        query = query.where(place < tuple_(after.updated_at, after.id))
    return [SealedConversation(*row) for row in await _rows(session, query)]


async def find(session: AsyncSession, owner: Owner, conversation_id: UUID) -> ConversationRow:
    """Raises `NotFound`, also for a conversation of another account."""
    row = await session.get(ConversationRow, conversation_id)
    if row is None or row.account_id != owner.account_id or row.epoch != owner.epoch:
        raise NotFound("There is no such conversation in this account.")
    return row


async def messages(session: AsyncSession, conversation_id: UUID, after: int, limit: int) -> list[SealedMessage]:
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
        select_columns(*_MESSAGE)
        .where(col(MessageRow.conversation_id) == conversation_id)
        .where(col(MessageRow.position) > after, col(MessageRow.position) <= last)
        .order_by(col(MessageRow.position))
    )
    return [SealedMessage(*row) for row in await _rows(session, query)]


async def all_messages(session: AsyncSession, conversation_id: UUID) -> list[SealedMessage]:
    query = select_columns(*_MESSAGE).where(col(MessageRow.conversation_id) == conversation_id)
    return [SealedMessage(*row) for row in await _rows(session, query.order_by(col(MessageRow.position)))]


async def _rows(session: AsyncSession, query: Select[Any]) -> Sequence[Any]:
    rows: Sequence[Any] = (await (await session.connection()).execute(query)).all()
    return rows


async def count(session: AsyncSession, account_id: UUID) -> int:
    query = select(func.count()).select_from(ConversationRow).where(ConversationRow.account_id == account_id)
    return (await session.exec(query)).one()


async def add(session: AsyncSession, row: ConversationRow, sealed: Sequence[bytes]) -> ConversationRow:
    """Add a conversation with its first messages."""
    row.messages, row.size = len(sealed), sum(map(len, sealed))
    session.add(row)
    await session.flush()
    same = {"conversation_id": row.id, "account_id": row.account_id, "epoch": row.epoch}
    messages = [{**same, "position": position, "sealed": one} for position, one in enumerate(sealed, 1)]
    connection = await session.connection()
    for begin in range(0, len(messages), ADDED_AT_ONCE):
        await connection.execute(insert(MessageRow), messages[begin : begin + ADDED_AT_ONCE])
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


async def keeps_history(database: Database, account_id: UUID) -> bool:
    """Tell whether the account keeps its chats by default. Raises `NotFound`."""
    rows = await database.rows("SELECT keep_history FROM accounts WHERE id = %(account)s", {"account": account_id})
    if not rows:
        raise NotFound
    return bool(rows[0][0])


async def keep_history(session: AsyncSession, account_id: UUID, *, keep: bool) -> None:
    await session.exec(update(AccountRow).where(col(AccountRow.id) == account_id).values(keep_history=keep))
