"""Veo's videos: long-running operations, at Vertex AI and, for older models, at AI Studio."""

import re
from collections.abc import Mapping
from typing import Any

from domain.errors import ContentPolicyViolation, UpstreamError, UpstreamRefused
from domain.media import MediaInput
from providers import media_data, media_fields
from providers.base import MediaSubmission, Progress, Stage
from providers.media_fields import Dialect

_NAMES = {"aspect_ratio": "aspectRatio", "resolution": "resolution", "negative_prompt": "negativePrompt"}
_VERTEX_NAMES = _NAMES | {"seed": "seed", "generate_audio": "generateAudio"}


def _size(width: int, height: int) -> dict[str, Any]:
    size = media_fields.as_ratio_and_lines(width, height)
    return {"aspectRatio": size["aspect_ratio"], "resolution": size["resolution"]}


_STUDIO = Dialect(count="sampleCount", size=_size, seconds=("durationSeconds", ""), names=_NAMES)
_VERTEX = Dialect(count="sampleCount", size=_size, seconds=("durationSeconds", ""), names=_VERTEX_NAMES)
OPERATION = re.compile(r"(?:projects/[\w.-]+/locations/[\w-]+/publishers/google/)?models/[\w.-]+/operations/[\w-]+")
FILE = re.compile(r"files/([\w-]{1,128})")
"""In the address of a file at AI Studio. One in a bucket is not of ours: no bucket is named."""
_FIRST = frozenset({"image", "first_frame"})
_REFUSED = frozenset({3, 9, 11})
"""INVALID_ARGUMENT, FAILED_PRECONDITION and OUT_OF_RANGE, as an operation ends with them."""


def body(submission: MediaSubmission, *, vertex: bool) -> dict[str, Any]:
    """Return the body of `predictLongRunning`. Raises `UpstreamRefused` for what Veo has no form for.

    It names no bucket: Vertex AI then gives the videos in the operation.
    """
    parameters = (_VERTEX if vertex else _STUDIO).fields(submission.request)
    instance: dict[str, Any] = {"prompt": parameters.pop("prompt")}
    for given in submission.inputs:
        _add(instance, given)
    return {"instances": [instance], "parameters": {"sampleCount": 1} | parameters}


def _add(instance: dict[str, Any], given: MediaInput) -> None:
    image = {"bytesBase64Encoded": media_data.encoded(given), "mimeType": given.content_type}
    if given.role == "reference":
        instance.setdefault("referenceImages", []).append({"image": image, "referenceType": "asset"})
        return
    name = "image" if given.role in _FIRST else "lastFrame" if given.role == "last_frame" else ""
    if not name or name in instance:
        raise UpstreamRefused
    instance[name] = image


def name(answer: Mapping[str, Any]) -> str:
    return media_data.job_id(answer.get("name"), OPERATION)


def progress(operation: Mapping[str, Any]) -> Progress:
    """Return the state of an operation. One that is done without a video has failed, whatever it says."""
    if not operation.get("done"):
        return Progress(Stage.RUNNING)
    try:
        videos(operation)
    except UpstreamError as error:
        return media_data.failed(error)
    return Progress(Stage.DONE, percent=100)


def videos(operation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the videos of an operation: each has bytes or an address. Raises an error if there are none."""
    error = operation.get("error")
    if isinstance(error, Mapping):
        raise UpstreamRefused if error.get("code") in _REFUSED else UpstreamError
    response = _object(operation.get("response"))
    response = _object(response.get("generateVideoResponse")) or response
    samples = response.get("generatedSamples") or response.get("videos") or []
    outputs = [_object(_object(each).get("video")) or _object(each) for each in samples if isinstance(samples, list)]
    readable = [each for each in outputs if each.get("bytesBase64Encoded") or FILE.search(str(each.get("uri")))]
    if not readable:
        raise ContentPolicyViolation if response.get("raiMediaFilteredCount") else UpstreamError
    return readable


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
