"""API keys of an account: who may list, make, change and revoke which.

Each function is part of its caller's transaction, which commits. `by` is the key that asks; None is the operator, who
may do everything.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from pydantic import TypeAdapter

from db import accounts, idempotency
from db import keys as stored
from db.engine import Session
from db.keys import KeyChange, Listed, NewKey
from domain import keys
from domain.authority import Authority
from domain.errors import AuthorityExceeded, ReplayGone, RequestInvalid
from domain.ledger import IdempotencyRecord
from domain.limits import NO_LIMITS, Limits
from gateway.idempotency import IdempotentRequest
from gateway.ids import new_id

_EVERYTHING = Authority(keys.SCOPES)


@dataclass(frozen=True, slots=True)
class KeyOrder:
    """A key to create. Without `scopes` it gets the usual ones that the requesting key has."""

    name: str
    scopes: list[str] | None = None
    limits: Limits = NO_LIMITS
    key_id: UUID = field(default_factory=new_id)
    token: str = field(default_factory=lambda: keys.mint(os.urandom(keys.ENTROPY_BYTES)), repr=False)


@dataclass(frozen=True, slots=True)
class KeyEdit:
    """What a change asks for; None leaves it."""

    name: str | None = None
    scopes: list[str] | None = None
    limits: Mapping[str, int | None] = field(default_factory=dict)
    """By their names in `Limits`; one that is not named stays, None takes it away."""


@dataclass(frozen=True, slots=True)
class CreatedKey:
    id: UUID
    name: str
    key: str
    """The whole token: here and nowhere else."""
    masked: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None


_CREATED = TypeAdapter(CreatedKey)


async def listed(session: Session, account_id: UUID) -> list[Listed]:
    """List the keys that are not revoked, newest first."""
    return await stored.listed(session, account_id)


async def create(session: Session, account_id: UUID, by: UUID | None, order: KeyOrder) -> CreatedKey:
    """Create a key within the scopes and lifetime of the requesting key, which must have no limits of its own."""
    await accounts.lock(session, account_id)
    own = await _authority(session, by)
    if own.limited:
        raise AuthorityExceeded(
            "This API key has limits, and each key that it made would have them again. Use a key without limits."
        )
    scopes = _known(sorted(keys.DEFAULT_SCOPES & own.scopes) if order.scopes is None else order.scopes)
    authority = Authority(scopes, order.limits, own.expires_at)
    authority.require_within(own)
    row = await stored.create(session, account_id, NewKey(order.key_id, order.token, order.name, authority))
    return CreatedKey(row.id, row.name, order.token, row.masked, row.scopes, row.created_at, row.expires_at)


async def create_once(
    session: Session, account_id: UUID, by: UUID | None, order: KeyOrder, idempotent: IdempotentRequest
) -> tuple[CreatedKey, bool]:
    """Create a key once per request. A repeat returns the same key and True; `ReplayGone` once it is dead."""
    await accounts.lock(session, account_id)  # of several at once the others find what the first one made
    if record := await idempotency.find(session, account_id, idempotent.claim):
        return await _again(session, record, idempotent), True
    created = await create(session, account_id, by, order)
    sealed = idempotent.sealed(_CREATED.dump_json(created))
    await idempotency.remember(session, account_id, idempotent.claim, created.id, sealed)
    return created, False


async def change(session: Session, account_id: UUID, by: UUID | None, key_id: UUID, edit: KeyEdit) -> Listed:
    """In force from the commit on, in every process.

    A key changes no key that has more than itself, gives none more than it has, and of itself changes the name alone.
    One with limits of its own only narrows. Raises `NotFound`.
    """
    await accounts.lock(session, account_id)
    own = await _authority(session, by)
    before = await stored.authority(session, key_id, account_id)
    scopes = before.scopes if edit.scopes is None else _known(edit.scopes)
    after = replace(before, scopes=scopes, limits=replace(before.limits, **edit.limits))
    if key_id != by:
        _require_not_stronger(before, own)
    if after != before:
        if key_id == by:
            raise AuthorityExceeded("An API key cannot change its own scopes and limits. Use another key.")
        after.require_within(own)
        if own.limited and not before.covers(after):
            raise AuthorityExceeded("This API key has limits: it can narrow what other keys may do, and not widen it.")
    return await stored.change(session, account_id, key_id, KeyChange(edit.name, after))


async def revoke(session: Session, account_id: UUID, by: UUID | None, key_id: UUID) -> Listed:
    """Revoke a key for good, everywhere once this commits. Idempotent. A key cannot revoke a stronger one."""
    await accounts.lock(session, account_id)
    own = await _authority(session, by)
    target = await stored.authority(session, key_id, account_id, revoked=True)
    if key_id != by:
        _require_not_stronger(target, own)
    return await stored.revoke(session, account_id, key_id)


async def _authority(session: Session, by: UUID | None) -> Authority:
    """As it is under the account's lock: it may have been narrowed since the request began. Raises `CallerUnknown`."""
    return _EVERYTHING if by is None else await stored.live_authority(session, by)


def _require_not_stronger(target: Authority, own: Authority) -> None:
    if not own.covers(target):
        raise AuthorityExceeded(
            "That key may do more than the key that asks. Use one that has at least its scopes and limits."
        )


def _known(scopes: list[str]) -> frozenset[str]:
    if unknown := sorted(set(scopes) - keys.SCOPES):
        raise RequestInvalid(
            f"'scopes' knows {', '.join(sorted(keys.SCOPES))}; not '{unknown[0][:50]}'.", param="scopes"
        )
    if not scopes:
        raise RequestInvalid("'scopes' must name at least one scope.", param="scopes")
    return frozenset(scopes)


async def _again(session: Session, record: IdempotencyRecord, idempotent: IdempotentRequest) -> CreatedKey:
    """Return the earlier answer. Raises `ReplayGone` when its key is dead, or another key made it."""
    if not await stored.lives(session, record.hold_id):
        raise ReplayGone(
            f"The key {record.hold_id} was made before under this Idempotency-Key, and has been revoked or has expired "
            "since. Send another Idempotency-Key to make a new one."
        )
    answer = idempotent.opened(record.sealed) if record.sealed is not None else None
    if answer is None:
        raise ReplayGone(
            f"The key {record.hold_id} was made before under this Idempotency-Key, and its token is kept for the API "
            "key that made it alone. If that token is lost, revoke the key and make another."
        )
    return _CREATED.validate_python(answer)
