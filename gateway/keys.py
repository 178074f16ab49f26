"""API keys of an account: who may list, make, change, rotate and revoke which.

Each function is part of its caller's transaction, which commits. `by` is the key that asks, by one of its tokens; None
is the account's owner or the operator, who may do everything.
"""

import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict
from uuid import UUID

from pydantic import TypeAdapter

from db import accounts, idempotency, webhooks
from db import keys as stored
from db.engine import Session
from db.keys import KeyTraits, Listed, NewKey, StoredKey
from domain import keys
from domain.authority import Authority
from domain.caller import ApiKey
from domain.catalog import Catalog
from domain.errors import AuthorityExceeded, ModelNotFound, ReplayGone, RequestInvalid
from domain.ledger import IdempotencyRecord
from domain.limits import NO_LIMITS, Limits
from domain.privacy import Privacy
from domain.webhooks import EventType
from gateway.idempotency import IdempotentRequest
from gateway.ids import new_id

GRACE = timedelta(hours=24)
"""How long the token before a rotation works, unless the request says otherwise."""
MAX_GRACE = timedelta(days=7)
MAX_ANCESTORS = 4
"""How many keys may lie behind a key: the one that made it, the one that made that one, and so on."""
_OWNER = StoredKey(KeyTraits(""), Authority(keys.SCOPES), ())


def _new_token() -> str:
    return keys.mint(os.urandom(keys.ENTROPY_BYTES))


@dataclass(frozen=True, slots=True)
class KeyOrder:
    """A key to create. What is None is as far as the requesting key goes; without `scopes`, the usual ones of it."""

    name: str = field(repr=False)
    scopes: list[str] | None = None
    limits: Limits = NO_LIMITS
    models: frozenset[str] | None = None
    expires_at: datetime | None = None
    note: str | None = field(default=None, repr=False)
    strict: bool = False
    privacy: Privacy | None = None
    key_id: UUID = field(default_factory=new_id)
    token: str = field(default_factory=_new_token, repr=False)


class KeySettings(TypedDict, total=False):
    """What a change sets: all that is in it. None takes an end, a list of models or a note away."""

    expires_at: datetime | None
    models: frozenset[str] | None
    note: str | None
    strict: bool
    privacy: Privacy


@dataclass(frozen=True, slots=True)
class KeyEdit:
    """What a change asks for; None leaves it."""

    name: str | None = field(default=None, repr=False)
    scopes: list[str] | None = None
    limits: Mapping[str, int | None] = field(default_factory=dict)
    """By their names in `Limits`; one that is not named stays, None takes it away."""
    settings: KeySettings = field(default_factory=KeySettings, repr=False)


@dataclass(frozen=True, slots=True)
class Rotation:
    key_id: UUID
    grace: timedelta = GRACE
    """How long the present token still works."""
    token: str = field(default_factory=_new_token, repr=False)


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """A key with its token: at its creation, or after a rotation."""

    id: UUID
    name: str = field(repr=False)
    key: str = field(repr=False)
    """The whole token: here and nowhere else."""
    masked: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    models: list[str] | None = None
    limits: dict[str, int] = field(default_factory=dict)
    note: str | None = field(default=None, repr=False)
    strict: bool = False
    privacy: str = Privacy.DEFAULT.value
    parent_id: UUID | None = None
    previous_expires_at: datetime | None = None


_CREATED = TypeAdapter(CreatedKey)


def models_of(names: list[str], catalog: Catalog) -> frozenset[str]:
    """Check the models that a key may call. Raises `RequestInvalid` for one that is not active, and for none."""
    if not names:
        raise RequestInvalid("'models' must name at least one model; without it a key may call all.", param="models")
    for name in names:
        try:
            catalog.find(name)
        except ModelNotFound as unknown:
            raise RequestInvalid(unknown.message, param="models") from None
    return frozenset(names)


async def create(session: Session, account_id: UUID, by: ApiKey | None, order: KeyOrder) -> CreatedKey:
    """Create a key within the requesting key, whose limits the calls of the new one count on as well."""
    await accounts.lock(session, account_id)
    own = await _asking(session, by)
    ancestors = () if by is None else (by.key_id, *own.ancestors)
    if len(ancestors) > MAX_ANCESTORS:
        raise AuthorityExceeded(
            f"{MAX_ANCESTORS} keys lie behind this API key: it makes none. Use the key that made it."
        )
    authority = _ordered(order, own.authority)
    authority.require_within(own.authority)
    traits = KeyTraits(order.name, order.note, order.strict)
    row = await stored.create(session, account_id, NewKey(order.key_id, order.token, traits, authority, ancestors))
    return _created(row, order.token)


def _ordered(order: KeyOrder, own: Authority) -> Authority:
    scopes = _known(sorted(keys.DEFAULT_SCOPES & own.scopes) if order.scopes is None else order.scopes)
    return Authority(
        scopes,
        order.limits.or_else(own.limits),
        own.expires_at if order.expires_at is None else _in_future(order.expires_at),
        own.models if order.models is None else order.models,
        own.privacy if order.privacy is None else order.privacy,
    )


async def create_once(
    session: Session, account_id: UUID, by: ApiKey | None, order: KeyOrder, idempotent: IdempotentRequest | None
) -> tuple[CreatedKey, bool]:
    """Create a key, once for `idempotent`. A repeat returns the same key and True; `ReplayGone` once it is dead."""
    return await _once(session, account_id, idempotent, lambda: create(session, account_id, by, order))


async def change(session: Session, account_id: UUID, by: ApiKey | None, key_id: UUID, edit: KeyEdit) -> Listed:
    """In force from the commit on, in every process.

    A key changes no key that has more than itself, gives none more than it has, and of itself changes no authority.
    One with limits of its own widens only keys that count on its limits. Raises `NotFound`.
    """
    await accounts.lock(session, account_id)
    own = await _asking(session, by)
    target = await stored.stored(session, key_id, account_id)
    before, after = target.authority, _changed(target.authority, edit)
    itself = by is not None and by.key_id == key_id
    if not itself:
        _require_not_stronger(before, own.authority)
    if after != before:
        if itself:
            raise AuthorityExceeded(
                "An API key cannot change its own scopes, limits, models, privacy and end. Use another key."
            )
        after.require_within(own.authority)
        if own.authority.limited and not _made(by, target) and not before.covers(after):
            raise AuthorityExceeded("This API key has limits: it can narrow what other keys may do, and not widen it.")
    traits = KeyTraits(
        target.traits.name if edit.name is None else edit.name,
        edit.settings.get("note", target.traits.note),
        edit.settings.get("strict", target.traits.strict),
    )
    return await stored.change(session, account_id, key_id, traits, after)


def _changed(before: Authority, edit: KeyEdit) -> Authority:
    expires_at = edit.settings.get("expires_at", before.expires_at)
    if expires_at is not None and expires_at != before.expires_at:
        _in_future(expires_at)
    return replace(
        before,
        scopes=before.scopes if edit.scopes is None else _known(edit.scopes),
        limits=replace(before.limits, **edit.limits),
        expires_at=expires_at,
        models=edit.settings.get("models", before.models),
        privacy=edit.settings.get("privacy", before.privacy),
    )


async def revoke(session: Session, account_id: UUID, by: ApiKey | None, key_id: UUID) -> Listed:
    """Revoke a key for good, everywhere once this commits. Idempotent. A key cannot revoke a stronger one."""
    await accounts.lock(session, account_id)
    own = await _asking(session, by)
    target = await stored.stored(session, key_id, account_id, revoked=True)
    if by is None or by.key_id != key_id:
        _require_not_stronger(target.authority, own.authority)
    first = await stored.lives(session, key_id)
    revoked = await stored.revoke(session, account_id, key_id)
    if first:
        data = {"key_id": str(key_id), "status": "revoked", "sequence": 1}
        await webhooks.record_event(session, account_id, EventType.KEY_REVOKED, key_id, data)
    return revoked


async def rotate(session: Session, account_id: UUID, by: ApiKey | None, rotation: Rotation) -> CreatedKey:
    """Give a key a new token. Its id, scopes, limits and counters go on.

    A key rotates itself, and others that have no more than itself: the answer has their token. One with limits rotates
    only those of others that count on its limits. A token that ends before its key gets no later one.
    """
    await accounts.lock(session, account_id)
    own = await _asking(session, by)
    target = await stored.stored(session, rotation.key_id, account_id)
    if by is None or by.key_id != rotation.key_id:
        _require_not_stronger(target.authority, own.authority)
        if own.authority.limited and not _made(by, target):
            raise AuthorityExceeded("This API key has limits: with another key's token it would have them again.")
    elif not own.authority.covers(target.authority):
        raise AuthorityExceeded("This token was rotated and ends soon: it gets no later one. Use the newer token.")
    row = await stored.rotate(session, account_id, rotation.key_id, rotation.token, rotation.grace)
    return _created(row, rotation.token)


async def rotate_once(
    session: Session, account_id: UUID, by: ApiKey | None, rotation: Rotation, idempotent: IdempotentRequest | None
) -> tuple[CreatedKey, bool]:
    """Rotate a key, once for `idempotent`. A repeat returns the same token and True; `ReplayGone` once it is dead."""
    return await _once(session, account_id, idempotent, lambda: rotate(session, account_id, by, rotation))


async def _asking(session: Session, by: ApiKey | None) -> StoredKey:
    """As it is under the account's lock: it may have been narrowed since the request began. It ends with its token.

    Raises `CallerUnknown`.
    """
    return _OWNER if by is None else await stored.live(session, by.digest)


def _made(by: ApiKey | None, target: StoredKey) -> bool:
    """Tell whether the target's calls count on the limits of the key that asks."""
    return by is not None and by.key_id in target.ancestors


def _in_future(moment: datetime) -> datetime:
    if moment <= datetime.now(UTC):
        raise RequestInvalid("'expires_at' must be in the future.", param="expires_at")
    return moment


def _created(row: Listed, token: str) -> CreatedKey:
    return CreatedKey(
        id=row.id,
        name=row.name,
        key=token,
        masked=row.masked,
        scopes=row.scopes,
        created_at=row.created_at,
        expires_at=row.expires_at,
        models=row.models,
        limits=row.limits,
        note=row.note,
        strict=row.strict,
        privacy=row.privacy,
        parent_id=row.parent_id,
        previous_expires_at=row.previous_expires_at,
    )


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


async def _once(
    session: Session,
    account_id: UUID,
    idempotent: IdempotentRequest | None,
    make: Callable[[], Coroutine[Any, Any, CreatedKey]],
) -> tuple[CreatedKey, bool]:
    if idempotent is None:
        return await make(), False
    await accounts.lock(session, account_id)  # of several at once the others find what the first one made
    if record := await idempotency.find(session, account_id, idempotent.claim):
        return await _again(session, record, idempotent), True
    issued = await make()
    sealed = idempotent.sealed(_CREATED.dump_json(issued))
    await idempotency.remember(session, account_id, idempotent.claim, issued.id, sealed)
    return issued, False


async def _again(session: Session, record: IdempotencyRecord, idempotent: IdempotentRequest) -> CreatedKey:
    """Return the earlier answer. Raises `ReplayGone` when its token is dead, or another key asked for it."""
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
    created = _CREATED.validate_python(answer)
    if not await stored.holds_secret(session, created.key):
        raise ReplayGone(
            f"The token of {record.hold_id} that was made before under this Idempotency-Key has been rotated since."
        )
    return created
