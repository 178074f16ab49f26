"""What an `Idempotency-Key` made, for requests that go past the ledger's writer. Both under their account's lock.

What holds credits is claimed and sealed by the ledger itself, in the transaction that holds or settles.
"""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel.ext.asyncio.session import AsyncSession

from db.tables import IdempotencyRow
from domain.errors import KeyReused
from domain.ledger import IdempotencyClaim, IdempotencyRecord


async def claimed(session: AsyncSession, account_id: UUID, claim: IdempotencyClaim) -> IdempotencyRecord | None:
    """What was made under this claim before, while that is remembered. Raises `KeyReused` for another request."""
    row = await session.get(IdempotencyRow, (account_id, claim.scope))
    if row is None or row.hold_id is None or row.expires_at <= datetime.now(UTC):
        return None
    if row.fingerprint != claim.fingerprint:
        raise KeyReused("This Idempotency-Key was used before for a different request.")
    return IdempotencyRecord(row.fingerprint, row.hold_id, row.sealed)


async def remember(
    session: AsyncSession, account_id: UUID, claim: IdempotencyClaim, made: UUID, sealed: bytes | None
) -> None:
    """In place of what has expired. One statement: the sweeper deletes such rows without a lock."""
    now = datetime.now(UTC)
    row = {
        "fingerprint": claim.fingerprint,
        "hold_id": made,
        "sealed": sealed,
        "created_at": now,
        "expires_at": now + claim.remembered,
    }
    statement = insert(IdempotencyRow).values(account_id=account_id, scope=claim.scope, **row)
    await session.exec(statement.on_conflict_do_update(index_elements=["account_id", "scope"], set_=row))
