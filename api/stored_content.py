"""`/api/privacy/`: what is stored for an account."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from api.body import StrictRoute
from api.deps import CurrentResources, MayPurge

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
