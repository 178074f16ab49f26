"""`POST /v1/images/generations`, as OpenAI has it: the answer waits for the images of a job."""

import base64
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import Field

from api import finished_jobs
from api.body import StrictRoute
from api.deps import CurrentResources, MayOrder, RetriedRequest
from api.finished_jobs import FinishedJob, JobBody
from api.resources import Resources
from domain.media import Kind, Output
from domain.media_schema import MAX_TEXT_CHARACTERS

router = APIRouter(prefix="/v1/images", tags=["media"], route_class=StrictRoute)

_WHOLE_BASE64 = 3 * 32 * 1024
"""Bytes of a file that are encoded at a time: a multiple of three needs no filling."""


class CreateImages(JobBody):
    prompt: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS, repr=False)]
    n: int | None = None
    size: str | None = Field(default=None, repr=False)
    response_format: Literal["b64_json", "url"] | None = None
    stream: bool | None = None
    partial_images: int | None = None

    OWN = JobBody.OWN | {"response_format", "stream", "partial_images"}

    def require_whole(self) -> None:
        if self.stream or self.partial_images:
            raise finished_jobs.refuse("stream", "is not taken here: images come whole. Leave it out.")


@router.post("/generations", response_class=Response)
async def create_images(
    request: Request, body: CreateImages, caller: MayOrder, resources: CurrentResources, once: RetriedRequest
) -> Response:
    """Make images, and answer when they are there. The job goes on, and is charged once, if the client leaves."""
    body.require_whole()
    schema = resources.jobs.schema(body.model, Kind.IMAGE)
    dropped = body.dropped({schema.text_name, *schema.parameters})
    order = body.job(Kind.IMAGE, caller, body.prompt, body.parameters(schema), once)
    finished = await finished_jobs.finished(resources, request, caller, order)
    usage = _usage(resources, body.prompt)
    finished.headers.update(finished_jobs.named_as_dropped(dropped))
    if body.response_format == "url":
        return _links(resources, finished, usage)
    return _embedded(request, finished, usage)


def _usage(resources: Resources, prompt: str) -> dict[str, Any]:
    """Count the prompt by our own count. Images have no tokens here: they are billed by number."""
    tokens = resources.calls.count(prompt)
    return {
        "input_tokens": tokens,
        "input_tokens_details": {"text_tokens": tokens, "image_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
        "total_tokens": tokens,
    }


def _facts(finished: FinishedJob, usage: dict[str, Any]) -> dict[str, Any]:
    first = finished.outputs[0]
    facts: dict[str, Any] = {"created": int(finished.job.created_at.timestamp())}
    facts["output_format"] = first.content_type.rpartition("/")[2]
    if first.width and first.height:
        facts["size"] = f"{first.width}x{first.height}"
    return facts | {"usage": usage}


def _links(resources: Resources, finished: FinishedJob, usage: dict[str, Any]) -> Response:
    now = datetime.now(UTC)
    links = [resources.urls.url(each.object_key, now, until=finished.job.expires_at)[0] for each in finished.outputs]
    body = orjson.dumps(_facts(finished, usage) | {"data": [{"url": link} for link in links]})
    return Response(body, headers=finished.headers, media_type="application/json")


def _embedded(request: Request, finished: FinishedJob, usage: dict[str, Any]) -> Response:
    """Write the images into the answer as they are read from storage: none is held in memory whole."""
    head = orjson.dumps(_facts(finished, usage))[:-1] + b',"data":['
    outputs = finished.outputs
    length = len(head) + sum(len(_BEGIN) + 4 * -(-each.bytes // 3) + len(_END) for each in outputs) + len(outputs) + 1
    headers = finished.headers | {"content-length": str(length)}
    return StreamingResponse(_written(request, head, outputs), headers=headers, media_type="application/json")


_BEGIN, _END = b'{"b64_json":"', b'"}'


async def _written(request: Request, head: bytes, outputs: Sequence[Output]) -> AsyncIterator[bytes]:
    yield head
    for number, output in enumerate(outputs):
        yield _BEGIN if number == 0 else b"," + _BEGIN
        rest = b""
        async for chunk in finished_jobs.chunks_of(request, output):
            rest += chunk
            whole = len(rest) // _WHOLE_BASE64 * _WHOLE_BASE64
            if whole:
                yield base64.b64encode(rest[:whole])
                rest = rest[whole:]
        yield base64.b64encode(rest) + _END
    yield b"]}"
