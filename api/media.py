"""`/api/media/…`: start image, video and speech jobs, and poll them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from api import privacy
from api.body import StrictRoute
from api.deps import CurrentResources, IdempotencyKey, MayOrder, MayRender
from api.idempotency import REPLAYED
from api.resources import Resources, path_of
from domain import media_orders
from domain.caller import Caller
from domain.errors import RequestInvalid
from domain.media import Job, Kind
from domain.privacy import PrivacyClass
from gateway.idempotency import IdempotentRequest
from gateway.jobs import JobRequest

router = APIRouter(prefix="/api/media", tags=["media"], route_class=StrictRoute)

Prompt = Annotated[str, Field(min_length=1, max_length=32_000)]
SPEECH_FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")


class _Body(BaseModel, ABC):
    model_config = ConfigDict(extra="forbid", strict=True)

    model: Annotated[str, Field(min_length=1, max_length=200)]
    privacy: Literal["default", "strict"] | None = None
    """`strict`: only a route of the class `zero_retention` makes it."""

    @abstractmethod
    def fields(self) -> dict[str, Any]:
        """Return the fields of a `MediaRequest`. Raises `RequestInvalid`."""

    def order(self, kind: Kind, caller: Caller, idempotent: IdempotentRequest | None = None) -> JobRequest:
        """Return what the caller asks for. Its request was admitted before."""
        wishes = (privacy.named(self.privacy), caller.credential.privacy)
        required = PrivacyClass.strongest(*(wish.required for wish in wishes))
        return JobRequest(kind, self.model, self.fields(), idempotent, admitted=True, privacy=required)


class CreateImage(_Body):
    prompt: Prompt = Field(repr=False)
    size: str = "1024x1024"
    n: Annotated[int, Field(ge=1, le=media_orders.MAX_IMAGES)] = 1
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None

    def fields(self) -> dict[str, Any]:
        width, height = media_orders.size(self.size)
        return {"prompt": self.prompt, "width": width, "height": height, "n": self.n, "seed": self.seed}


class CreateVideo(_Body):
    prompt: Prompt = Field(repr=False)
    duration: Annotated[float, Field(gt=0, le=media_orders.MAX_VIDEO_SECONDS)] = media_orders.DEFAULT_SECONDS
    size: str | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None

    def fields(self) -> dict[str, Any]:
        width, height = media_orders.size(self.size) if self.size else (None, None)
        parameters = {"prompt": self.prompt, "seconds": self.duration, "seed": self.seed}
        return parameters | {"width": width, "height": height}


class CreateSpeech(_Body):
    input: Annotated[str, Field(min_length=1, max_length=4096, repr=False)]
    voice: Annotated[str, Field(min_length=1, max_length=100)] = "alloy"
    response_format: str = "mp3"
    speed: Annotated[float, Field(ge=0.25, le=4.0)] = 1.0

    def fields(self) -> dict[str, Any]:
        if self.response_format not in SPEECH_FORMATS:
            formats = ", ".join(SPEECH_FORMATS)
            raise RequestInvalid(f"'response_format' must be one of {formats}.", param="response_format")
        return {"prompt": self.input} | self.model_dump(include={"voice", "response_format", "speed"})


BODIES: Mapping[Kind, type[_Body]] = {Kind.IMAGE: CreateImage, Kind.VIDEO: CreateVideo, Kind.SPEECH: CreateSpeech}


class JobOutput(BaseModel):
    url: str = Field(repr=False)
    poster_url: str | None = Field(default=None, repr=False)
    """A picture of a film, by a signed link as `url` is one. Null: there is none."""
    content_type: str
    bytes: int
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    expires_at: datetime


class JobView(BaseModel):
    """A media job, as its owner sees it."""

    job_uuid: UUID
    kind: Kind
    model: str
    status: str
    progress: int | None
    output_url: str | None = Field(repr=False)
    outputs: list[JobOutput]
    error: dict[str, str] | None
    credits_cost: int
    credits_refunded: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    """From this time on, `outputs` is empty, `output_url` is null, and the files are deleted."""


@router.post("/image/", status_code=202)
async def create_image(
    body: CreateImage, caller: MayOrder, resources: CurrentResources, idempotent: IdempotencyKey, response: Response
) -> JobView:
    """Start an image job. Poll the answer's `Location`."""
    order = body.order(Kind.IMAGE, caller, idempotent)
    return await _accept(resources, caller, response, order)


@router.post("/video/", status_code=202)
async def create_video(
    body: CreateVideo, caller: MayOrder, resources: CurrentResources, idempotent: IdempotencyKey, response: Response
) -> JobView:
    """Start a video job of `duration` seconds. If the job fails, its credits are released."""
    order = body.order(Kind.VIDEO, caller, idempotent)
    return await _accept(resources, caller, response, order)


@router.post("/speech/", status_code=202)
async def create_speech(
    body: CreateSpeech, caller: MayOrder, resources: CurrentResources, idempotent: IdempotencyKey, response: Response
) -> JobView:
    """Start a text-to-speech job."""
    order = body.order(Kind.SPEECH, caller, idempotent)
    return await _accept(resources, caller, response, order)


@router.get("/jobs/{job_uuid}/")
async def get_job(job_uuid: UUID, caller: MayRender, resources: CurrentResources) -> JobView:
    """Poll a job. Output URLs are signed anew at each poll, and expire."""
    return view(resources, await resources.jobs.owned(caller.account_id, job_uuid))


async def _accept(resources: Resources, caller: Caller, response: Response, order: JobRequest) -> JobView:
    accepted = await resources.jobs.accept(caller, order)
    if accepted.replayed:
        response.headers.update(REPLAYED)
    response.headers["location"] = resources.public_url + path_of(accepted.job.id)
    response.headers["x-yout-balance"] = str(accepted.available)
    return view(resources, accepted.job)


def view(resources: Resources, job: Job) -> JobView:
    outputs, now = [], datetime.now(UTC)
    for output in job.served(now):
        url, expires_at = resources.urls.url(output.object_key, now, until=job.expires_at)
        facts = output.model_dump(include={"content_type", "bytes", "width", "height", "duration"})
        poster = None
        if output.poster is not None:
            poster, _ = resources.urls.url(output.poster.object_key, now, until=job.expires_at)
        outputs.append(JobOutput(url=url, poster_url=poster, expires_at=expires_at, **facts))
    return JobView(
        job_uuid=job.id,
        kind=job.kind,
        model=job.model,
        status=job.state,
        progress=job.progress,
        output_url=outputs[0].url if outputs else None,
        outputs=outputs,
        error=job.error.model_dump() if job.error else None,
        credits_cost=job.credits_cost,
        credits_refunded=job.credits_refunded,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        expires_at=job.expires_at,
    )
