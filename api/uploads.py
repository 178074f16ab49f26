"""`/api/media/uploads/`: send a file before the job that needs it, list files, delete one."""

from datetime import datetime
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from api import auth, multipart
from api.body import MAX_INLINE_BYTES, StrictRoute, read_claimed
from api.deps import CurrentResources, MayRender
from api.edge import declared_length
from api.pages import CursorQuery, id_cursor, read_id
from api.resources import Resources
from domain.errors import InsufficientCredits, RequestInvalid, RequestTooLarge
from domain.media_files import ACCEPTED, FORM_MARGIN_BYTES
from gateway.body_budget import BodyClaim
from gateway.uploads import Upload

router = APIRouter(prefix="/api/media/uploads", tags=["media"], route_class=StrictRoute)
PATH = "/api/media/uploads/"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {"schema": {"type": "object", "required": ["file"], "properties": {"file": _BINARY["schema"]}}}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": _BINARY, "multipart/form-data": _FORM},
    }
}


class UploadView(BaseModel):
    """A file that waits for a job. Its content is not given back."""

    id: str
    """What a job's `image`, `mask`, `audio` and so on may be."""
    content_type: str
    """By the bytes of the file, whatever the request said."""
    bytes: int
    width: int | None
    height: int | None
    duration: float | None
    """Seconds of a recording. Null: the file does not say."""
    created_at: datetime
    expires_at: datetime


class UploadList(BaseModel):
    data: list[UploadView]
    has_more: bool
    next: str | None


@router.post("/", status_code=201, openapi_extra=_BODY)
async def create_upload(request: Request, caller: MayRender, resources: CurrentResources) -> UploadView:
    """Send a file: as the body, or as `file` of a form. It is encrypted, and deleted after 24 hours.

    An account without credits cannot upload.
    """
    admitted = await auth.admit(request.scope, caller)
    if admitted.available <= 0:
        raise InsufficientCredits(1, admitted.available, admitted.held)
    async with resources.inputs.turn(caller.account_id) as claim:
        content = await _content(request, resources, claim, admitted.account_id)
        file = await resources.inputs.checked(content, "file", ACCEPTED)
        return _view(await resources.uploads.create(caller.account_id, file))


@router.get("/")
async def list_uploads(
    caller: MayRender, resources: CurrentResources, query: Annotated[CursorQuery, Query()]
) -> UploadList:
    """List the account's uploads, the newest first, without those that have expired."""
    page = await resources.uploads.listed(caller.account_id, read_id(query.cursor), query.limit)
    data = [_view(upload) for upload in page.data]
    return UploadList(data=data, has_more=page.next is not None, next=id_cursor(page.next))


@router.get("/{upload_id}/")
async def get_upload(upload_id: str, caller: MayRender, resources: CurrentResources) -> UploadView:
    return _view(await resources.uploads.find(caller.account_id, upload_id))


@router.delete("/{upload_id}/", status_code=204)
async def delete_upload(upload_id: str, caller: MayRender, resources: CurrentResources) -> None:
    """Delete a file. Jobs that were accepted with it go on: each has its own copy, until it ends."""
    await resources.uploads.delete(caller.account_id, upload_id)


async def _content(request: Request, resources: Resources, claim: BodyClaim, account_id: UUID) -> bytes:
    """Read the file: the body, or the one part of a form that is a file."""
    limit = resources.inputs.max_bytes(ACCEPTED)
    content_type = dict(request.scope["headers"]).get(b"content-type", b"")
    form = multipart.is_form(content_type)
    allowed = limit + FORM_MARGIN_BYTES if form else limit
    too_large = RequestTooLarge(f"'file' has more than {limit:,} bytes.", param="file")
    if declared_length(request.scope["headers"]) > allowed:
        raise too_large

    async def owner() -> UUID:
        return account_id

    content = await read_claimed(request.scope, request.receive, claim, owner, allowed)
    if form:
        content = await resources.calls.turns.run_large(
            len(content) > MAX_INLINE_BYTES, account_id, partial(_file, content_type, content)
        )
        if len(content) > limit:
            raise too_large
    if not content:
        raise RequestInvalid("The body must be the file.", param="file", code="missing_required_parameter")
    return content


def _file(content_type: bytes, raw: bytes) -> bytes:
    form = multipart.parse(content_type, raw)
    others = sorted((form.files.keys() | form.fields.keys()) - {"file"})
    if others:
        raise RequestInvalid("A form may have 'file' alone.", param=others[0][:100], code="unsupported_parameter")
    files = form.files.get("file", [])
    if len(files) != 1:
        raise RequestInvalid("The form must have one 'file'.", param="file", code="missing_required_parameter")
    return files[0].content


def _view(upload: Upload) -> UploadView:
    return UploadView(
        id=upload.name,
        content_type=upload.facts.content_type,
        bytes=upload.bytes,
        width=upload.facts.width,
        height=upload.facts.height,
        duration=upload.facts.seconds,
        created_at=upload.created_at,
        expires_at=upload.expires_at,
    )
