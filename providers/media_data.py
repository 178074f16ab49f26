"""What answers about media have in common: files within JSON, and why work has failed."""

import base64
import binascii
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import field
from typing import Any

from domain.errors import AdapterFault, UpstreamError
from domain.media import MediaInput
from domain.records import record
from providers.base import OutputFile, Progress, Stage

EXTENSIONS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "audio/wav": "wav",
    "audio/pcm": "pcm",
    "video/mp4": "mp4",
}


@record
class DataFile:
    content_type: str
    """As the provider writes it. Our storage looks at the bytes."""
    content: bytes = field(repr=False)


def encoded(given: MediaInput) -> str:
    return base64.b64encode(given.content).decode()


def uri(given: MediaInput) -> str:
    return f"data:{given.content_type};base64,{encoded(given)}"


def decoded(text: Any) -> bytes:
    """Raises `UpstreamError` for what is no base64, and for nothing."""
    try:
        content = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        content = b""
    if not content:
        raise UpstreamError
    return content


def of_uri(given: Any) -> DataFile:
    """Return the file of a data URI in base64. Raises `UpstreamError` for anything else."""
    head, comma, data = given.partition(",") if isinstance(given, str) else ("", "", "")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise UpstreamError
    return DataFile(head.removeprefix("data:").removesuffix(";base64"), decoded(data))


async def outputs(files: Sequence[DataFile]) -> AsyncIterator[OutputFile]:
    for file in files:
        kind = file.content_type.partition(";")[0].strip().lower()
        yield OutputFile(kind, EXTENSIONS.get(kind, "bin"), _in_one(file.content))


async def _in_one(content: bytes) -> AsyncIterator[bytes]:
    yield content


def job_id(value: object, form: re.Pattern[str]) -> str:
    """Return the id by which a vendor names the work that it has begun. Raises `AdapterFault` if this is none."""
    if not isinstance(value, str) or not form.fullmatch(value):
        raise AdapterFault
    return value


def mappings(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list; of anything else, none."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def failed(error: UpstreamError) -> Progress:
    """Return the state of work that has failed for a reason that an adapter has read out of an answer."""
    return Progress(Stage.FAILED, failure=error.code)
