"""API keys. Only digests of their tokens are stored.

Each change of a key takes its account's lock, so that the ledger sees it at once.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, inspect, or_, text, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import accounts
from db.tables import AccountRow, ApiKeyRow, ApiKeySecretRow
from domain import keys
from domain.authority import Authority
from domain.bounds import lowest
from domain.caller import ApiKey, Caller
from domain.errors import AccountSuspended, CallerUnknown, NotFound, RequestInvalid
from domain.limits import Limits, Used
from domain.privacy import Privacy
from domain.rates import AccountCounters

_NO_KEY = "There is no such key in this account."
MAX_KEYS = 100
"""The most active keys of an account."""
_TICK = timedelta(microseconds=1)
"""A token is later than the one before it, whatever the clocks of processes say."""


@dataclass(frozen=True, slots=True)
class Listed:
    id: UUID
    name: str = field(repr=False)
    masked: str
    scopes: list[str]
    limits: dict[str, int]
    used: Used
    """What of its budgets is used now."""
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    models: list[str] | None
    note: str | None = field(repr=False)
    strict: bool
    privacy: str
    parent_id: UUID | None
    """The key that made it."""
    previous_expires_at: datetime | None
    """When the token before the last rotation ends. None: there is none that still works."""


@dataclass(frozen=True, slots=True)
class KeyTraits:
    """What a key is besides its authority."""

    name: str = field(repr=False)
    note: str | None = field(default=None, repr=False)
    strict: bool = False


@dataclass(frozen=True, slots=True)
class StoredKey:
    traits: KeyTraits
    authority: Authority
    ancestors: tuple[UUID, ...]
    """The key that made it, the one that made that one, and so on."""


@dataclass(frozen=True, slots=True)
class NewKey:
    key_id: UUID
    token: str = field(repr=False)
    traits: KeyTraits
    authority: Authority
    ancestors: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class _Secret:
    """What a list tells of a secret."""

    masked: str
    expires_at: datetime | None
    revoked_at: datetime | None


# Columns, not objects: those cost more than all else of a list.
_LISTED = text(f"""
SELECT {", ".join(f"k.{column.name}" for column in inspect(ApiKeyRow).columns)},
       s.masked, s.expires_at AS secret_expires_at, s.revoked_at AS secret_revoked_at
FROM api_keys k JOIN api_key_secrets s ON s.key_id = k.id
WHERE k.account_id = :account_id AND k.revoked_at IS NULL
ORDER BY k.created_at DESC, k.id DESC, s.created_at
""")  # noqa: S608  # our own text


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
        created_at=now,
        ancestors=list(new.ancestors),
        **_columns(new.traits, new.authority),
    )
    session.add(key)
    await session.flush()
    secret = _secret(new.key_id, new.token, now)
    session.add(secret)
    await session.flush()
    return _listed(key, [secret])


async def listed(session: AsyncSession, account_id: UUID) -> list[Listed]:
    """Return the keys that are not revoked, newest first, each with the mask of its newest secret."""
    rows: Sequence[Any] = (await (await session.connection()).execute(_LISTED, {"account_id": account_id})).all()
    keyed: dict[UUID, tuple[Any, list[_Secret]]] = {}
    for row in rows:
        keyed.setdefault(row.id, (row, []))[1].append(_Secret(row.masked, row.secret_expires_at, row.secret_revoked_at))
    return [_listed(key, secrets) for key, secrets in keyed.values()]


async def shown(session: AsyncSession, account_id: UUID, key_id: UUID) -> Listed:
    """Return a key of the account, also a revoked one. Raises `NotFound`."""
    return _listed(*await _key_rows(session, account_id, key_id))


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


async def change(
    session: AsyncSession, account_id: UUID, key_id: UUID, traits: KeyTraits, authority: Authority
) -> Listed:
    """Change a key, from this transaction's commit on. Raises `NotFound`, also for a revoked key."""
    await accounts.lock(session, account_id)
    key, secrets = await _key_rows(session, account_id, key_id)
    if key.revoked_at is not None:
        raise NotFound(_NO_KEY)
    for name, value in _columns(traits, authority).items():
        setattr(key, name, value)
    session.add(key)
    return _listed(key, secrets)


async def stored(session: AsyncSession, key_id: UUID, account_id: UUID, *, revoked: bool = False) -> StoredKey:
    """Return a key of the account. Raises `NotFound`, also for a revoked key unless `revoked`."""
    key = await session.get(ApiKeyRow, key_id)
    if key is None or key.account_id != account_id or (key.revoked_at is not None and not revoked):
        raise NotFound(_NO_KEY)
    return StoredKey(KeyTraits(key.name, key.note, key.strict), _authority(key), tuple(key.ancestors))


async def live(session: AsyncSession, digest: bytes) -> StoredKey:
    """Return the key of a request's token as it is now, with the end of that token if it ends before the key.

    Raises `CallerUnknown` if the token or the key was revoked or has expired.
    """
    secret = await _live_secret(session, digest)
    if secret is None or not await lives(session, secret.key_id):
        raise CallerUnknown
    key = await session.get_one(ApiKeyRow, secret.key_id)
    row = await stored(session, key.id, key.account_id)
    end = lowest(secret.expires_at, key.expires_at)
    return replace(row, authority=replace(row.authority, expires_at=end))


def _authority(key: ApiKeyRow) -> Authority:
    models = None if key.models is None else frozenset(key.models)
    return Authority(frozenset(key.scopes), Limits(**key.limits), key.expires_at, models, Privacy(key.privacy))


def _columns(traits: KeyTraits, authority: Authority) -> dict[str, Any]:
    """Return the columns of a key that a change writes."""
    return {
        **asdict(traits),
        "scopes": sorted(authority.scopes),
        "limits": _set(authority.limits),
        "expires_at": authority.expires_at,
        "models": None if authority.models is None else sorted(authority.models),
        "privacy": authority.privacy.value,
    }


async def lives(session: AsyncSession, key_id: UUID) -> bool:
    """Tell whether the key is neither revoked nor expired."""
    key = await session.get(ApiKeyRow, key_id)
    return key is not None and key.revoked_at is None and _later(key.expires_at)


async def holds_secret(session: AsyncSession, token: str) -> bool:
    """Tell whether the token works, apart from what its key's end says."""
    return await _live_secret(session, keys.digest(token)) is not None


async def _live_secret(session: AsyncSession, digest: bytes) -> ApiKeySecretRow | None:
    secret = await session.get(ApiKeySecretRow, digest)
    return secret if secret is not None and secret.revoked_at is None and _later(secret.expires_at) else None


async def revoke(session: AsyncSession, account_id: UUID, key_id: UUID) -> Listed:
    """Revoke a key in every process, once this transaction commits. Idempotent. Raises `NotFound`."""
    await accounts.lock(session, account_id)
    key, secrets = await _key_rows(session, account_id, key_id)
    if key.revoked_at is None:
        key.revoked_at = datetime.now(UTC)
        dead = update(ApiKeySecretRow).where(col(ApiKeySecretRow.key_id) == key_id)
        await session.exec(dead.values(revoked_at=key.revoked_at))
        session.add(key)
    return _listed(key, secrets)


async def rotate(session: AsyncSession, account_id: UUID, key_id: UUID, token: str, grace: timedelta) -> Listed:
    """Give a key a new token. The newest one of before works for `grace` more, and older ones end now.

    Raises `NotFound`, also for a revoked key, and `RequestInvalid` for one that has expired.
    """
    await accounts.lock(session, account_id)
    key, secrets = await _key_rows(session, account_id, key_id)
    if key.revoked_at is not None:
        raise NotFound(_NO_KEY)
    if not _later(key.expires_at):
        raise RequestInvalid("This key has expired. Give it a later 'expires_at' first.", param="expires_at")
    now = datetime.now(UTC)
    *older, newest = secrets
    for secret in older if grace else secrets:
        secret.revoked_at = secret.revoked_at or now
        session.add(secret)
    if grace:
        newest.expires_at = now + grace
        session.add(newest)
    added = _secret(key_id, token, max(now, newest.created_at + _TICK if newest.created_at else now))
    session.add(added)
    await session.flush()
    return _listed(key, [*secrets, added])


async def authenticate(session: AsyncSession, token: str) -> Caller:
    """Return the caller of a token, for requests that hold no credits. Raises `CallerUnknown` for every reason."""
    digest = keys.digest(token)
    now = func.now()
    query = (
        select(ApiKeyRow, AccountRow, ApiKeySecretRow.expires_at)
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
    key, account, token_end = row
    if account.suspended_at is not None:
        raise AccountSuspended
    credential = ApiKey(
        key_id=key.id,
        digest=digest,
        token=token,
        limits=Limits(**key.limits),
        used=_used(key),
        last_used_at=key.last_used_at,
        parents=await _parents(session, key),
        models=_authority(key).models,
        expires_at=lowest(token_end, key.expires_at),
        privacy=Privacy(key.privacy),
        strict=key.strict,
    )
    counters = AccountCounters(account.requests_tat, account.tokens_tat)
    return Caller(key.account_id, frozenset(key.scopes), credential, counters)


async def note_use(session: AsyncSession, key_id: UUID) -> None:
    """Record that a request without a body used the key. Waits for nobody: whoever has it locked records a use."""
    free = select(ApiKeyRow.id).where(ApiKeyRow.id == key_id).with_for_update(skip_locked=True)
    if (await session.exec(free)).one_or_none() is not None:
        await session.exec(update(ApiKeyRow).where(col(ApiKeyRow.id) == key_id).values(last_used_at=func.now()))


async def _parents(session: AsyncSession, key: ApiKeyRow) -> tuple[tuple[Limits, Used], ...]:
    if not key.ancestors:
        return ()
    rows = (await session.exec(select(ApiKeyRow).where(col(ApiKeyRow.id).in_(key.ancestors)))).all()
    return tuple((Limits(**row.limits), _used(row)) for row in rows)


def _used(key: ApiKeyRow) -> Used:
    return Used(
        key.requests_tat, key.tokens_tat, key.open_holds, key.day, key.day_credits, key.month, key.month_credits
    )


async def _key_rows(session: AsyncSession, account_id: UUID, key_id: UUID) -> tuple[ApiKeyRow, list[ApiKeySecretRow]]:
    """Return the key and its secrets, the newest last. Raises `NotFound`."""
    query = (
        select(ApiKeyRow, ApiKeySecretRow)
        .join(ApiKeySecretRow, col(ApiKeySecretRow.key_id) == col(ApiKeyRow.id))
        .where(ApiKeyRow.id == key_id, ApiKeyRow.account_id == account_id)
        .order_by(col(ApiKeySecretRow.created_at))
    )
    rows = (await session.exec(query)).all()
    if not rows:
        raise NotFound(_NO_KEY)
    return rows[0][0], [secret for _, secret in rows]


def _secret(key_id: UUID, token: str, now: datetime) -> ApiKeySecretRow:
    return ApiKeySecretRow(digest=keys.digest(token), key_id=key_id, masked=keys.masked(token), created_at=now)


def _later(end: datetime | None) -> bool:
    return end is None or end > datetime.now(UTC)


def _set(limits: Limits) -> dict[str, int]:
    return {name: value for name, value in asdict(limits).items() if value is not None}


def _listed(key: ApiKeyRow, secrets: Sequence[ApiKeySecretRow | _Secret]) -> Listed:
    """`secrets`: all of the key's, the newest last."""
    assert key.created_at is not None  # noqa: S101  # the column is not null
    ends = [secret.expires_at for secret in secrets[:-1] if secret.revoked_at is None and _later(secret.expires_at)]
    return Listed(
        id=key.id,
        name=key.name,
        masked=secrets[-1].masked,
        scopes=key.scopes,
        limits=key.limits,
        used=_used(key).at(datetime.now(UTC)),
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
        models=key.models,
        note=key.note,
        strict=key.strict,
        privacy=key.privacy,
        parent_id=key.ancestors[0] if key.ancestors else None,
        previous_expires_at=ends[-1] if ends and key.revoked_at is None else None,
    )
