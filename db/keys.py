"""API keys. Only digests of their tokens are stored.

Each change of a key takes its account's lock, so that the ledger sees it at once.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func, or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import accounts
from db.tables import AccountRow, ApiKeyRow, ApiKeySecretRow
from domain import keys
from domain.authority import Authority
from domain.caller import ApiKey, Caller
from domain.errors import AccountSuspended, CallerUnknown, NotFound, RequestInvalid
from domain.limits import Limits, Used
from domain.rates import AccountCounters

MAX_KEYS = 100
"""The most active keys of an account."""


@dataclass(frozen=True, slots=True)
class Listed:
    id: UUID
    name: str
    masked: str
    scopes: list[str]
    limits: dict[str, int]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewKey:
    key_id: UUID
    token: str
    name: str
    authority: Authority


@dataclass(frozen=True, slots=True)
class KeyChange:
    name: str | None
    """None keeps the name."""
    authority: Authority


async def create(session: AsyncSession, account_id: UUID, new: NewKey) -> Listed:
    """Create a key. Stores the digest of the token, not the token. Raises `RequestInvalid` above `MAX_KEYS`."""
    await accounts.lock(session, account_id)
    live = select(func.count()).where(ApiKeyRow.account_id == account_id, col(ApiKeyRow.revoked_at).is_(None))
    if (await session.exec(live)).one() >= MAX_KEYS:
        raise RequestInvalid(f"An account has at most {MAX_KEYS} active keys. Revoke one first.", param="name")
    now = datetime.now(UTC)
    key = ApiKeyRow(
        id=new.key_id,
        account_id=account_id,
        name=new.name,
        scopes=sorted(new.authority.scopes),
        limits=_set(new.authority.limits),
        created_at=now,
        expires_at=new.authority.expires_at,
    )
    session.add(key)
    await session.flush()
    secret = ApiKeySecretRow(
        digest=keys.digest(new.token), key_id=new.key_id, masked=keys.masked(new.token), created_at=now
    )
    session.add(secret)
    await session.flush()
    return _listed(key, secret)


async def listed(session: AsyncSession, account_id: UUID) -> list[Listed]:
    """Return the keys that are not revoked, newest first, each with the mask of its newest secret."""
    query = (
        select(ApiKeyRow, ApiKeySecretRow)
        .join(ApiKeySecretRow, col(ApiKeySecretRow.key_id) == col(ApiKeyRow.id))
        .where(ApiKeyRow.account_id == account_id, col(ApiKeyRow.revoked_at).is_(None))
        .order_by(col(ApiKeyRow.created_at).desc(), col(ApiKeyRow.id).desc(), col(ApiKeySecretRow.created_at))
    )
    newest = {key.id: _listed(key, secret) for key, secret in await session.exec(query)}
    return list(newest.values())


async def find(session: AsyncSession, named: str) -> tuple[UUID, UUID, datetime | None]:
    """Find a key by its id or a token. Returns its account, its id and when it was revoked. Raises `NotFound`."""
    query = select(ApiKeyRow.account_id, ApiKeyRow.id, ApiKeyRow.revoked_at)
    try:
        query = query.where(ApiKeyRow.id == UUID(named))
    except ValueError:
        query = query.join(ApiKeySecretRow, col(ApiKeySecretRow.key_id) == col(ApiKeyRow.id))
        query = query.where(ApiKeySecretRow.digest == keys.digest(named))
    row = (await session.exec(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such key. Give its id, or a whole token of it.")
    return row


async def change(session: AsyncSession, account_id: UUID, key_id: UUID, wanted: KeyChange) -> Listed:
    """Change a key, from this transaction's commit on. Raises `NotFound`, also for a revoked key."""
    key, secret = await _key_rows(session, account_id, key_id)
    if key.revoked_at is not None:
        raise NotFound("There is no such key in this account.")
    if wanted.name is not None:
        key.name = wanted.name
    key.scopes, key.limits = sorted(wanted.authority.scopes), _set(wanted.authority.limits)
    session.add(key)
    return _listed(key, secret)


async def authority(session: AsyncSession, key_id: UUID, account_id: UUID, *, revoked: bool = False) -> Authority:
    """Return the authority of a key of the account. Raises `NotFound`, also for a revoked key unless `revoked`."""
    key = await session.get(ApiKeyRow, key_id)
    if key is None or key.account_id != account_id or (key.revoked_at is not None and not revoked):
        raise NotFound("There is no such key in this account.")
    return _authority(key)


async def live_authority(session: AsyncSession, key_id: UUID) -> Authority:
    """Return the present authority of the key of a request. Raises `CallerUnknown` if it was revoked or has expired."""
    if not await lives(session, key_id):
        raise CallerUnknown
    key = await session.get_one(ApiKeyRow, key_id)
    return _authority(key)


def _authority(key: ApiKeyRow) -> Authority:
    return Authority(frozenset(key.scopes), Limits(**key.limits), key.expires_at)


async def lives(session: AsyncSession, key_id: UUID) -> bool:
    """Tell whether the key is neither revoked nor expired."""
    now = datetime.now(UTC)
    key = await session.get(ApiKeyRow, key_id)
    return key is not None and key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


async def revoke(session: AsyncSession, account_id: UUID, key_id: UUID) -> Listed:
    """Revoke a key in every process, once this transaction commits. Idempotent. Raises `NotFound`."""
    key, secret = await _key_rows(session, account_id, key_id)
    if key.revoked_at is None:
        key.revoked_at = datetime.now(UTC)
        dead = update(ApiKeySecretRow).where(col(ApiKeySecretRow.key_id) == key_id)
        await session.exec(dead.values(revoked_at=key.revoked_at))
        session.add(key)
    return _listed(key, secret)


async def authenticate(session: AsyncSession, token: str) -> Caller:
    """Return the caller of a token, for requests that hold no credits. Raises `CallerUnknown` for every reason."""
    digest = keys.digest(token)
    now = func.now()
    query = (
        select(ApiKeyRow, AccountRow)
        .join(ApiKeySecretRow, col(ApiKeySecretRow.key_id) == col(ApiKeyRow.id))
        .join(AccountRow, col(AccountRow.id) == col(ApiKeyRow.account_id))
        .where(
            ApiKeySecretRow.digest == digest,
            col(ApiKeySecretRow.revoked_at).is_(None),
            col(ApiKeyRow.revoked_at).is_(None),
            or_(col(ApiKeySecretRow.expires_at).is_(None), col(ApiKeySecretRow.expires_at) > now),
            or_(col(ApiKeyRow.expires_at).is_(None), col(ApiKeyRow.expires_at) > now),
        )
    )
    row = (await session.exec(query)).one_or_none()
    if row is None:
        raise CallerUnknown
    key, account = row
    if account.suspended_at is not None:
        raise AccountSuspended
    used = Used(
        key.requests_tat, key.tokens_tat, key.open_holds, key.day, key.day_credits, key.month, key.month_credits
    )
    credential = ApiKey(key_id=key.id, digest=digest, token=token, limits=Limits(**key.limits), used=used)
    counters = AccountCounters(account.requests_tat, account.tokens_tat)
    return Caller(key.account_id, frozenset(key.scopes), credential, counters)


async def _key_rows(session: AsyncSession, account_id: UUID, key_id: UUID) -> tuple[ApiKeyRow, ApiKeySecretRow]:
    """Lock the account, and return the key with its newest secret."""
    await accounts.lock(session, account_id)
    query = (
        select(ApiKeyRow, ApiKeySecretRow)
        .join(ApiKeySecretRow, col(ApiKeySecretRow.key_id) == col(ApiKeyRow.id))
        .where(ApiKeyRow.id == key_id, ApiKeyRow.account_id == account_id)
        .order_by(col(ApiKeySecretRow.created_at).desc())
    )
    row = (await session.exec(query)).first()
    if row is None:
        raise NotFound("There is no such key in this account.")
    return row[0], row[1]


def _set(limits: Limits) -> dict[str, int]:
    return {name: value for name, value in asdict(limits).items() if value is not None}


def _listed(key: ApiKeyRow, secret: ApiKeySecretRow) -> Listed:
    assert key.created_at is not None  # noqa: S101  # the column is not null
    return Listed(
        key.id,
        key.name,
        secret.masked,
        key.scopes,
        key.limits,
        key.created_at,
        key.expires_at,
        key.last_used_at,
        key.revoked_at,
    )
