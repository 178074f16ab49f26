"""`POST /v1/audio/transcriptions`, as OpenAI has it: the answer waits for the transcript of a job."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import Field

from api import finished_jobs
from api.body import FormRoute
from api.deps import CurrentResources, MayOrder, RetriedRequest
from api.finished_jobs import FinishedJob, JobBody
from api.stream_response import stream_headers
from api.wire.base import EVENT_STREAM
from domain.errors import OutputTooLarge, RequestInvalid
from domain.media import Kind
from domain.media_schema import MAX_TEXT_CHARACTERS, MediaSchema

router = APIRouter(prefix="/v1/audio", tags=["media"], route_class=FormRoute)

MAX_BYTES = 16 << 20
"""Of a transcript: many times what 25 MiB of speech can have."""
_JSON, _TEXT = "application/json", "text/plain; charset=utf-8"
_FORMAT = "response_format"
_VERBOSE = "verbose_json"
_TIMESTAMPS, _GRANULARITIES = "timestamp_granularities", ("segment", "word")
_WRITTEN_HERE = ("json", "text")
"""Formats that are made of any transcript. Any other comes from the model, or not at all."""


class CreateTranscription(JobBody):
    file: str | dict[str, Any] | None = Field(None, repr=False)
    """The recording: a file of a form; in JSON a data URI, an https URL or the id of an upload."""
    prompt: Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)] = Field("", repr=False)
    """Words that it may have."""
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"] = "json"
    timestamp_granularities: list[Literal["word", "segment"]] | None = Field(None, examples=[["word", "segment"]])
    """Of `verbose_json`: `word`, `segment` or both."""
    stream: bool | None = None

    OWN = JobBody.OWN | {"file", "response_format", "stream"}

    def parameters(self, schema: MediaSchema) -> dict[str, object]:
        """Raises `RequestInvalid` for a format that the model does not write."""
        given = super().parameters(schema)
        if given.pop(_TIMESTAMPS, None) is not None:
            given[_TIMESTAMPS] = self._timestamps()
        if schema.allows(_FORMAT, self.response_format):
            return given
        if self.response_format not in _WRITTEN_HERE:
            formats = schema.parameters[_FORMAT].enum if _FORMAT in schema.parameters else ()
            allowed = ", ".join(dict.fromkeys((*_WRITTEN_HERE, *map(str, formats))))
            raise finished_jobs.refuse(_FORMAT, f"must be one of {allowed} for this model.")
        return {name: value for name, value in given.items() if name != _FORMAT}

    def _timestamps(self) -> str:
        """Return them as our own parameter has them. OpenAI has a list."""
        wanted = self.given(_TIMESTAMPS)
        names = [wanted] if isinstance(wanted, str) else wanted
        if not isinstance(names, list) or not names or not all(name in _GRANULARITIES for name in names):
            raise RequestInvalid(f"'{_TIMESTAMPS}' must be a list of: {', '.join(_GRANULARITIES)}.", param=_TIMESTAMPS)
        if self.response_format != _VERBOSE:
            raise finished_jobs.refuse(_TIMESTAMPS, f"is taken with the 'response_format' {_VERBOSE} alone.")
        return ",".join(name for name in _GRANULARITIES if name in names)

    def require_streamable(self) -> None:
        if self.stream and self.response_format not in _WRITTEN_HERE:
            raise finished_jobs.refuse("stream", "is not taken with this 'response_format'.")


_FILE = {"type": "string", "format": "binary"}
_DESCRIBED = finished_jobs.described(CreateTranscription, file=_FILE)


@router.post("/transcriptions", response_class=Response, openapi_extra={"requestBody": _DESCRIBED})
async def create_transcription(
    request: Request, caller: MayOrder, resources: CurrentResources, idempotent: RetriedRequest
) -> Response:
    """Write down what is said in a recording. The job goes on, and is charged once, if the client leaves."""
    body = CreateTranscription.of(request, await request.json() or {})
    body.require_known("file")
    body.require_streamable()
    schema = resources.jobs.schema(body.model, Kind.TRANSCRIPTION)
    dropped = body.dropped({schema.text_name, *schema.parameters}, caller)
    order = body.job(Kind.TRANSCRIPTION, caller, body.prompt, body.parameters(schema), idempotent)
    order = replace(order, files={"audio": body.files("file")}, aliases={"audio": "file"})
    finished = await finished_jobs.finished(resources, request, caller, order)
    finished.headers.update(finished_jobs.named_as_dropped(dropped))
    content = await _content(request, finished)
    if body.stream:
        headers = {name.decode(): value.decode() for name, value in stream_headers(EVENT_STREAM)}
        return StreamingResponse(_events(_text(finished, content)), headers=headers | finished.headers)
    written, media_type = _written(body.response_format, finished, content)
    return Response(written, headers=finished.headers, media_type=media_type)


async def _content(request: Request, finished: FinishedJob) -> bytes:
    output = finished.outputs[0]
    if output.bytes > MAX_BYTES:
        raise OutputTooLarge
    return b"".join([chunk async for chunk in finished_jobs.chunks_of(request, output)])


def _written(form: str, finished: FinishedJob, content: bytes) -> tuple[bytes, str]:
    """Return the transcript in the format that the caller wants, and its content type."""
    if form == "text":
        return _text(finished, content).encode(), _TEXT
    if not form.endswith("json"):
        return content, _TEXT
    known = orjson.loads(content) if finished.outputs[0].content_type == _JSON else {"text": content.decode()}
    return orjson.dumps(known | _usage(finished)), _JSON


def _usage(finished: FinishedJob) -> dict[str, Any]:
    """Return what the price counted: the seconds of the recording."""
    seconds = finished.job.seconds
    return {} if seconds is None else {"usage": {"type": "duration", "seconds": seconds}}


def _text(finished: FinishedJob, content: bytes) -> str:
    if finished.outputs[0].content_type == _JSON:
        return str(orjson.loads(content).get("text", ""))
    return content.decode()


async def _events(text: str) -> AsyncIterator[bytes]:
    for event in ({"type": "transcript.text.delta", "delta": text}, {"type": "transcript.text.done", "text": text}):
        yield b"data: " + orjson.dumps(event) + b"\n\n"
    yield b"data: [DONE]\n\n"
