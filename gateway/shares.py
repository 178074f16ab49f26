"""Shared pages of an account: made, listed, taken back, and opened by whoever has the slug.

A page is a copy that never changes. It is sealed with the account's data key, and written under the account's lock with
the account's epoch, so a purge finds it or comes first. A page that was taken back is deleted in that moment.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from uuid import UUID

import orjson

from db import accounts, conversations, idempotency
from db import shares as stored
from db.conversations import Owner
from db.data_keys import ContentKey, Sealing
from db.engine import Database, Session
from db.share_tables import ShareRow
from domain import shares
from domain.errors import NotFound, ReplayGone, RequestInvalid
from domain.shares import SharedMessage
from gateway.idempotency import IdempotentRequest
from gateway.ids import new_id

NO_SHARE = "There is no such shared page in this account."
_HEADING, _MESSAGES, _SHOWN = "heading", "messages", "shown"


@dataclass(frozen=True, slots=True)
class ShareOrder:
    """A page to make."""

    messages: Sequence[SharedMessage]
    title: str | None = field(repr=False)
    created_at: datetime
    expires_at: datetime | None
    conversation_id: UUID | None = None
    """Where the messages were read. It must still be there when the page is written."""
    share_id: UUID = field(default_factory=new_id)
    slug: str = field(default_factory=lambda: shares.slug_of(os.urandom(shares.SLUG_ENTROPY_BYTES)), repr=False)


@dataclass(frozen=True, slots=True)
class Share:
    """A page as its owner sees it in a list."""

    id: UUID
    slug: str = field(repr=False)
    title: str | None = field(repr=False)
    messages: int
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class SharePage:
    data: Sequence[Share]
    next: UUID | None
    """The id of the last page of this list's page, if more follow."""


@dataclass(frozen=True, slots=True)
class Published:
    """A page that everybody may see, before it is read."""

    digest: bytes
    """Names the page, without opening it."""
    created_at: datetime
    key: ContentKey = field(repr=False)

    @property
    def owner(self) -> UUID:
        """For fair turns alone: it is never shown."""
        return self.key.account_id

    def seal(self, shown: bytes) -> bytes:
        """Seal what is made of the page. When the page is purged, nobody opens it any more."""
        return self.key.seal(shown, aad=shares.aad(self.owner, self.digest, _SHOWN))

    def open(self, sealed: bytes) -> bytes:
        return self.key.open(sealed, aad=shares.aad(self.owner, self.digest, _SHOWN))


@dataclass(frozen=True, slots=True)
class PageContent:
    """What a page says, as JSON: it is read where it is rendered."""

    heading: bytes = field(repr=False)
    messages: bytes = field(repr=False)


class Shares:
    def __init__(self, database: Database, readers: Database, sealing: Sealing, max_shares: int) -> None:
        self._database, self._readers = database, readers
        self._sealing = sealing
        self._max_shares = max_shares

    async def made_before(self, account_id: UUID, idempotent: IdempotentRequest | None) -> Share | None:
        """Return the page that the same request has made. Raises `ReplayGone` once it has ended."""
        if idempotent is None:
            return None
        async with self._database.reading() as session:
            record = await idempotency.find(session, account_id, idempotent.claim)
            return None if record is None else await self._again(session, account_id, record.hold_id)

    async def create(
        self, account_id: UUID, order: ShareOrder, idempotent: IdempotentRequest | None
    ) -> tuple[Share, bool]:
        """Make a page. A repeat of the same request returns the same page and True; `ReplayGone` once it has ended."""
        async with self._database.transaction(account=account_id) as session:
            await accounts.lock(session, account_id)
            if idempotent and (record := await idempotency.find(session, account_id, idempotent.claim)):
                return await self._again(session, account_id, record.hold_id), True
            if await stored.count(session, account_id) >= self._max_shares:
                raise RequestInvalid(
                    f"An account has at most {self._max_shares} shared pages. Take one back first.", param="messages"
                )
            key = await self._sealing.current(session, account_id)
            if order.conversation_id is not None:
                await conversations.find(session, Owner(account_id, key.epoch), order.conversation_id)
            row = _sealed(key, order)
            await stored.add(session, row)
            if idempotent:
                await idempotency.remember(session, account_id, idempotent.claim, order.share_id, None)
        share = Share(order.share_id, order.slug, order.title, row.messages, row.created_at, row.expires_at)
        return share, False

    async def listed(self, account_id: UUID, before: UUID | None, limit: int) -> SharePage:
        """List the live pages of an account, the newest first."""
        heads = await stored.listed(self._database, account_id, before, limit + 1)
        if not heads:
            return SharePage([], None)
        async with self._database.reading() as session:
            key = await self._sealing.current(session, account_id)
        page = [_share(key, head) for head in heads[:limit] if head.epoch == key.epoch]
        return SharePage(page, heads[limit - 1].id if len(heads) > limit else None)

    async def find(self, account_id: UUID, slug: str) -> Share:
        """Raises `NotFound`, also for a page of another account."""
        async with self._database.reading() as session:
            head = await stored.find(session, account_id, shares.slug_hash(slug))
            if head is None:
                raise NotFound(NO_SHARE)
            return await self._opened(session, head)

    async def revoke(self, account_id: UUID, slug: str) -> None:
        """Take a page back: its content is deleted, and its address is that of no page. Raises `NotFound`."""
        async with self._database.transaction(account=account_id) as session:
            await accounts.lock(session, account_id)
            if not await stored.delete(session, shares.slug_hash(slug), account_id):
                raise NotFound(NO_SHARE)

    async def published(self, slug: str) -> Published | None:
        """Return the page of a slug. None for one that never was, has ended, was taken back or purged."""
        hashed = shares.slug_hash(slug)
        async with self._readers.reading() as session:
            row = await stored.published(session, hashed)
            if row is None:
                return None
            try:
                key = await self._sealing.current(session, row.account_id)
            except NotFound:  # its key is destroyed
                return None
        return Published(hashed, row.created_at, key) if key.epoch == row.epoch else None

    async def content(self, page: Published) -> PageContent | None:
        """Open a page. None if it has ended by now."""
        async with self._readers.reading() as session:
            row = await stored.published(session, page.digest, whole=True)
        if row is None or row.epoch != page.key.epoch:
            return None
        heading = page.key.open(row.sealed_heading, aad=shares.aad(row.account_id, page.digest, _HEADING))
        messages = page.key.open(row.sealed, aad=shares.aad(row.account_id, page.digest, _MESSAGES))
        return PageContent(heading, messages)

    async def _again(self, session: Session, account_id: UUID, share_id: UUID) -> Share:
        head = await stored.of_id(session, account_id, share_id)
        if head is None:
            raise ReplayGone(
                "A page was shared before under this Idempotency-Key, and has been taken back or has expired since. "
                "Send another Idempotency-Key to share it again."
            )
        return await self._opened(session, head)

    async def _opened(self, session: Session, head: ShareRow) -> Share:
        return _share(await self._sealing.current(session, head.account_id), head)


def _sealed(key: ContentKey, order: ShareOrder) -> ShareRow:
    hashed = shares.slug_hash(order.slug)
    heading = orjson.dumps({"slug": order.slug, "title": order.title})
    messages = orjson.dumps([asdict(message) for message in order.messages])
    return ShareRow(
        slug_hash=hashed,
        id=order.share_id,
        account_id=key.account_id,
        epoch=key.epoch,
        messages=len(order.messages),
        sealed_heading=key.seal(heading, aad=shares.aad(key.account_id, hashed, _HEADING)),
        sealed=key.seal(messages, aad=shares.aad(key.account_id, hashed, _MESSAGES)),
        created_at=order.created_at,
        expires_at=order.expires_at,
    )


def _share(key: ContentKey, head: ShareRow | stored.Head) -> Share:
    heading = orjson.loads(key.open(head.sealed_heading, aad=shares.aad(key.account_id, head.slug_hash, _HEADING)))
    return Share(head.id, heading["slug"], heading["title"], head.messages, head.created_at, head.expires_at)
