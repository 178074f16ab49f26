"""`/api/chat/keys/`: list (masked), create (the token is shown once), change, revoke."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from api.body import StrictRoute
from api.deps import CurrentResources, IdempotencyKey, MayManageKeys
from api.idempotency import REPLAYED
from domain.limits import NO_LIMITS, Limits
from gateway import keys
from gateway.keys import KeyEdit, KeyOrder

router = APIRouter(prefix="/api/chat/keys", tags=["keys"], route_class=StrictRoute)


Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
Count = Annotated[int, Field(ge=1, le=2**53)]


class KeyLimits(BaseModel):
    """The limits of a key. Where it has none, the operator's maximum applies."""

    model_config = ConfigDict(extra="forbid", strict=True, from_attributes=True)

    requests: Count | None = None
    """Requests per minute."""
    tokens: Count | None = None
    """Tokens per minute, input and output."""
    concurrent: Count | None = None
    credits_day: Count | None = None
    """Credits per UTC day. Calls in flight count with the credits that they hold."""
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
    model_config = ConfigDict(from_attributes=True)

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
    """List the account's active keys, newest first."""
    async with resources.database.reading() as session:
        rows = await keys.listed(session, caller.account_id)
    return KeyList(data=[ListedKey.model_validate(row) for row in rows])


@router.post("/", status_code=201)
async def create_key(
    body: CreateKey, caller: MayManageKeys, resources: CurrentResources, idempotent: IdempotencyKey, response: Response
) -> CreatedKey:
    """Create a key. Only this answer has its full token. A key gives a new one only scopes that it has itself. A key
    with limits creates none, because each new key would have these limits again.

    With an `Idempotency-Key`, the same caller gets the same answer again, as long as the new key lives.
    """
    order = KeyOrder(body.name, body.scopes, body.limits.limits() if body.limits else NO_LIMITS)
    async with resources.database.transaction(account=caller.account_id) as session:
        if idempotent is None:
            created = await keys.create(session, caller.account_id, caller.key_id, order)
        else:
            created, replayed = await keys.create_once(session, caller.account_id, caller.key_id, order, idempotent)
            response.headers.update(REPLAYED if replayed else {})
    return CreatedKey.model_validate(created)


@router.patch("/{key_id}/")
async def change_key(key_id: UUID, body: ChangeKey, caller: MayManageKeys, resources: CurrentResources) -> ListedKey:
    """Change a key's name, scopes and limits. Fields and limits that are left out stay; null removes a limit. The
    change applies at once in every process. No key changes its own scopes or limits, or those of a key with more rights
    or higher limits. A key with limits can only narrow others.
    """
    limits = body.limits.model_dump(exclude_unset=True) if body.limits else {}
    edit = KeyEdit(body.name, body.scopes, limits)
    async with resources.database.transaction(account=caller.account_id) as session:
        row = await keys.change(session, caller.account_id, caller.key_id, key_id, edit)
    return ListedKey.model_validate(row)


@router.post("/{key_id}/revoke/")
async def revoke_key(key_id: UUID, caller: MayManageKeys, resources: CurrentResources) -> ListedKey:
    """Revoke a key. The next call with it is 401 in every process. Idempotent. No key revokes one with more rights."""
    async with resources.database.transaction(account=caller.account_id) as session:
        row = await keys.revoke(session, caller.account_id, caller.key_id, key_id)
    return ListedKey.model_validate(row)
