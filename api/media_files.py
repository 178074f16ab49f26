"""`/api/media/storage/`: how much an account stores; and the early deletion of a job's outputs."""

from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from api.body import StrictRoute
from api.deps import CurrentResources, MayRender

router = APIRouter(prefix="/api/media", tags=["media"], route_class=StrictRoute)


class StorageView(BaseModel):
    """Bytes. At `limit` no job starts and no upload is taken; jobs that run store their outputs all the same."""

    used: int
    outputs: int
    uploads: int
    limit: int | None
    """Of all together. Null: there is none."""
    uploads_limit: int


@router.get("/storage/")
async def get_storage(caller: MayRender, resources: CurrentResources) -> StorageView:
    """How many bytes of outputs and uploads the account stores, and how many it may."""
    files = resources.account_files
    stored = await files.stored(caller.account_id)
    return StorageView(
        used=stored.total,
        outputs=stored.outputs,
        uploads=stored.uploads,
        limit=files.max_bytes,
        uploads_limit=files.max_upload_bytes,
    )


@router.delete("/jobs/{job_uuid}/outputs/", status_code=204)
async def delete_outputs(job_uuid: UUID, caller: MayRender, resources: CurrentResources) -> None:
    """Delete the outputs of a job before they expire. Their links end at once; the job and its charge stay.

    A job that has none any more is answered in the same way. One that has not ended is a 400.
    """
    await resources.account_files.expire(await resources.jobs.owned(caller.account_id, job_uuid))
