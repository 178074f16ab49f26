"""`/api/chat/purge/`: erase an account's content, follow it, and fetch the receipt; the keys that verify receipts."""

from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.body import StrictRoute
from api.deps import CurrentResources, IdempotencyKey, MayPurge
from api.idempotency import REPLAYED
from gateway.erasure import Purge, PurgeOrder

router = APIRouter(tags=["purge"], route_class=StrictRoute)
_PATH = "/api/chat/purge"


class PurgeOnly(BaseModel):
    """One thing to erase."""

    model_config = ConfigDict(extra="forbid", strict=True)

    conversation: UUID | None = Field(default=None, strict=False)
    share: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,200}$", repr=False)
    """Its slug."""
    job: UUID | None = Field(default=None, strict=False)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1 or None in self.named.values():
            raise ValueError("must name exactly one of conversation, share and job")
        return self

    @property
    def named(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set}


class StartPurge(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    confirm: Literal["erase"]
    """So that nobody erases by mistake."""
    only: PurgeOnly | None = None
    """Left out: everything."""
    sessions: bool = False
    """End all sessions of the account's owner too, when the purge completes."""

    def order(self) -> PurgeOrder:
        ((part, part_id),) = self.only.named.items() if self.only else (("", ""),)
        return PurgeOrder(part, str(part_id), self.sessions)


class PurgeView(BaseModel):
    purge_id: UUID
    status: Literal["running", "completed"]
    step: str
    """accepted, cut, keys, objects, rows, ledger or completed."""
    only: dict[str, str] | None = Field(repr=False)
    sessions: bool
    requested_at: datetime
    completed_at: datetime | None
    found: dict[str, int]
    """What there was to erase, once it is counted."""
    erased: dict[str, int]
    """What is erased so far."""
    receipt: dict[str, Any] | None
    """When completed: what was erased and kept, signed."""


class PurgeList(BaseModel):
    data: list[PurgeView]
    has_more: bool = False
    next: str | None = None


@router.post(_PATH + "/", status_code=202)
async def start_purge(
    body: StartPurge, caller: MayPurge, resources: CurrentResources, idempotent: IdempotencyKey, response: Response
) -> PurgeView:
    """Erase what the account has done so far: conversations, shared pages, jobs and their outputs, usage. Calls in
    flight end, and are charged for what they delivered. The balance stays. New calls go on meanwhile, and stay.

    With `only`, erase one conversation, shared page or job. While a purge runs, the same request returns it.
    """
    purge, known = await resources.erasure.request(caller.account_id, body.order(), idempotent)
    response.headers.update(REPLAYED if known else {})
    response.headers["location"] = f"{resources.public_url}{_PATH}/{purge.id}/"
    return _view(purge)


@router.get(_PATH + "/")
async def list_purges(caller: MayPurge, resources: CurrentResources) -> PurgeList:
    """List the account's purges with their receipts, the newest first. No purge erases them."""
    return PurgeList(data=[_view(purge) for purge in await resources.erasure.listed(caller.account_id)])


@router.get(_PATH + "/{purge_id}/")
async def get_purge(purge_id: UUID, caller: MayPurge, resources: CurrentResources) -> PurgeView:
    """Follow a purge. When it is completed, this has its receipt."""
    return _view(await resources.erasure.find(caller.account_id, purge_id))


@router.get("/.well-known/yout-receipts.json")
async def receipt_keys(resources: CurrentResources, response: Response) -> dict[str, list[dict[str, str]]]:
    """The public keys that verify receipts of purges, as a JWK set (RFC 7517, RFC 8037)."""
    response.headers["cache-control"] = "public, max-age=300"
    return await resources.receipt_keys.published()


def _view(purge: Purge) -> PurgeView:
    return PurgeView(
        purge_id=purge.id,
        status="completed" if purge.completed_at else "running",
        step=purge.step,
        only={purge.part: purge.part_id} if purge.part else None,
        sessions=purge.sessions,
        requested_at=purge.requested_at,
        completed_at=purge.completed_at,
        found=purge.found,
        erased=purge.erased,
        receipt=purge.receipt,
    )
