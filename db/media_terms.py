"""What an account has as it orders a job, in one look after the ledger has locked it: its plan, its files, its key."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from db.accounts import is_active
from db.data_keys import ContentKey, Sealing
from db.stored_bytes import SUMS, StoredBytes
from domain.errors import NotFound

_TERMS = text(f"""
SELECT plan, plan_active, plan_until, data_keys.epoch, wrapped, {SUMS}
FROM accounts LEFT JOIN data_keys ON data_keys.account_id = accounts.id AND data_keys.epoch = accounts.epoch
WHERE accounts.id = :account
""")  # noqa: S608  # of our own


@dataclass(frozen=True, slots=True)
class Terms:
    plan: str | None
    """None: it has none now."""
    stored: StoredBytes
    key: ContentKey


async def of(session: AsyncSession, sealing: Sealing, account_id: UUID) -> Terms:
    """Raises `NotFound` for an account without a key, and `ServiceUnavailable` as `Sealing.open` does."""
    row = (await (await session.connection()).execute(_TERMS, {"account": account_id})).one_or_none()
    if row is None:
        raise NotFound
    plan, plan_active, plan_until, epoch, wrapped, outputs, uploads = row
    active = is_active(plan_active, plan_until, datetime.now(UTC))
    key = sealing.opened(account_id, epoch, wrapped)
    return Terms(plan if active else None, StoredBytes(int(outputs), int(uploads)), key)
