"""`POST /v1/audio/speech`, as OpenAI has it: the sound of a job, sent as soon as it exists."""

import base64
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from api import finished_jobs
from api.body import StrictRoute
from api.deps import CurrentResources, MayOrder, RetriedRequest
from api.finished_jobs import FinishedJob, JobBody
from api.stream_response import stream_headers
from api.wire.base import EVENT_STREAM
from domain.media import Kind
from domain.media_schema import MAX_TEXT_CHARACTERS, MediaSchema

router = APIRouter(prefix="/v1/audio", tags=["media"], route_class=StrictRoute)


class VoiceId(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, Field(min_length=1, max_length=100)]


class CreateSpeech(JobBody):
    input: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS, repr=False)]
    voice: Annotated[str, Field(min_length=1, max_length=100)] | VoiceId | None = None
    response_format: str | None = Field(default=None, repr=False)
    speed: float | None = None
    stream_format: Literal["audio", "sse"] | None = None

    OWN = JobBody.OWN | {"stream_format"}

    def parameters(self, schema: MediaSchema) -> dict[str, object]:
        given = super().parameters(schema)
        return given | {"voice": self.voice.id} if isinstance(self.voice, VoiceId) else given


@router.post("/speech", response_class=Response)
async def create_speech(
    request: Request, body: CreateSpeech, caller: MayOrder, resources: CurrentResources, idempotent: RetriedRequest
) -> Response:
    """Speak a text, and answer with the sound. The job goes on, and is charged once, if the client leaves."""
    schema = resources.jobs.schema(body.model, Kind.SPEECH)
    dropped = body.dropped({schema.text_name, *schema.parameters}, caller)
    order = body.job(Kind.SPEECH, caller, body.input, body.parameters(schema), idempotent)
    finished = await finished_jobs.finished(resources, request, caller, order)
    finished.headers.update(finished_jobs.named_as_dropped(dropped))
    output = finished.outputs[0]
    if body.stream_format == "sse":
        tokens = resources.calls.count(body.input)
        headers = {name.decode(): value.decode() for name, value in stream_headers(EVENT_STREAM)}
        return StreamingResponse(_events(request, finished, tokens), headers=headers | finished.headers)
    headers = finished.headers | {"content-type": output.content_type, "content-length": str(output.bytes)}
    return StreamingResponse(finished_jobs.chunks_of(request, output), headers=headers)


async def _events(request: Request, finished: FinishedJob, tokens: int) -> AsyncIterator[bytes]:
    async for chunk in finished_jobs.chunks_of(request, finished.outputs[0]):
        yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(chunk).decode()})
    usage = {"input_tokens": tokens, "output_tokens": 0, "total_tokens": tokens}
    yield _event({"type": "speech.audio.done", "usage": usage})


def _event(fields: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(fields) + b"\n\n"
