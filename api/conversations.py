"""`/api/chat/conversations/`: what an account chose to keep: list, make, read, rename, delete, export."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.body import StrictRoute
from api.deps import CurrentResources, IdempotencyKey, MayChat
from api.idempotency import REPLAYED
from api.pages import CursorQuery, PageQuery, cursor, read_time, time_cursor
from api.resources import Resources
from api.wire.openai_chat import check_messages
from db.conversations import Place
from domain.conversations import MAX_MESSAGES, MAX_TITLE, Conversation, SavedMessage
from gateway.conversations import NewConversation, Search


class _Route(StrictRoute):
    max_body_bytes = 4 * 1024 * 1024


router = APIRouter(prefix="/api/chat/conversations", tags=["conversations"], route_class=_Route)


def _not_blank(title: str) -> str:
    if not title.strip():
        raise ValueError("must not be blank")
    return title


Title = Annotated[
    str, Field(min_length=1, max_length=MAX_TITLE, pattern=r"^[^\x00-\x1f\x7f]+$"), AfterValidator(_not_blank)
]


class CreateConversation(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    title: Title | None = Field(default=None, repr=False)
    messages: list[dict[str, Any]] = Field(default_factory=list, max_length=MAX_MESSAGES, repr=False)
    """OpenAI's messages, the oldest first."""


class ChangeConversation(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    title: Title = Field(repr=False)


class ConversationQuery(CursorQuery):
    title: Annotated[
        str | None, Field(min_length=1, max_length=MAX_TITLE, description="A part of the title.", repr=False)
    ] = None


class ConversationView(BaseModel):
    id: UUID
    title: str = Field(repr=False)
    message_count: int
    created_at: datetime
    updated_at: datetime
    """When its last message was added."""


class ConversationList(BaseModel):
    data: list[ConversationView]
    has_more: bool
    next: str | None


class MessageView(BaseModel):
    """OpenAI's message, with what is known of the call that made it."""

    model_config = ConfigDict(extra="allow")

    position: int
    role: str
    content: Any = Field(default=None, repr=False)
    reasoning: str | None = Field(default=None, repr=False)
    tool_calls: list[dict[str, Any]] | None = Field(default=None, repr=False)
    created_at: datetime
    model: str | None = None
    finish_reason: str | None = None
    """`error` for an answer that broke off, null for one whose reader left."""
    partial: bool | None = None
    """True for an answer that did not come to its end."""
    usage: dict[str, Any] | None = None
    charge: str | None = None
    """`GET /api/billing/charges/<charge>/` explains what the answer cost."""
    credits_charged: int | None = None


class ConversationWithMessages(ConversationView):
    messages: list[MessageView]
    """The oldest first."""
    has_more: bool
    next: str | None


class Deleted(BaseModel):
    deleted: int


@router.get("/")
async def list_conversations(
    caller: MayChat, resources: CurrentResources, query: Annotated[ConversationQuery, Query()]
) -> ConversationList:
    """List saved conversations, the one with the newest message first.

    `title` finds a part of the title in any case. Titles are encrypted, so a page of a search looks at 2,000 of them at
    most: it may be short, or empty, and still have a `next`.
    """
    after = None if query.cursor is None else Place(*read_time(query.cursor))
    page = await resources.conversations.listed(caller.account_id, Search(query.limit, after, query.title))
    following = None if page.next is None else time_cursor(page.next.updated_at, page.next.id)
    return ConversationList(data=[_view(one) for one in page.data], has_more=following is not None, next=following)


@router.post("/", status_code=201)
async def create_conversation(
    body: CreateConversation,
    caller: MayChat,
    resources: CurrentResources,
    idempotent: IdempotencyKey,
    response: Response,
) -> ConversationView:
    """Make a conversation, with messages or without. Without a title, its first question gives it one."""
    if body.messages:
        check_messages(body.messages)
    new = NewConversation(body.title, body.messages)
    conversation, replayed = await resources.conversations.create(caller.account_id, new, idempotent)
    response.headers.update(REPLAYED if replayed else {})
    response.headers["location"] = f"{resources.public_url}{router.prefix}/{conversation.id}/"
    return _view(conversation)


@router.delete("/")
async def delete_conversations(caller: MayChat, resources: CurrentResources) -> Deleted:
    """Delete all saved conversations of the account."""
    return Deleted(deleted=await resources.conversations.delete_all(caller.account_id))


@router.get("/export/", response_class=StreamingResponse, responses={200: {"content": {"application/json": {}}}})
async def export_conversations(caller: MayChat, resources: CurrentResources) -> StreamingResponse:
    """Download all saved conversations with their messages, the oldest first, as one JSON document."""
    return _download("yout-conversations", resources, caller.account_id, _written_all(resources, caller.account_id))


@router.get("/{conversation_id}/", response_model_exclude_unset=True)
async def get_conversation(
    conversation_id: UUID, caller: MayChat, resources: CurrentResources, query: Annotated[PageQuery, Query()]
) -> ConversationWithMessages:
    """Read a conversation and a page of its messages, the oldest first.

    A page has 1 MiB of messages at most, or one larger message.
    """
    after = query.page.after or 0
    page = await resources.conversations.page(caller.account_id, conversation_id, after, query.limit)
    return ConversationWithMessages(
        **_view(page.conversation).model_dump(),
        messages=[MessageView(**_message(one)) for one in page.messages],
        has_more=page.next is not None,
        next=cursor(page.next),
    )


@router.patch("/{conversation_id}/")
async def rename_conversation(
    conversation_id: UUID, body: ChangeConversation, caller: MayChat, resources: CurrentResources
) -> ConversationView:
    """Give a conversation another title."""
    return _view(await resources.conversations.rename(caller.account_id, conversation_id, body.title))


@router.delete("/{conversation_id}/", status_code=204)
async def delete_conversation(conversation_id: UUID, caller: MayChat, resources: CurrentResources) -> None:
    """Delete a conversation with its messages. A call that still runs in it is charged, and saved nowhere."""
    await resources.conversations.delete(caller.account_id, conversation_id)


@router.get(
    "/{conversation_id}/export/",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/json": {}}}},
)
async def export_conversation(conversation_id: UUID, caller: MayChat, resources: CurrentResources) -> StreamingResponse:
    """Download a conversation with all of its messages as JSON."""
    conversation = await resources.conversations.find(caller.account_id, conversation_id)
    written = _written(resources, caller.account_id, conversation)
    return _download(f"yout-conversation-{conversation_id}", resources, caller.account_id, written)


def _download(name: str, resources: Resources, account_id: UUID, written: AsyncGenerator[bytes]) -> StreamingResponse:
    headers = {"content-disposition": f'attachment; filename="{name}.json"'}
    parts = resources.reads.parts(account_id, written)
    return StreamingResponse(parts, media_type="application/json", headers=headers)


async def _written_all(resources: Resources, account_id: UUID) -> AsyncGenerator[bytes]:
    yield b'{"exported_at":' + orjson.dumps(datetime.now(UTC), option=orjson.OPT_UTC_Z) + b',"conversations":['
    separator = b""
    async for conversation in resources.conversations.every(account_id):
        yield separator
        async for part in _written(resources, account_id, conversation):
            yield part
        separator = b","
    yield b"]}"


async def _written(resources: Resources, account_id: UUID, conversation: Conversation) -> AsyncGenerator[bytes]:
    yield _view(conversation).model_dump_json().encode()[:-1] + b',"messages":['
    separator = b""
    async for message in resources.conversations.every_message(account_id, conversation.id):
        yield separator + orjson.dumps(_message(message), option=orjson.OPT_UTC_Z)
        separator = b","
    yield b"]}"


def _view(one: Conversation) -> ConversationView:
    return ConversationView(
        id=one.id, title=one.title, message_count=one.messages, created_at=one.created_at, updated_at=one.updated_at
    )


def _message(one: SavedMessage) -> dict[str, Any]:
    return {"position": one.position, **one.message, **one.about, "created_at": one.created_at}
