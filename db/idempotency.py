"""Stores what an `Idempotency-Key` made, for requests without the ledger's writer. The caller holds the account's lock.

For calls and jobs, the ledger itself stores the claim and the sealed answer, in the transaction that holds or settles.
"""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from db import accounts
from db.tables import IdempotencyRow
from domain.errors import KeyReused
from domain.ledger import IdempotencyRecord
from domain.operations import IdempotencyClaim


async def find(session: AsyncSession, account_id: UUID, claim: IdempotencyClaim) -> IdempotencyRecord | None:
    """Return what this request made before, if it is still stored. Raises `KeyReused` for another request."""
    now, epoch = datetime.now(UTC), await accounts.epoch(session, account_id)
    for scope, fingerprint in claim.identities:
        row = await session.get(IdempotencyRow, (account_id, scope))
        if row is None or row.hold_id is None or row.expires_at <= now or row.epoch < epoch:
            continue
        if row.fingerprint != fingerprint:
            raise KeyReused("This Idempotency-Key was used before for a different request.")
        return IdempotencyRecord(row.fingerprint, row.hold_id, row.sealed, row.epoch)
    return None


async def remember(
    session: AsyncSession, account_id: UUID, claim: IdempotencyClaim, result_id: UUID, sealed: bytes | None
) -> None:
    """Store the result, in place of an expired one. One statement, because expired rows are deleted without a lock."""
    now, epoch = datetime.now(UTC), await accounts.epoch(session, account_id)
    for scope, fingerprint in claim.identities:
        row = {
            "fingerprint": fingerprint,
            "hold_id": result_id,
            "sealed": sealed,
            "created_at": now,
            "expires_at": now + claim.remembered,
            "epoch": epoch,
        }
        statement = insert(IdempotencyRow).values(account_id=account_id, scope=scope, **row)
        await session.exec(statement.on_conflict_do_update(index_elements=["account_id", "scope"], set_=row))


async def forget_answer(session: AsyncSession, account_id: UUID, result_id: UUID) -> None:
    """Delete the sealed answer that made something which is deleted now. The request itself is still remembered."""
    made_it = (col(IdempotencyRow.account_id) == account_id, col(IdempotencyRow.hold_id) == result_id)
    await session.exec(update(IdempotencyRow).where(*made_it).values(sealed=None))
