"""`/api/chat/share/`: share a chat as a public page, list the pages, take one back. `web/shares.py` shows them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.body import StrictRoute
from api.deps import CurrentResources, IdempotencyKey, MayShare
from api.idempotency import REPLAYED
from api.pages import CursorQuery, id_cursor, read_id
from api.resources import Resources
from domain.caller import Caller
from domain.catalog import Catalog
from domain.errors import RequestInvalid
from domain.shares import MAX_MESSAGES, MAX_TITLE, Ending, Selection, SharedMessage, messages_of
from gateway.body_budget import BodyClaim
from gateway.shares import Share, ShareOrder


class _Route(StrictRoute):
    max_body_bytes = 4 * 1024 * 1024


router = APIRouter(prefix="/api/chat/share", tags=["share"], route_class=_Route)
_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
_MAX_SECONDS = 100 * 366 * 24 * 3600


class CreateShare(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    conversation_id: Annotated[UUID | None, Field(strict=False)] = None
    """A saved conversation, in place of `messages`: questions and answers in it."""
    up_to: Annotated[int | None, Field(ge=1)] = None
    """The position of the last message of the conversation that is shared."""
    positions: Annotated[list[int] | None, Field(min_length=1, max_length=MAX_MESSAGES)] = None
    """The positions of the messages that are shared, of whatever role."""
    messages: Annotated[list[dict[str, Any]] | None, Field(min_length=1, max_length=MAX_MESSAGES, repr=False)] = None
    """OpenAI's messages, the oldest first. Texts are shown, images as links; other parts and fields are not shared."""
    title: Annotated[str | None, Field(max_length=MAX_TITLE, pattern=_PRINTABLE, repr=False)] = None
    model: Annotated[str | None, Field(max_length=200, pattern=_PRINTABLE)] = None
    """The model that answered. A message may have a `model` of its own."""
    expires_in: Annotated[int | None, Field(ge=1, le=_MAX_SECONDS)] = None
    """Seconds."""
    expires_at: Annotated[AwareDatetime | None, Field(strict=False)] = None
    """Null, where the operator allows it: never."""


class SharedPage(BaseModel):
    slug: str = Field(repr=False)
    url: str = Field(repr=False)
    title: str | None = Field(repr=False)
    created_at: datetime
    expires_at: datetime | None
    messages: int
    """How many."""


class SharedPageList(BaseModel):
    data: list[SharedPage]
    has_more: bool
    next: str | None


@router.post("/", status_code=201)
async def create_share(
    body: CreateShare, caller: MayShare, resources: CurrentResources, idempotent: IdempotencyKey, response: Response
) -> SharedPage:
    """Share messages, or a saved conversation, as a public page. It is a copy that never changes.

    It ends after 30 days unless you say when.

    Whoever has the address can read it. Search engines are told not to index it.
    """
    if (earlier := await resources.shares.made_before(caller.account_id, idempotent)) is not None:
        response.headers.update(REPLAYED)
        return _page(earlier, resources)
    now = datetime.now(UTC)
    with resources.bodies.claim() as claim:
        title, messages = await _chosen(body, caller, resources, claim)
        order = ShareOrder(
            messages=messages,
            title=title,
            created_at=now,
            expires_at=resources.share_lifetimes.end(now, _ending(body)),
            conversation_id=body.conversation_id,
        )
        share, replayed = await resources.shares.create(caller.account_id, order, idempotent)
    response.headers.update(REPLAYED if replayed else {})
    return _page(share, resources)


@router.get("/")
async def list_shares(
    caller: MayShare, resources: CurrentResources, query: Annotated[CursorQuery, Query()]
) -> SharedPageList:
    """List the account's shared pages, the newest first, without those that have ended."""
    page = await resources.shares.listed(caller.account_id, read_id(query.cursor), query.limit)
    data = [_page(share, resources) for share in page.data]
    return SharedPageList(data=data, has_more=page.next is not None, next=id_cursor(page.next))


@router.get("/{slug}/")
async def get_share(slug: str, caller: MayShare, resources: CurrentResources) -> SharedPage:
    return _page(await resources.shares.find(caller.account_id, slug), resources)


@router.delete("/{slug}/", status_code=204)
async def revoke_share(slug: str, caller: MayShare, resources: CurrentResources) -> None:
    """Take a page back. Its content is deleted, and its address answers 404 at once, in every process."""
    await resources.shares.revoke(caller.account_id, slug)


def _page(share: Share, resources: Resources) -> SharedPage:
    return SharedPage(
        slug=share.slug,
        url=f"{resources.public_url}/c/{share.slug}",
        title=share.title,
        created_at=share.created_at,
        expires_at=share.expires_at,
        messages=share.messages,
    )


def _ending(body: CreateShare) -> Ending:
    after = None if body.expires_in is None else timedelta(seconds=body.expires_in)
    return Ending(after, body.expires_at, "expires_at" in body.model_fields_set)


async def _chosen(
    body: CreateShare, caller: Caller, resources: Resources, claim: BodyClaim
) -> tuple[str | None, list[SharedMessage]]:
    """Return the title, and the messages: posted ones, or of a conversation."""
    catalog = resources.catalog()
    if body.conversation_id is None:
        if body.messages is None:
            code = "missing_required_parameter"
            raise RequestInvalid("Send 'messages', or a 'conversation_id'.", param="messages", code=code)
        _refuse(body, ("up_to", "positions"), "belongs to 'conversation_id'")
        return body.title, messages_of(body.messages, _models(body.messages, body.model, catalog))
    _refuse(body, ("messages", "model"), "cannot be sent with 'conversation_id'")
    caller.require_scope("chat")
    conversation, messages = await resources.conversations.read(caller.account_id, body.conversation_id, claim)
    selection = Selection(body.up_to, None if body.positions is None else frozenset(body.positions))
    chosen = [{**one.message, "model": one.about.get("model")} for one in selection.of(messages)]
    return body.title or conversation.title, messages_of(chosen, _models(chosen, None, catalog))


def _refuse(body: CreateShare, names: tuple[str, ...], why: str) -> None:
    if sent := [name for name in names if getattr(body, name) is not None]:
        raise RequestInvalid(f"'{sent[0]}' {why}.", param=sent[0])


def _models(messages: Sequence[Mapping[str, Any]], usual: str | None, catalog: Catalog) -> list[str | None]:
    """Return the name of the model of each message: of answers only."""
    names = []
    for index, message in enumerate(messages):
        model = message.get("model")
        if model is not None and not (isinstance(model, str) and 0 < len(model) <= 200 and model.isprintable()):
            param = f"messages[{index}].model"
            raise RequestInvalid(f"'{param}' must be a model's name.", param=param)
        model = model or usual
        names.append(_shown(model, catalog) if model and message.get("role") == "assistant" else None)
    return names


def _shown(model: str, catalog: Catalog) -> str:
    known = catalog.models.get(model)
    return model if known is None else known.name
