"""Conversations of an account: made, listed, read, renamed, deleted, exported; calls append to them by the ledger.

Titles are content: they are sealed, so a search opens them here, a bounded number at a time, and in a thread. A
conversation of another account, or one from before a purge, is one that does not exist.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from db import accounts, idempotency
from db import conversations as stored
from db.conversation_tables import ConversationRow
from db.conversations import Owner, Place, SealedConversation, SealedMessage
from db.data_keys import ContentKey, Sealing
from db.engine import Database, Session
from domain import conversations
from domain.conversations import MAX_CONVERSATIONS, Conversation, SavedMessage
from domain.errors import NotFound, ReplayGone, RequestInvalid
from gateway.body_budget import BodyClaim
from gateway.fair_turns import FairTurns
from gateway.idempotency import IdempotentRequest
from gateway.ids import new_id

SCANNED = 500
"""Titles that a search reads at once."""
MAX_SCANNED = 2000
"""Titles that one page of a search looks at. The page may then be short, and says where the next one begins."""
LARGE_BYTES = 256 * 1024
"""Sealed bytes from which on messages are opened off the event loop."""
MAX_LARGE_READS = 3
"""Large conversations that a process reads whole at a time, each of another account: so many connections at most."""
SEALED_AT_ONCE = 100
"""Messages that are sealed before others have the event loop."""
DELETED_AT_ONCE = 50
"""Conversations that one transaction deletes."""
_EXPORTED_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Search:
    """What to list. `after` is the end of the page before."""

    limit: int
    after: Place | None = None
    title: str | None = field(default=None, repr=False)
    """A part of the title, in any case."""


@dataclass(frozen=True, slots=True)
class ConversationPage:
    data: Sequence[Conversation]
    next: Place | None = None


@dataclass(frozen=True, slots=True)
class MessagePage:
    conversation: Conversation
    messages: Sequence[SavedMessage]
    next: int | None = None
    """The position after which the next page begins. None if this is the last."""


@dataclass(frozen=True, slots=True)
class NewConversation:
    title: str | None = field(default=None, repr=False)
    messages: Sequence[dict[str, Any]] = field(default=(), repr=False)
    """OpenAI's, checked already."""
    conversation_id: UUID = field(default_factory=new_id)


class Conversations:
    def __init__(self, database: Database, sealing: Sealing, turns: FairTurns) -> None:
        self._database = database
        self._sealing = sealing
        self._turns = turns
        self.whole = WholeConversations(database, sealing, turns)

    async def listed(self, account_id: UUID, search: Search) -> ConversationPage:
        """Return a page of the account's conversations, the one with the newest message first."""
        page: list[Conversation] = []
        wanted = None if search.title is None else conversations.searched(search.title)
        at_once = search.limit + 1 if wanted is None else SCANNED
        place, scanned = search.after, 0
        while True:
            async with self._database.reading() as session:
                key = await self._sealing.current(session, account_id)
                rows = await stored.newest(session, _owner(key), place, at_once)
            if wanted is None:
                page = [_conversation(key, row) for row in rows]
            else:
                page += await self._turns.run(account_id, partial(_matching, key, rows, wanted))
            if len(page) > search.limit:
                last = page[search.limit - 1]
                return ConversationPage(page[: search.limit], Place(last.updated_at, last.id))
            if len(rows) < at_once:
                return ConversationPage(page)
            scanned += len(rows)
            place = _place(rows[-1])
            if scanned >= MAX_SCANNED:
                return ConversationPage(page, place)

    async def find(self, account_id: UUID, conversation_id: UUID) -> Conversation:
        """Raises `NotFound`."""
        async with self._database.reading() as session:
            key, row = await self._find(session, account_id, conversation_id)
        return _conversation(key, row)

    async def page(self, account_id: UUID, conversation_id: UUID, after: int, limit: int) -> MessagePage:
        """Return messages after a position, the oldest first. A page of large messages is short. Raises `NotFound`."""
        async with self._database.reading() as session:
            key, row = await self._find(session, account_id, conversation_id)
            rows = await stored.messages(session, conversation_id, after, limit)
        messages = await self._opened(key, rows)
        more = bool(rows) and rows[-1].position < row.messages
        return MessagePage(_conversation(key, row), messages, rows[-1].position if more else None)

    async def read(
        self, account_id: UUID, conversation_id: UUID, claim: BodyClaim
    ) -> tuple[Conversation, list[SavedMessage]]:
        """Return a conversation with all of its messages. Raises as `WholeConversations.read` does."""
        key, row, messages = await self.whole.read(account_id, conversation_id, claim)
        return _conversation(key, row), messages

    async def create(
        self, account_id: UUID, new: NewConversation, idempotent: IdempotentRequest | None = None
    ) -> tuple[Conversation, bool]:
        """Make a conversation. Returns True with it if this request has made it before.

        Raises `RequestInvalid` for what is too large, and for an account that has as many as it may have.
        """
        title = conversations.title_of(new.messages) if new.title is None else conversations.normalized(new.title)
        plain = conversations.require_bounded(new.messages)
        conversations.require_room(0, 0, plain)
        async with self._database.transaction(account=account_id) as session:
            await accounts.lock(session, account_id)
            if idempotent and (record := await idempotency.find(session, account_id, idempotent.claim)):
                return await self._made_before(session, account_id, record.hold_id), True
            await require_place(session, account_id)
            key = await self._sealing.current(session, account_id)
            row = ConversationRow(id=new.conversation_id, account_id=account_id, epoch=key.epoch, title=b"")
            row.title = sealed_title(key, row.id, title)
            sealed = []
            for position, one in enumerate(plain, 1):
                sealed.append(sealed_message(key, row.id, position, one))
                if not position % SEALED_AT_ONCE:
                    await asyncio.sleep(0)
            row = await stored.add(session, row, sealed)
            if idempotent:
                await idempotency.remember(session, account_id, idempotent.claim, row.id, None)
        return _conversation(key, row), False

    async def _made_before(self, session: Session, account_id: UUID, conversation_id: UUID) -> Conversation:
        try:
            return _conversation(*await self._find(session, account_id, conversation_id))
        except NotFound:
            raise ReplayGone("This request made a conversation before, and that one was deleted since.") from None

    async def rename(self, account_id: UUID, conversation_id: UUID, title: str) -> Conversation:
        """Raises `NotFound`."""
        async with self._database.transaction(account=account_id) as session:
            await accounts.lock(session, account_id)
            key, row = await self._find(session, account_id, conversation_id)
            await stored.rename(session, row, sealed_title(key, row.id, conversations.normalized(title)))
            await session.refresh(row)
        return _conversation(key, row)

    async def delete(self, account_id: UUID, conversation_id: UUID) -> None:
        """Delete a conversation and its messages. A call that still runs keeps nothing in it. Raises `NotFound`."""
        async with self._database.transaction(account=account_id) as session:
            await accounts.lock(session, account_id)
            key = await self._sealing.current(session, account_id)
            if not await stored.delete(session, _owner(key), conversation_id):
                raise NotFound("There is no such conversation in this account.")

    async def delete_all(self, account_id: UUID) -> int:
        """Delete all conversations of the account, some in each transaction. Returns how many there were."""
        total = 0
        while True:
            async with self._database.transaction(account=account_id) as session:
                await accounts.lock(session, account_id)
                key = await self._sealing.current(session, account_id)
                deleted = await stored.delete_some(session, _owner(key), DELETED_AT_ONCE)
            if not deleted:
                return total
            total += deleted

    async def every(self, account_id: UUID) -> AsyncIterator[Conversation]:
        """Yield all conversations, the oldest first. No transaction stays open while the caller uses one."""
        after: UUID | None = None
        while True:
            async with self._database.reading() as session:
                key = await self._sealing.current(session, account_id)
                rows = await stored.oldest(session, _owner(key), after, _EXPORTED_AT_ONCE)
            for row in rows:
                yield _conversation(key, row)
                after = row.id
            if len(rows) < _EXPORTED_AT_ONCE:
                return

    async def every_message(self, account_id: UUID, conversation_id: UUID) -> AsyncIterator[SavedMessage]:
        """Yield all messages of a conversation, a page at a time. It ends where the conversation is deleted."""
        after: int | None = 0
        while after is not None:
            try:
                page = await self.page(account_id, conversation_id, after, _EXPORTED_AT_ONCE)
            except NotFound:
                return
            for message in page.messages:
                yield message
            after = page.next

    async def keeps_history(self, account_id: UUID) -> bool:
        return await stored.keeps_history(self._database, account_id)

    async def keep_history(self, account_id: UUID, *, keep: bool) -> None:
        """Set whether chats of the native endpoint are saved by default. What is saved already stays."""
        async with self._database.transaction(account=account_id) as session:
            await accounts.lock(session, account_id)
            await stored.keep_history(session, account_id, keep=keep)

    async def _find(
        self, session: Session, account_id: UUID, conversation_id: UUID
    ) -> tuple[ContentKey, ConversationRow]:
        return await _find(session, self._sealing, account_id, conversation_id)

    async def _opened(self, key: ContentKey, rows: Sequence[SealedMessage]) -> list[SavedMessage]:
        if sum(len(row.sealed) for row in rows) > LARGE_BYTES:
            return await self._turns.run(key.account_id, partial(opened, key, rows))
        return opened(key, rows)


@dataclass(frozen=True, slots=True)
class WholeConversations:
    """Reads conversations with all of their messages. A large one is read in its account's turn, once its bytes are
    claimed: small requests for it would take all connections, and all memory.
    """

    database: Database
    sealing: Sealing
    turns: FairTurns
    """Of what takes the interpreter."""
    large: FairTurns = field(default_factory=lambda: FairTurns(MAX_LARGE_READS))

    async def read(
        self,
        account_id: UUID,
        conversation_id: UUID,
        claim: BodyClaim,
        check: Callable[[ConversationRow], None] = lambda _row: None,
    ) -> tuple[ContentKey, ConversationRow, list[SavedMessage]]:
        """The messages count as part of the `claim`, which outlives them.

        Raises `NotFound`, what `check` and `claim.take` raise, and `RateLimited` if many large ones of an account wait.
        """
        async with self.database.reading() as session:
            key, row = await _find(session, self.sealing, account_id, conversation_id)
            check(row)
            rows = None if row.size > LARGE_BYTES else await stored.all_messages(session, row.id)
        if rows is not None:
            return key, row, opened(key, rows)
        claimed = 0
        while True:
            await claim.take(account_id, row.size - claimed)  # without a turn and a connection: it may wait
            claimed = row.size
            async with self.large.turn(account_id):
                async with self.database.reading() as session:  # again: it may have changed meanwhile
                    key, row = await _find(session, self.sealing, account_id, conversation_id)
                    check(row)
                    rows = await stored.all_messages(session, row.id) if row.size <= claimed else None
                if rows is not None:
                    return key, row, await self.turns.run(account_id, partial(opened, key, rows))


async def _find(
    session: Session, sealing: Sealing, account_id: UUID, conversation_id: UUID
) -> tuple[ContentKey, ConversationRow]:
    key = await sealing.current(session, account_id)
    return key, await stored.find(session, _owner(key), conversation_id)


async def require_place(session: Session, account_id: UUID) -> None:
    """Raises `RequestInvalid` if the account has as many conversations as it may have."""
    if await stored.count(session, account_id) >= MAX_CONVERSATIONS:
        raise RequestInvalid(
            f"This account keeps {MAX_CONVERSATIONS:,} conversations. Delete some, or go on with "
            "one of them ('conversation_id').",
            param="save",
        )


def opened(key: ContentKey, rows: Sequence[SealedMessage]) -> list[SavedMessage]:
    """Open messages. Raises `SealBroken` for one that lies where it was not written."""
    read = []
    for row in rows:
        aad = conversations.message_aad(key.account_id, row.conversation_id, row.position)
        read.append(conversations.read(row.position, row.created_at, key.open(row.sealed, aad=aad)))
    return read


def sealed_title(key: ContentKey, conversation_id: UUID, title: str) -> bytes:
    return key.seal(title.encode(), aad=conversations.title_aad(key.account_id, conversation_id))


def sealed_message(key: ContentKey, conversation_id: UUID, position: int, plain: bytes) -> bytes:
    return key.seal(plain, aad=conversations.message_aad(key.account_id, conversation_id, position))


def _matching(key: ContentKey, rows: Sequence[SealedConversation], wanted: str) -> list[Conversation]:
    read = [_conversation(key, row) for row in rows]
    return [one for one in read if wanted in conversations.searched(one.title)]


def _conversation(key: ContentKey, row: ConversationRow | SealedConversation) -> Conversation:
    assert row.created_at is not None and row.updated_at is not None  # noqa: S101, PT018  # the database set them
    title = key.open(row.title, aad=conversations.title_aad(row.account_id, row.id)).decode()
    return Conversation(row.id, title, row.messages, row.size, row.created_at, row.updated_at)


def _owner(key: ContentKey) -> Owner:
    return Owner(key.account_id, key.epoch)


def _place(row: SealedConversation) -> Place:
    return Place(row.updated_at, row.id)
