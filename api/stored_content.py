"""`/api/privacy/`: what is stored for an account: counted, and as one file."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from api import billing, chat_settings, keys, media_jobs, people, purge, shares, uploads, webhooks
from api.body import StrictRoute
from api.deps import AnyCaller, CurrentResources, MayPurge, SignedIn
from api.pages import MAX_PAGE_ENTRIES, CursorQuery
from api.resources import Resources
from domain.caller import Caller

router = APIRouter(prefix="/api/privacy", tags=["purge"], route_class=StrictRoute)


class StoredKindView(BaseModel):
    """One kind of what is stored."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    """As a purge's receipt has it; `outputs` are files of jobs, without their posters."""
    title: str
    rule: str
    """What it is, in which form, and how long."""
    count: int
    more: bool
    """There is more than `count`: counting ends at 100,000."""
    erased: bool
    """A purge of everything erases it."""
    reason: str | None
    """Why it stays after a purge."""
    until: str | None


class StoredContentView(BaseModel):
    data: list[StoredKindView]


@router.get("/")
async def list_stored(caller: MayPurge, resources: CurrentResources) -> StoredContentView:
    """Count all that is stored for the account, by kind: what a purge erases, and then what stays, and why.

    Prompts and answers of calls are not in it: they are not stored.
    """
    kinds = await resources.stored_content.of(caller.account_id)
    return StoredContentView(data=[StoredKindView.model_validate(kind) for kind in kinds])


_List = Callable[[Caller, Resources, str | None], Awaitable[Any]]
"""Returns a page of a list: an answer with `data` and `next`."""


def _query(cursor: str | None) -> CursorQuery:
    return CursorQuery(cursor=cursor, limit=MAX_PAGE_ENTRIES)


_LISTS: dict[str, _List] = {
    "keys": lambda caller, resources, _: keys.list_keys(caller, resources),
    "shared_pages": lambda caller, resources, at: shares.list_shares(caller, resources, _query(at)),
    "uploads": lambda caller, resources, at: uploads.list_uploads(caller, resources, _query(at)),
    "jobs": lambda caller, resources, at: media_jobs.list_jobs(
        caller, resources, media_jobs.JobQuery(cursor=at, limit=MAX_PAGE_ENTRIES)
    ),
    "charges": lambda caller, resources, at: billing.list_charges(
        caller, resources, billing.ChargeQuery(cursor=at, limit=MAX_PAGE_ENTRIES)
    ),
    "webhooks": lambda caller, resources, _: webhooks.list_endpoints(caller, resources),
    "webhook_deliveries": lambda caller, resources, at: webhooks.list_deliveries(caller, resources, _query(at)),
    "purges": lambda caller, resources, _: purge.list_purges(caller, resources),
}
"""By its name in the file. Each is what its own endpoint lists."""


@router.get("/export/", response_class=StreamingResponse, responses={200: {"content": {"application/json": {}}}})
async def export_stored(_: SignedIn, caller: AnyCaller, resources: CurrentResources) -> StreamingResponse:
    """Download what the API lists of the account as one JSON document: keys without their tokens, shared pages, jobs,
    charges, webhooks, receipts. Saved conversations are a document of their own.

    For the owner alone, signed in: it needs what every scope opens.
    """
    headers = {"content-disposition": 'attachment; filename="yout-account.json"'}
    written = resources.reads.parts(caller.account_id, _written(caller, resources))
    return StreamingResponse(written, media_type="application/json", headers=headers)


async def _written(caller: Caller, resources: Resources) -> AsyncGenerator[bytes]:
    yield b'{"exported_at":' + orjson.dumps(datetime.now(UTC), option=orjson.OPT_UTC_Z)
    for name, one in (
        ("account", await people.me(caller, resources)),
        ("settings", await chat_settings.get_settings(caller, resources)),
        ("webhook_settings", await webhooks.get_settings(caller, resources)),
    ):
        yield f',"{name}":{one.model_dump_json()}'.encode()
    for name, listed in _LISTS.items():
        yield f',"{name}":['.encode()
        async for part in _entries(caller, resources, listed):
            yield part
        yield b"]"
    yield b"}"


async def _entries(caller: Caller, resources: Resources, listed: _List) -> AsyncGenerator[bytes]:
    separator, cursor = "", None
    while True:
        page = await listed(caller, resources, cursor)
        for entry in page.data:
            yield f"{separator}{entry.model_dump_json()}".encode()
            separator = ","
        cursor = getattr(page, "next", None)
        if cursor is None:
            return
