"""`/api/chat/keys/`: list (masked), create (the token is shown once), change, rotate, revoke."""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from api.body import StrictRoute
from api.deps import CurrentResources, IdempotencyKey, MayManageKeys
from api.idempotency import REPLAYED
from db import keys as stored_keys
from domain.catalog import Catalog
from domain.limits import NO_LIMITS, Limits
from domain.privacy import Privacy
from gateway import keys
from gateway.keys import GRACE, MAX_GRACE, KeyEdit, KeyOrder, KeySettings, Rotation

router = APIRouter(prefix="/api/chat/keys", tags=["keys"], route_class=StrictRoute)


Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
Count = Annotated[int, Field(ge=1, le=2**53)]
Note = Annotated[str | None, Field(max_length=1000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]


def _text(value: object) -> object:
    """RFC 3339 is text: a bare number names a moment in units that one has to guess."""
    if value is not None and not isinstance(value, str):
        raise ValueError("must be a time as text, with its zone")
    return value


End = Annotated[AwareDatetime | None, Field(strict=False), BeforeValidator(_text)]
PrivacyName = Literal["default", "strict"]
Models = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]] | None, Field(max_length=100)]


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


class KeyUse(BaseModel):
    """What of a key's budgets is used, by the key and those that it made. Calls in flight count as in the limits."""

    model_config = ConfigDict(from_attributes=True)

    credits_day: Annotated[int, Field(validation_alias="day_credits")]
    """On this UTC day."""
    credits_month: Annotated[int, Field(validation_alias="month_credits")]
    """In this UTC month."""


class CreateKey(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name = Field(repr=False)
    scopes: list[str] | None = None
    limits: KeyLimits | None = None
    models: Models = None
    """The models that the key may call, by their exact ids. Without it, all that the requesting key may call."""
    expires_at: End = None
    """With a time zone, in the future."""
    note: Note = Field(default=None, repr=False)
    strict: bool = False
    """Each chat call with the key is `strict`."""
    privacy: PrivacyName | None = None
    """`strict`: only routes of the class `zero_retention` answer, whatever a call says. Default: the asking key's."""


class ChangeKey(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Name | None = Field(default=None, repr=False)
    scopes: list[str] | None = None
    limits: KeyLimits | None = None
    models: Models = None
    expires_at: End = None
    note: Note = Field(default=None, repr=False)
    strict: bool | None = None
    privacy: PrivacyName | None = None


class RotateKey(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    grace_seconds: Annotated[int, Field(ge=0, le=int(MAX_GRACE.total_seconds()))] = int(GRACE.total_seconds())
    """How long the present token still works. 0: not at all."""


class ListedKey(BaseModel):
    """A key without its token."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str = Field(repr=False)
    masked: str
    scopes: list[str]
    limits: KeyLimits
    used: KeyUse
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    models: list[str] | None
    """Null: all."""
    note: str | None = Field(repr=False)
    strict: bool
    privacy: str
    parent_id: UUID | None
    """The key that made it."""
    previous_expires_at: datetime | None
    """When the token before the last rotation ends. Null: no other token works."""


class CreatedKey(BaseModel):
    """A key with its token, which no other answer has."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str = Field(repr=False)
    key: str = Field(repr=False)
    masked: str
    scopes: list[str]
    limits: KeyLimits
    created_at: datetime
    expires_at: datetime | None
    models: list[str] | None
    note: str | None = Field(repr=False)
    strict: bool
    privacy: str
    parent_id: UUID | None
    previous_expires_at: datetime | None


class KeyList(BaseModel):
    data: list[ListedKey]
    has_more: bool = False
    next: str | None = None


@router.get("/")
async def list_keys(caller: MayManageKeys, resources: CurrentResources) -> KeyList:
    """List the account's active keys, newest first."""
    async with resources.database.reading() as session:
        rows = await stored_keys.listed(session, caller.account_id)
    return KeyList(data=[ListedKey.model_validate(row) for row in rows])


@router.post("/", status_code=201)
async def create_key(
    body: CreateKey, caller: MayManageKeys, resources: CurrentResources, idempotent: IdempotencyKey, response: Response
) -> CreatedKey:
    """Create a key. Only this answer has its full token. The new key stays within the
    key that makes it: its scopes, limits, models and end. Its calls count on that key's limits too.

    With an `Idempotency-Key`, the same caller gets the same answer again, as long as the new key lives.
    """
    order = KeyOrder(
        name=body.name,
        scopes=body.scopes,
        limits=body.limits.limits() if body.limits else NO_LIMITS,
        models=None if body.models is None else keys.models_of(body.models, resources.catalog()),
        expires_at=body.expires_at,
        note=body.note,
        strict=body.strict,
        privacy=None if body.privacy is None else Privacy(body.privacy),
    )
    async with resources.database.transaction(account=caller.account_id) as session:
        created, replayed = await keys.create_once(session, caller.account_id, caller.key, order, idempotent)
    response.headers.update(REPLAYED if replayed else {})
    return CreatedKey.model_validate(created)


@router.get("/{key_id}/")
async def get_key(key_id: UUID, caller: MayManageKeys, resources: CurrentResources) -> ListedKey:
    """One key, also a revoked one."""
    async with resources.database.reading() as session:
        row = await stored_keys.shown(session, caller.account_id, key_id)
    return ListedKey.model_validate(row)


@router.patch("/{key_id}/")
async def change_key(key_id: UUID, body: ChangeKey, caller: MayManageKeys, resources: CurrentResources) -> ListedKey:
    """Change a key. Fields and limits that are left out stay; null removes a limit, `models`, `expires_at` or a note.

    The change applies at once in every process. No key changes its own authority, or a key with more rights or higher
    limits. A key with limits can only narrow others.
    """
    limits = body.limits.model_dump(exclude_unset=True) if body.limits else {}
    edit = KeyEdit(body.name, body.scopes, limits, _settings(body, resources.catalog()))
    async with resources.database.transaction(account=caller.account_id) as session:
        row = await keys.change(session, caller.account_id, caller.key, key_id, edit)
    return ListedKey.model_validate(row)


def _settings(body: ChangeKey, catalog: Catalog) -> KeySettings:
    settings = KeySettings()
    if "models" in body.model_fields_set:
        settings["models"] = None if body.models is None else keys.models_of(body.models, catalog)
    if "expires_at" in body.model_fields_set:
        settings["expires_at"] = body.expires_at
    if "note" in body.model_fields_set:
        settings["note"] = body.note
    if body.strict is not None:
        settings["strict"] = body.strict
    if body.privacy is not None:
        settings["privacy"] = Privacy(body.privacy)
    return settings


async def _rotation(key_id: UUID, body: RotateKey | None = None) -> Rotation:  # else FastAPI calls it in a thread
    return Rotation(key_id, timedelta(seconds=(body or RotateKey()).grace_seconds))


@router.post("/{key_id}/rotate/")
async def rotate_key(
    rotation: Annotated[Rotation, Depends(_rotation)],
    caller: MayManageKeys,
    resources: CurrentResources,
    idempotent: IdempotencyKey,
    response: Response,
) -> CreatedKey:
    """Give a key a new token, which only this answer has. The key stays the same: id, scopes, limits, usage.

    The old token works for `grace_seconds`; its answers say until when in `x-yout-key-expires`. At most two tokens
    of a key work. Calls in flight run to their end.
    """
    async with resources.database.transaction(account=caller.account_id) as session:
        rotated, replayed = await keys.rotate_once(session, caller.account_id, caller.key, rotation, idempotent)
    response.headers.update(REPLAYED if replayed else {})
    return CreatedKey.model_validate(rotated)


@router.post("/{key_id}/revoke/")
async def revoke_key(key_id: UUID, caller: MayManageKeys, resources: CurrentResources) -> ListedKey:
    """Revoke a key. The next call with it is 401 in every process. Idempotent. No key revokes one with more rights."""
    async with resources.database.transaction(account=caller.account_id) as session:
        row = await keys.revoke(session, caller.account_id, caller.key, key_id)
    return ListedKey.model_validate(row)
