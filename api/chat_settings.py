"""`/api/chat/settings/`: whether the account's chats are saved by default."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from api.body import StrictRoute
from api.deps import CurrentResources, MayChat, MayManageKeys

router = APIRouter(prefix="/api/chat/settings", tags=["conversations"], route_class=StrictRoute)


class ChatSettings(BaseModel):
    keep_history: bool
    """Chats of `POST /api/chat/stream/` are saved, unless a request says `save: false`."""


class ChangeSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    keep_history: bool


@router.get("/")
async def get_settings(caller: MayChat, resources: CurrentResources) -> ChatSettings:
    """Read the account's settings for chats."""
    return ChatSettings(keep_history=await resources.conversations.keeps_history(caller.account_id))


@router.patch("/")
async def change_settings(body: ChangeSettings, caller: MayManageKeys, resources: CurrentResources) -> ChatSettings:
    """Keep chats from now on, or stop. What is saved already stays until it is deleted.

    The setting counts for every key of the account. Therefore it needs the scope `keys`, or the owner's session.
    """
    await resources.conversations.keep_history(caller.account_id, keep=body.keep_history)
    return ChatSettings(keep_history=body.keep_history)
