"""`/v1/videos`, as OpenAI had it for Sora: start a video job, follow it, fetch its file, list and delete."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from api import finished_jobs, outputs
from api.body import FormRoute, StrictRoute
from api.deps import CurrentResources, MayOrder, MayRender, RetriedRequest
from api.finished_jobs import JOB_ID, JobBody
from api.idempotency import REPLAYED
from api.media import accepted_job
from domain import video_sizes
from domain.errors import NotFound, RequestInvalid
from domain.media import Job, Kind, State
from domain.media_schema import MAX_TEXT_CHARACTERS, MediaSchema

router = APIRouter(prefix="/v1/videos", tags=["media"], route_class=StrictRoute)
creating = APIRouter(prefix="/v1/videos", tags=["media"], route_class=FormRoute)

_PREFIX = "video_"
_STATUS: Mapping[State, Literal["queued", "in_progress", "completed", "failed"]] = {
    State.QUEUED: "queued",
    State.RUNNING: "in_progress",
    State.SUCCEEDED: "completed",
    State.FAILED: "failed",
    State.CANCELLED: "failed",
}
"""OpenAI's SDK ends its polling at any other status."""
_POLL_AFTER = "openai-poll-after-ms"
_MIN_POLL_MS, _MAX_POLL_MS = 500, 5000
_NOT_FOUND = "There is no such video in this account."


class CreateVideo(JobBody):
    prompt: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS, repr=False)]
    seconds: float | str | None = Field(None, examples=["4"], repr=False)
    size: str | None = Field(None, repr=False)
    seed: int | None = None
    input_reference: str | dict[str, Any] | None = Field(None, repr=False)
    """A picture to begin with: a file of a form; in JSON a data URI, an https URL or the id of an upload."""

    def parameters(self, schema: MediaSchema) -> dict[str, object]:
        given = super().parameters(schema)
        if "seconds" in given:
            given |= {"seconds": _number(given["seconds"])}
        return dict(video_sizes.translated(schema, str(self.size), given)) if self.has_size_for(schema) else given

    def has_size_for(self, schema: MediaSchema) -> bool:
        """Whether its size means a resolution and a ratio of the model."""
        return self.size not in (None, "auto") and bool(video_sizes.of(schema))


_REFERENCES = ("first_frame", "reference", "image")
"""What a model may call the one picture that a video begins with. The first that it has is meant."""
_OF_SIZE = {video_sizes.RESOLUTION: "size", video_sizes.RATIO: "size"}


def _number(seconds: object) -> object:
    """Read a length: OpenAI's clients send it as a text. What is no number stays as it is, and is refused."""
    try:
        return float(seconds) if isinstance(seconds, str) else seconds
    except ValueError:
        return seconds


class VideoError(BaseModel):
    code: str
    message: str = Field(repr=False)


class Video(BaseModel):
    """A video job, in OpenAI's shape."""

    id: str
    object: Literal["video"] = "video"
    model: str
    status: Literal["queued", "in_progress", "completed", "failed"]
    progress: int
    created_at: int
    completed_at: int | None
    expires_at: int | None
    """From then on its file is deleted."""
    size: str | None
    """Of the file; before it exists, as it was ordered. Null where neither is known."""
    seconds: str | None = Field(repr=False)
    prompt: None = None
    """Always null: the input is deleted when the job ends."""
    remixed_from_video_id: None = None
    error: VideoError | None


class VideoList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Video]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedVideo(BaseModel):
    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: Literal[True] = True


class VideoPage(BaseModel):
    after: str | None = Field(None, repr=False)
    limit: int = Field(20, ge=1, le=100)
    order: Literal["asc", "desc"] = "desc"


_FILE = {"type": "string", "format": "binary"}
_DESCRIBED = finished_jobs.described(CreateVideo, input_reference=_FILE)


@creating.post("", response_model=Video, openapi_extra={"requestBody": _DESCRIBED})
async def create_video(
    request: Request, caller: MayOrder, resources: CurrentResources, idempotent: RetriedRequest, response: Response
) -> Video:
    """Start a video job, by JSON or a form. Poll it, or use `create_and_poll` of OpenAI's SDK."""
    body = CreateVideo.of(request, await request.json() or {})
    body.require_known("input_reference")
    schema = resources.jobs.schema(body.model, Kind.VIDEO)
    sized = {"size"} if video_sizes.of(schema) else set()
    dropped = body.dropped({schema.text_name, *schema.parameters, "input_reference", *sized}, caller)
    role = next((name for name in _REFERENCES if name in schema.inputs), _REFERENCES[0])
    order = body.job(Kind.VIDEO, caller, body.prompt, body.parameters(schema), idempotent)
    aliases = {role: "input_reference"} | (_OF_SIZE if body.has_size_for(schema) else {})
    order = replace(order, files={role: body.files("input_reference")}, aliases=aliases)
    accepted = await accepted_job(resources, caller, order)
    response.headers.update(finished_jobs.named_as_dropped(dropped) | (REPLAYED if accepted.replayed else {}))
    response.headers.update({JOB_ID: str(accepted.job.id), "x-yout-balance": str(accepted.available)})
    return _polled(accepted.job, response)


@router.get("")
async def list_videos(caller: MayRender, resources: CurrentResources, page: Annotated[VideoPage, Query()]) -> VideoList:
    """List the videos of the account that were not deleted."""
    after = None if page.after is None else job_id(page.after)
    jobs = await resources.videos.listed(caller.account_id, after, page.limit + 1, newest_first=page.order == "desc")
    data = [view(job) for job in jobs[: page.limit]]
    first, last = (data[0].id, data[-1].id) if data else (None, None)
    return VideoList(data=data, first_id=first, last_id=last, has_more=len(jobs) > page.limit)


@router.get("/{video_id}")
async def get_video(video_id: str, caller: MayRender, resources: CurrentResources, response: Response) -> Video:
    """Poll a video. `openai-poll-after-ms` says when to ask again."""
    return _polled(await resources.videos.owned(caller.account_id, job_id(video_id)), response)


@router.get("/{video_id}/content", response_class=Response)
async def get_content(
    request: Request,
    video_id: str,
    caller: MayRender,
    resources: CurrentResources,
    variant: Literal["video", "thumbnail", "spritesheet"] = "video",
) -> Response:
    """Fetch the file of a video, or its first picture. Ranges work. There are no spritesheets."""
    job = await resources.videos.owned(caller.account_id, job_id(video_id))
    if variant == "spritesheet":
        message = "'variant' must be video or thumbnail: there is no spritesheet."
        raise RequestInvalid(message, param="variant", code="unsupported_parameter")
    if not job.state.terminal:
        raise RequestInvalid(f"This video is {_STATUS[job.state]}: it has no content yet.", param="video_id")
    films = job.served(datetime.now(UTC))
    file = films[0] if films and variant == "video" else films[0].poster if films else None
    storage = request.app.state.outputs.storage
    stored = None if file is None else await storage.head(file.object_key)
    if stored is None:
        raise NotFound(f"This video has no {'content' if variant == 'video' else variant}, or no longer.")
    answer = outputs.answer(request, storage, stored)
    answer.headers[JOB_ID] = str(job.id)
    return answer


@router.delete("/{video_id}")
async def delete_video(video_id: str, caller: MayRender, resources: CurrentResources) -> DeletedVideo:
    """Delete a video that has ended: its file is served no more at once, and deleted soon. What it cost stays."""
    await resources.videos.delete(caller.account_id, job_id(video_id))
    return DeletedVideo(id=video_id)


def job_id(video_id: str) -> UUID:
    """Return the id of the job. Raises `NotFound` for what is no id of a video."""
    text = video_id.removeprefix(_PREFIX)
    try:
        parsed = UUID(hex=text)
    except ValueError:
        raise NotFound(_NOT_FOUND) from None
    if video_id != _PREFIX + parsed.hex:
        raise NotFound(_NOT_FOUND)
    return parsed


def view(job: Job) -> Video:
    file = job.outputs[0] if job.outputs else None
    size = f"{file.width}x{file.height}" if file and file.width and file.height else job.size
    seconds = file.duration if file and file.duration else job.seconds
    error = None
    if _STATUS[job.state] == "failed":
        failed = finished_jobs.failure(job)
        error = VideoError(code=failed.code, message=failed.message)
    return Video(
        id=_PREFIX + job.id.hex,
        model=job.model,
        status=_STATUS[job.state],
        progress=job.progress or 0,
        created_at=int(job.created_at.timestamp()),
        completed_at=_time(job.finished_at),
        expires_at=_time(job.expires_at),
        size=size,
        seconds=None if seconds is None else f"{seconds:g}",
        error=error,
    )


def _time(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def _polled(job: Job, response: Response) -> Video:
    """Tell the SDK when to ask again: ever more rarely, the longer the job takes."""
    if not job.state.terminal:
        age = datetime.now(UTC) - job.created_at
        pause = min(_MAX_POLL_MS, max(_MIN_POLL_MS, int(age.total_seconds() * 100)))
        response.headers[_POLL_AFTER] = str(pause)
    return view(job)
