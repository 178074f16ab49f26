"""Signed receipts of purges, and the keys that sign them. One transaction at a time adds to the chain."""

import os
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.purge_tables import PurgeReceiptRow, ReceiptKeyRow
from domain import purge_receipts
from domain.purge_receipts import SEED_BYTES, SigningKey
from domain.sealing import NONCE_BYTES, Wrapping

_CHAIN_LOCK = 7_206_161


async def _lock(session: AsyncSession) -> None:
    await (await session.connection()).execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _CHAIN_LOCK})


def _aad(kid: str) -> str:
    return f"receipt_keys|{kid}"


async def new_key(session: AsyncSession, wrapping: Wrapping) -> SigningKey:
    """Make the key that signs from now on. Older ones verify what they signed."""
    await _lock(session)
    key = SigningKey(os.urandom(SEED_BYTES))
    wrapped = wrapping.wrap(key.seed, aad=_aad(key.kid), nonce=os.urandom(NONCE_BYTES))
    session.add(ReceiptKeyRow(kid=key.kid, public=key.public, wrapped=wrapped, wrapped_by=wrapping.current_id))
    await session.flush()
    return key


async def signing_key(session: AsyncSession, wrapping: Wrapping) -> SigningKey:
    """Return the newest key, or the first one, made now. Keeps the chain until the transaction ends."""
    await _lock(session)
    newest = select(ReceiptKeyRow).order_by(col(ReceiptKeyRow.created_at).desc(), col(ReceiptKeyRow.kid)).limit(1)
    row = (await session.exec(newest)).one_or_none()
    if row is None:
        return await new_key(session, wrapping)
    return SigningKey(wrapping.unwrap(row.wrapped, aad=_aad(row.kid)))


async def public_keys(session: AsyncSession) -> list[bytes]:
    """All keys that ever signed, the newest first."""
    rows = await session.exec(select(ReceiptKeyRow.public).order_by(col(ReceiptKeyRow.created_at).desc()))
    return [bytes(row) for row in rows]


async def append(session: AsyncSession, key: SigningKey, purge_id: UUID, body: dict[str, Any]) -> dict[str, Any]:
    """Sign a receipt as the next one of the chain, and store it. `signing_key` has locked the chain."""
    query = select(PurgeReceiptRow).order_by(col(PurgeReceiptRow.number).desc()).limit(1)
    last = (await session.exec(query)).one_or_none()
    number, previous = (1, None) if last is None else (last.number + 1, last.digest.hex())
    receipt = key.sign({**body, "number": number, "previous": previous})
    digest = purge_receipts.digest(receipt)
    session.add(PurgeReceiptRow(number=number, purge_id=purge_id, body=receipt, digest=digest))
    await session.flush()
    return receipt


async def all_of(session: AsyncSession) -> list[dict[str, Any]]:
    """All receipts of this server, in order."""
    rows = await session.exec(select(PurgeReceiptRow.body).order_by(col(PurgeReceiptRow.number)))
    return [dict(row) for row in rows]
