"""The data key of each account, by epoch. Deleting a key makes what it encrypted unreadable."""

import os
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.tables import AccountRow, DataKeyRow
from domain.errors import NotFound
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


class Sealing:
    """Seals and opens content of accounts. The newest epoch seals; a destroyed one opens nothing."""

    def __init__(self, wrapping: Wrapping) -> None:
        self._wrapping = wrapping

    async def seal(self, session: AsyncSession, account_id: UUID, plain: bytes, *, aad: str) -> tuple[int, bytes]:
        """Return the epoch and the sealed bytes."""
        account = await session.get(AccountRow, account_id)
        if account is None:
            raise NotFound
        key = await self._key(session, account_id, account.epoch)
        return account.epoch, seal(key, plain, aad=f"{aad}|{account.epoch}", nonce=os.urandom(NONCE_BYTES))

    async def open(self, session: AsyncSession, account_id: UUID, epoch: int, sealed: bytes, *, aad: str) -> bytes:
        key = await self._key(session, account_id, epoch)
        return unseal(key, sealed, aad=f"{aad}|{epoch}")

    async def _key(self, session: AsyncSession, account_id: UUID, epoch: int) -> bytes:
        query = select(DataKeyRow).where(DataKeyRow.account_id == account_id, DataKeyRow.epoch == epoch)
        row = (await session.exec(query)).one_or_none()
        if row is None or row.wrapped is None:
            raise NotFound
        return self._wrapping.unwrap(row.wrapped, aad=wrapping_aad(account_id, epoch))
