"""`/api/media/…`: start jobs for images, videos, speech and transcriptions, and poll them."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from api import privacy
from api.body import StrictRoute
from api.deps import CurrentResources, IdempotencyKey, MayOrder, MayRender
from api.idempotency import REPLAYED
from api.resources import Resources, path_of
from db.media import Accepted
from domain.caller import Caller
from domain.errors import RequestInvalid
from domain.media import Job, Kind
from domain.media_schema import MAX_TEXT_CHARACTERS
from domain.privacy import PrivacyClass
from gateway.idempotency import IdempotentRequest
from gateway.jobs import JobRequest


class _Route(StrictRoute):
    """Input files may be in the body, as data URIs."""

    max_body_bytes = None


router = APIRouter(prefix="/api/media", tags=["media"], route_class=_Route)


WebhookUrl = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=2048,
        repr=False,
        description="A URL that is told the end of this job. It is signed with the account's secret.",
    ),
]


class _Body(BaseModel, ABC):
    """The fields that are not declared are the model's parameters: `gateway.jobs` checks them by its schema."""

    model_config = ConfigDict(extra="allow", strict=True)

    kind: ClassVar[Kind]
    model: Annotated[str, Field(min_length=1, max_length=200)]
    privacy: Literal["default", "strict"] | None = None
    """`strict`: only a route of the class `zero_retention` makes it."""
    webhook_url: WebhookUrl = None

    @property
    @abstractmethod
    def text(self) -> str: ...

    def aliases(self) -> dict[str, str]:
        """Return other names of parameters, by the name that the catalog has."""
        return {}

    def files(self) -> dict[str, list[str | bytes]]:
        """Return the input files that are fields of their own, by their role."""
        return {}

    def order(self, caller: Caller, idempotent: IdempotentRequest | None = None) -> JobRequest:
        """Return what the caller asks for. Its request was admitted before. Raises `RequestInvalid`."""
        wishes = (privacy.named(self.privacy), caller.credential.privacy)
        required = PrivacyClass.strongest(*(wish.required for wish in wishes))
        given = {name: value for name, value in (self.model_extra or {}).items() if value is not None}
        aliases = {name: alias for name, alias in self.aliases().items() if alias in given}
        for name, alias in aliases.items():
            if name in given:
                raise RequestInvalid(f"'{alias}' and '{name}' are one parameter. Give one of them.", param=alias)
            given[name] = given.pop(alias)
        return JobRequest(
            self.kind,
            self.model,
            self.text,
            given,
            aliases,
            self.files(),
            idempotent,
            admitted=True,
            privacy=required,
            webhook_url=self.webhook_url,
        )

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Parameters may have content: none is shown."""
        return [("model", self.model)]


_PARAMETERS = "Beside these, the model's parameters: `GET /api/chat/models/` has their JSON Schema."


class CreateImage(_Body):
    model_config = ConfigDict(json_schema_extra={"description": _PARAMETERS})

    kind = Kind.IMAGE
    prompt: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS, repr=False)]

    @property
    def text(self) -> str:
        return self.prompt


class CreateVideo(CreateImage):
    kind = Kind.VIDEO

    def aliases(self) -> dict[str, str]:
        return {"seconds": "duration"}


class CreateSpeech(_Body):
    model_config = ConfigDict(json_schema_extra={"description": _PARAMETERS})

    kind = Kind.SPEECH
    input: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS, repr=False)]

    @property
    def text(self) -> str:
        return self.input


class CreateTranscription(_Body):
    model_config = ConfigDict(json_schema_extra={"description": _PARAMETERS})

    kind = Kind.TRANSCRIPTION
    audio: Annotated[str, Field(min_length=1, repr=False)]
    """A recording, or a film: an https URL, a data URI, or the id of an upload."""
    prompt: Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS, repr=False)] = ""
    """Hints: words that may occur."""

    @property
    def text(self) -> str:
        return self.prompt

    def files(self) -> dict[str, list[str | bytes]]:
        return {"audio": [self.audio]}


BODIES = {body.kind: body for body in (CreateImage, CreateVideo, CreateSpeech, CreateTranscription)}


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
    phase: str | None
    """Of a running job: `waiting`, `running` or `copying`. Null: it is not at the provider yet."""
    progress: int | None
    output_url: str | None = Field(repr=False)
    outputs: list[JobOutput]
    error: dict[str, str] | None
    credits_cost: int
    credits_refunded: int
    cancel_requested_at: datetime | None
    """Since when it is being cancelled. Null: nobody has asked for it."""
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
    return await _accept(resources, caller, response, body.order(caller, idempotent))


@router.post("/video/", status_code=202)
async def create_video(
    body: CreateVideo, caller: MayOrder, resources: CurrentResources, idempotent: IdempotencyKey, response: Response
) -> JobView:
    """Start a video job of `duration` seconds. If the job fails, its credits are released."""
    return await _accept(resources, caller, response, body.order(caller, idempotent))


@router.post("/speech/", status_code=202)
async def create_speech(
    body: CreateSpeech, caller: MayOrder, resources: CurrentResources, idempotent: IdempotencyKey, response: Response
) -> JobView:
    """Start a text-to-speech job."""
    return await _accept(resources, caller, response, body.order(caller, idempotent))


@router.post("/transcription/", status_code=202)
async def create_transcription(
    body: CreateTranscription,
    caller: MayOrder,
    resources: CurrentResources,
    idempotent: IdempotencyKey,
    response: Response,
) -> JobView:
    """Start a job that writes down what is said in `audio`. Its price follows the length of the recording."""
    return await _accept(resources, caller, response, body.order(caller, idempotent))


@router.get("/jobs/{job_uuid}/")
async def get_job(job_uuid: UUID, caller: MayRender, resources: CurrentResources) -> JobView:
    """Poll a job. Output URLs are signed anew at each poll, and expire."""
    return view(resources, await resources.jobs.owned(caller.account_id, job_uuid))


async def _accept(resources: Resources, caller: Caller, response: Response, order: JobRequest) -> JobView:
    accepted = await accepted_job(resources, caller, order)
    if accepted.replayed:
        response.headers.update(REPLAYED)
    response.headers["location"] = resources.public_url + path_of(accepted.job.id)
    response.headers["x-yout-balance"] = str(accepted.available)
    return view(resources, accepted.job)


async def accepted_job(resources: Resources, caller: Caller, order: JobRequest) -> Accepted:
    """Call `Jobs.accept` for a job whose webhook may be sent. Raises `RequestInvalid` for another URL."""
    if order.webhook_url is not None:
        resources.webhooks.require_url(order.webhook_url, "webhook_url")
    return await resources.jobs.accept(caller, order)


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
        phase=job.phase,
        progress=job.progress,
        output_url=outputs[0].url if outputs else None,
        outputs=outputs,
        error=job.error.model_dump() if job.error else None,
        credits_cost=job.credits_cost,
        credits_refunded=job.credits_refunded,
        cancel_requested_at=job.cancel_requested_at,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        expires_at=job.expires_at,
    )
