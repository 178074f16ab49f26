"""`POST /v1/images/generations` and `/edits`, as OpenAI has them: the answer waits for the images of a job."""

import base64
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import Field

from api import finished_jobs
from api.body import FormRoute, StrictRoute
from api.deps import CurrentResources, MayOrder, RetriedRequest
from api.finished_jobs import FinishedJob, JobBody
from api.resources import Resources
from domain.caller import Caller
from domain.errors import RequestInvalid
from domain.media import Kind, Output
from domain.media_schema import MAX_TEXT_CHARACTERS
from gateway.jobs import JobRequest

router = APIRouter(prefix="/v1/images", tags=["media"], route_class=StrictRoute)
editing = APIRouter(prefix="/v1/images", tags=["media"], route_class=FormRoute)

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
        for name, given in (("stream", self.stream), ("partial_images", self.partial_images)):
            if given:
                raise finished_jobs.refuse(name, "is not taken here: images come whole. Leave it out.")


class EditImages(CreateImages):
    image: str | list[Any] | dict[str, Any] | None = Field(default=None, repr=False)
    """One picture or several: files of a form; in JSON a data URI, an https URL or the id of an upload."""
    mask: str | dict[str, Any] | None = Field(default=None, repr=False)


@router.post("/generations", response_class=Response)
async def create_images(
    request: Request, body: CreateImages, caller: MayOrder, resources: CurrentResources, idempotent: RetriedRequest
) -> Response:
    """Make images, and answer when they are there. The job goes on, and is charged once, if the client leaves."""
    body.require_whole()
    schema = resources.jobs.schema(body.model, Kind.IMAGE)
    dropped = body.dropped({schema.text_name, *schema.parameters}, caller)
    order = body.job(Kind.IMAGE, caller, body.prompt, body.parameters(schema), idempotent)
    return await _made(request, caller, body, order, dropped)


_FILE = {"type": "string", "format": "binary"}
_DESCRIBED = finished_jobs.described(EditImages, image={"type": "array", "items": _FILE}, mask=_FILE)


@editing.post("/edits", response_class=Response, openapi_extra={"requestBody": _DESCRIBED})
async def edit_images(
    request: Request, caller: MayOrder, resources: CurrentResources, idempotent: RetriedRequest
) -> Response:
    """Change images, and answer when the new ones are there. The body is a form with files, or JSON that names them."""
    body = EditImages.of(request, await request.json() or {})
    body.require_whole()
    body.require_known("image", "mask")
    schema = resources.jobs.schema(body.model, Kind.IMAGE)
    dropped = body.dropped({schema.text_name, *schema.parameters, "image", "mask"}, caller)
    role = "image" if "image" in schema.inputs else "reference"
    files = {role: body.files("image"), "mask": body.files("mask")}
    if not files[role]:
        message = "'image' is required: a picture to change."
        raise RequestInvalid(message, param="image", code="missing_required_parameter")
    order = body.job(Kind.IMAGE, caller, body.prompt, body.parameters(schema), idempotent)
    return await _made(request, caller, body, replace(order, files=files, aliases={role: "image"}), dropped)


async def _made(
    request: Request, caller: Caller, body: CreateImages, order: JobRequest, dropped: Collection[str]
) -> Response:
    resources: Resources = request.app.state.resources
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
