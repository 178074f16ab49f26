"""`/api/chat/keys/`: list (masked), create (the token is shown once), change, revoke."""

import os
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel.ext.asyncio.session import AsyncSession

from api.body import StrictRoute
from api.deps import CurrentResources, IdempotencyKey, MayManageKeys
from api.replay import REPLAYED
from db import accounts, idempotency
from db import keys as stored
from db.keys import Caller, Change, NewKey
from domain import keys
from domain.errors import ReplayGone, RequestInvalid, ScopeMissing
from domain.ledger import IdempotencyRecord
from domain.limits import NO_LIMITS, Limits
from gateway.idempotency import IdempotentRequest
from gateway.ids import new_id

router = APIRouter(prefix="/api/chat/keys", tags=["keys"], route_class=StrictRoute)


Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
Count = Annotated[int, Field(ge=1, le=2**53)]


class KeyLimits(BaseModel):
    """What this key may use; where there is no limit, the operator's maximum holds."""

    model_config = ConfigDict(extra="forbid", strict=True, from_attributes=True)

    requests: Count | None = None
    """Per minute."""
    tokens: Count | None = None
    """Per minute, input and output."""
    concurrent: Count | None = None
    credits_day: Count | None = None
    """Per UTC day; calls in flight count with what they hold."""
    credits_month: Count | None = None

    def limits(self) -> Limits:
        return Limits(**self.model_dump())


class CreateKey(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name
    scopes: list[str] | None = None
    limits: KeyLimits | None = None


class ChangeKey(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name | None = None
    scopes: list[str] | None = None
    limits: KeyLimits | None = None


class ListedKey(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    masked: str
    scopes: list[str]
    limits: KeyLimits
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class CreatedKey(BaseModel):
    id: UUID
    name: str
    key: str
    masked: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None


class KeyList(BaseModel):
    data: list[ListedKey]
    has_more: bool = False
    next: str | None = None


@router.get("/")
async def list_keys(caller: MayManageKeys, resources: CurrentResources) -> KeyList:
    """Active keys of the account, newest first."""
    async with resources.database.reading() as session:
        found = await stored.listed(session, caller.account_id)
    return KeyList(data=[ListedKey.model_validate(key) for key in found])


@router.post("/", status_code=201)
async def create_key(
    body: CreateKey, caller: MayManageKeys, resources: CurrentResources, idempotent: IdempotencyKey, response: Response
) -> CreatedKey:
    """The full token is in this answer and nowhere else. A key can give a new one only scopes that it has itself.

    With an `Idempotency-Key` the same caller gets the same answer again, for as long as the new key lives.
    """
    scopes = _scopes(body.scopes, caller.scopes)
    async with resources.database.transaction(account=caller.account_id) as session:
        if idempotent is None:
            return await _create(session, caller, body, scopes)
        await accounts.lock(session, caller.account_id)  # of several at once the others find what the first one made
        if found := await idempotency.find(session, caller.account_id, idempotent.claim):
            answer = await _again(session, found, idempotent)
            response.headers.update(REPLAYED)
            return answer
        made = await _create(session, caller, body, scopes)
        sealed = idempotent.sealed(made.model_dump_json().encode())
        await idempotency.remember(session, caller.account_id, idempotent.claim, made.id, sealed)
        return made


async def _create(session: AsyncSession, caller: Caller, body: CreateKey, scopes: frozenset[str]) -> CreatedKey:
    token = keys.mint(os.urandom(keys.ENTROPY_BYTES))
    new = NewKey(new_id(), token, body.name, scopes, body.limits.limits() if body.limits else NO_LIMITS)
    made = await stored.create(session, caller.account_id, new)
    return CreatedKey(
        id=made.id,
        name=made.name,
        key=token,
        masked=made.masked,
        scopes=made.scopes,
        created_at=made.created_at,
        expires_at=made.expires_at,
    )


async def _again(session: AsyncSession, found: IdempotencyRecord, idempotent: IdempotentRequest) -> CreatedKey:
    """The answer that was given before. Raises `ReplayGone`: a dead token is not handed out as if it worked."""
    if not await stored.lives(session, found.hold_id):
        raise ReplayGone(
            f"The key {found.hold_id} was made before under this Idempotency-Key, and has been revoked or has expired "
            "since. Send another Idempotency-Key to make a new one."
        )
    kept = idempotent.opened(found.sealed) if found.sealed is not None else None
    if kept is None:
        raise ReplayGone(
            f"The key {found.hold_id} was made before under this Idempotency-Key, and its token is kept for the API "
            "key that made it alone. If that token is lost, revoke the key and make another."
        )
    return CreatedKey.model_validate(kept)


@router.patch("/{key_id}/")
async def change_key(key_id: UUID, body: ChangeKey, caller: MayManageKeys, resources: CurrentResources) -> ListedKey:
    """Name, scopes and limits; what is left out stays, each limit too: null takes it away. In force at once, in every
    process.
    """
    asked = Change(
        name=body.name,
        scopes=None if body.scopes is None else _scopes(body.scopes, caller.scopes),
        limits=body.limits.model_dump(exclude_unset=True) if body.limits else {},
    )
    async with resources.database.transaction(account=caller.account_id) as session:
        return ListedKey.model_validate(await stored.change(session, caller.account_id, key_id, asked))


@router.post("/{key_id}/revoke/")
async def revoke_key(key_id: UUID, caller: MayManageKeys, resources: CurrentResources) -> ListedKey:
    """The very next call with it is 401, in every process. Safe to do twice."""
    async with resources.database.transaction(account=caller.account_id) as session:
        return ListedKey.model_validate(await stored.revoke(session, caller.account_id, key_id))


def _scopes(asked: list[str] | None, own: frozenset[str]) -> frozenset[str]:
    if asked is None:
        return keys.DEFAULT_SCOPES & own
    if unknown := sorted(set(asked) - keys.SCOPES):
        raise RequestInvalid(
            f"'scopes' knows {', '.join(sorted(keys.SCOPES))}; not '{unknown[0][:50]}'.", param="scopes"
        )
    if not asked:
        raise RequestInvalid("'scopes' must name at least one scope.", param="scopes")
    if wider := sorted(set(asked) - own):
        raise ScopeMissing(wider[0])
    return frozenset(asked)
