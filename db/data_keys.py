"""The data key of each account, by epoch. Deleting a key makes what it encrypted unreadable."""

import os
from dataclasses import dataclass, field
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.tables import AccountRow, DataKeyRow
from domain.errors import NotFound, ServiceUnavailable
from domain.sealing import KEY_BYTES, NONCE_BYTES, SealBroken, Wrapping, seal, unseal


def wrapping_aad(account_id: UUID, epoch: int) -> str:
    return f"data_keys|{account_id}|{epoch}"


async def provision(session: AsyncSession, wrapping: Wrapping, account_id: UUID, epoch: int) -> None:
    """Make the key of a new epoch. An epoch has one key: a destroyed key is never made again."""
    aad = wrapping_aad(account_id, epoch)
    wrapped = wrapping.wrap(os.urandom(KEY_BYTES), aad=aad, nonce=os.urandom(NONCE_BYTES))
    session.add(DataKeyRow(account_id=account_id, epoch=epoch, wrapped=wrapped, wrapped_by=wrapping.current_id))
    await session.flush()


async def opened_by(session: AsyncSession, wrapping: Wrapping) -> bool:
    """Tell whether the keys of the first and the last account can be decrypted. True if there is no account."""
    query = select(DataKeyRow).where(col(DataKeyRow.wrapped).is_not(None)).limit(1)
    for order in (col(DataKeyRow.account_id).asc(), col(DataKeyRow.account_id).desc()):
        row = (await session.exec(query.order_by(order))).one_or_none()
        if row is None or row.wrapped is None:
            continue
        try:
            wrapping.unwrap(row.wrapped, aad=wrapping_aad(row.account_id, row.epoch))
        except SealBroken:
            return False
    return True


@dataclass(frozen=True, slots=True, repr=False)
class ContentKey:
    """The data key of an account in one epoch, for many pieces of content. It is not stored, and lives for one task."""

    account_id: UUID
    epoch: int
    key: bytes = field(repr=False)

    def seal(self, plain: bytes, *, aad: str) -> bytes:
        return seal(self.key, plain, aad=f"{aad}|{self.epoch}", nonce=os.urandom(NONCE_BYTES))

    def open(self, sealed: bytes, *, aad: str) -> bytes:
        """Raises `SealBroken` for bytes of another place, account or epoch."""
        return unseal(self.key, sealed, aad=f"{aad}|{self.epoch}")


class Sealing:
    """Seals and opens content of accounts. The newest epoch seals; a destroyed one opens nothing."""

    def __init__(self, wrapping: Wrapping) -> None:
        self._wrapping = wrapping

    async def seal(self, session: AsyncSession, account_id: UUID, plain: bytes, *, aad: str) -> tuple[int, bytes]:
        """Return the epoch and the sealed bytes."""
        key = await self.current(session, account_id)
        return key.epoch, key.seal(plain, aad=aad)

    async def open(self, session: AsyncSession, account_id: UUID, epoch: int, sealed: bytes, *, aad: str) -> bytes:
        key = await self._key(session, account_id, epoch)
        return unseal(key, sealed, aad=f"{aad}|{epoch}")

    async def current(self, session: AsyncSession, account_id: UUID) -> ContentKey:
        """Return the key of the account's present epoch. Raises `NotFound`, or `ServiceUnavailable` as `open` does."""
        query = (
            select(DataKeyRow)
            .join(AccountRow, (col(AccountRow.id) == DataKeyRow.account_id) & (AccountRow.epoch == DataKeyRow.epoch))
            .where(DataKeyRow.account_id == account_id)
        )
        row = (await session.exec(query)).one_or_none()
        return self.opened(account_id, *((None, None) if row is None else (row.epoch, row.wrapped)))

    async def of_epoch(self, session: AsyncSession, account_id: UUID, epoch: int) -> ContentKey:
        """Return the key of an epoch, which may have ended. Raises `NotFound` once it is destroyed."""
        return ContentKey(account_id, epoch, await self._key(session, account_id, epoch))

    async def _key(self, session: AsyncSession, account_id: UUID, epoch: int) -> bytes:
        query = select(DataKeyRow).where(DataKeyRow.account_id == account_id, DataKeyRow.epoch == epoch)
        row = (await session.exec(query)).one_or_none()
        return self.opened(account_id, epoch, None if row is None else row.wrapped).key

    def opened(self, account_id: UUID, epoch: int | None, wrapped: bytes | None) -> ContentKey:
        """Return the key of a row. Raises `NotFound` if there is none, or if it is destroyed.

        Raises `ServiceUnavailable` if this process lacks the master secret: its log names that since its start.
        """
        if epoch is None or wrapped is None:
            raise NotFound
        try:
            key = self._wrapping.unwrap(wrapped, aad=wrapping_aad(account_id, epoch))
        except SealBroken:
            raise ServiceUnavailable from None
        return ContentKey(account_id, epoch, key)
