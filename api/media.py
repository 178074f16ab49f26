"""`/api/media/…`: start image, video and speech jobs, and poll them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from api.body import StrictRoute
from api.deps import Held, MayRender, MediaClaim
from api.ids import new_id
from api.resources import Resources, path_of
from db.keys import Caller
from db.media import Order
from domain import media_orders
from domain.errors import RequestInvalid
from domain.ledger import Claim
from domain.media import Job, Kind, MediaRequest

router = APIRouter(prefix="/api/media", tags=["media"], route_class=StrictRoute)

Prompt = Annotated[str, Field(min_length=1, max_length=32_000)]
SPEECH_FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    model: Annotated[str, Field(min_length=1, max_length=200)]


class CreateImage(_Body):
    prompt: Prompt
    size: str = "1024x1024"
    n: Annotated[int, Field(ge=1, le=media_orders.MOST_IMAGES)] = 1
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None


class CreateVideo(_Body):
    prompt: Prompt
    duration: Annotated[float, Field(gt=0, le=media_orders.LONGEST_VIDEO)] = media_orders.DEFAULT_SECONDS
    size: str | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None


class CreateSpeech(_Body):
    input: Annotated[str, Field(min_length=1, max_length=4096)]
    voice: Annotated[str, Field(min_length=1, max_length=100)] = "alloy"
    response_format: str = "mp3"
    speed: Annotated[float, Field(ge=0.25, le=4.0)] = 1.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What a body of any kind comes to."""

    kind: Kind
    model: str
    fields: dict[str, Any]
    claim: Claim | None


class JobOutput(BaseModel):
    url: str
    content_type: str
    bytes: int
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    expires_at: datetime


class JobView(BaseModel):
    """A media job as its owner sees it."""

    job_uuid: UUID
    kind: Kind
    model: str
    status: str
    progress: int | None
    output_url: str | None
    outputs: list[JobOutput]
    error: dict[str, str] | None
    credits_cost: int
    credits_refunded: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@router.post("/image/", status_code=202)
async def create_image(
    body: CreateImage, caller: MayRender, held: Held, claim: MediaClaim, response: Response
) -> JobView:
    """Start an image job. Poll the answer's `Location`."""
    width, height = media_orders.size(body.size)
    asked = {"prompt": body.prompt, "width": width, "height": height, "n": body.n, "seed": body.seed}
    return await _start(held, caller, response, Asked(Kind.IMAGE, body.model, asked, claim))


@router.post("/video/", status_code=202)
async def create_video(
    body: CreateVideo, caller: MayRender, held: Held, claim: MediaClaim, response: Response
) -> JobView:
    """Start a video job of `duration` seconds. A job that fails gives its credits back by itself."""
    width, height = media_orders.size(body.size) if body.size else (None, None)
    asked = {"prompt": body.prompt, "seconds": body.duration, "width": width, "height": height, "seed": body.seed}
    return await _start(held, caller, response, Asked(Kind.VIDEO, body.model, asked, claim))


@router.post("/speech/", status_code=202)
async def create_speech(
    body: CreateSpeech, caller: MayRender, held: Held, claim: MediaClaim, response: Response
) -> JobView:
    """Start a text-to-speech job."""
    if body.response_format not in SPEECH_FORMATS:
        raise RequestInvalid(f"'response_format' must be one of {', '.join(SPEECH_FORMATS)}.", param="response_format")
    asked = {
        "prompt": body.input,
        "voice": body.voice,
        "response_format": body.response_format,
        "speed": body.speed,
    }
    return await _start(held, caller, response, Asked(Kind.SPEECH, body.model, asked, claim))


@router.get("/jobs/{job_uuid}/")
async def get_job(job_uuid: UUID, caller: MayRender, held: Held) -> JobView:
    """Poll a job. Output URLs are signed anew at each poll, and expire."""
    return _view(held, await held.jobs.owned(caller.account_id, job_uuid))


async def _start(held: Resources, caller: Caller, response: Response, asked: Asked) -> JobView:
    """Hold, queue and seal in one transaction; then start the workflow, which the orphan starter does if we cannot."""
    model = held.catalog().find(asked.model)
    media_orders.require_kind(model, asked.kind)
    route = model.routes[0]
    request = MediaRequest(kind=asked.kind, model=route.model, **asked.fields)
    order = Order(
        job_id=new_id(),
        digest=caller.digest,
        kind=asked.kind,
        model=model.id,
        provider=route.provider.name,
        price=media_orders.price(model, request),
        request=request,
        pro_only=model.pro_only,
        ceiling=held.ceiling,
        claim=asked.claim,
    )
    accepted = await held.jobs.accept(order)
    if accepted.replayed:
        response.headers["idempotent-replayed"] = "true"
    else:
        await held.start_media(accepted.job)
    response.headers["location"] = held.public_url + path_of(accepted.job.id)
    response.headers["x-yout-balance"] = str(accepted.available)
    return _view(held, accepted.job)


def _view(held: Resources, job: Job) -> JobView:
    outputs, now = [], datetime.now(UTC)
    for output in job.outputs:
        url, expires_at = held.urls.url(output.object_key, now)
        facts = output.model_dump(include={"content_type", "bytes", "width", "height", "duration"})
        outputs.append(JobOutput(url=url, expires_at=expires_at, **facts))
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
    )
