"""Who has had the free tier: a mailbox by the reference of its grant, a client's network and an account by a row.

All are hashes.

The key of the hashes is random, made once, and encrypted with the master secret. It stays when that secret is rotated,
so that nobody gets the free tier twice.
"""

import os

from sqlalchemy import text
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from db.people_tables import MailboxKeyRow
from domain.sealing import KEY_BYTES, NONCE_BYTES, Wrapping

AAD = "mailbox_keys|1"
_KEEP = text("INSERT INTO mailbox_keys (id, wrapped, wrapped_by) VALUES (1, :wrapped, :by) ON CONFLICT DO NOTHING")
_CLAIM = text("INSERT INTO free_tier_networks (digest) VALUES (:digest) ON CONFLICT DO NOTHING RETURNING digest")


async def hash_key(session: AsyncSession, wrapping: Wrapping) -> bytes:
    """Return the key of the hashes. The first caller makes it. Raises `SealBroken` for another master secret."""
    for _ in range(2):
        row = (await session.exec(select(MailboxKeyRow))).one_or_none()
        if row is not None:
            return wrapping.unwrap(row.wrapped, aad=AAD)
        wrapped = wrapping.wrap(os.urandom(KEY_BYTES), aad=AAD, nonce=os.urandom(NONCE_BYTES))
        await (await session.connection()).execute(_KEEP, {"wrapped": wrapped, "by": wrapping.current_id})
    raise RuntimeError("the key of the free tier was neither found nor made")


async def lock(session: AsyncSession, name: bytes) -> None:
    """Let one transaction at a time decide about a mailbox."""
    statement = text("SELECT pg_advisory_xact_lock(:number)")
    await (await session.connection()).execute(statement, {"number": int.from_bytes(name[:8], "big", signed=True)})


async def granted(session: AsyncSession, ref: str) -> bool:
    """Tell whether credits were granted under this reference. A purge keeps its digest alone."""
    statement = text("SELECT EXISTS (SELECT FROM transactions WHERE ref IN (:ref, ref_digest(:ref)))")
    return bool((await (await session.connection()).execute(statement, {"ref": ref})).scalar_one())


async def claim(session: AsyncSession, digest: bytes) -> bool:
    """Note that a network or an account has the free tier now. False if it had it before."""
    return (await (await session.connection()).execute(_CLAIM, {"digest": digest})).first() is not None
