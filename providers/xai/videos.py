"""xAI's videos: how one is asked for, and what its state is."""

import re
from collections.abc import Mapping
from typing import Any

from domain.errors import ContentPolicyViolation, UpstreamError, UpstreamRefused
from providers import media_data
from providers.base import MediaSubmission, Progress, Stage
from providers.media_fields import Dialect, as_ratio_and_lines, same

GENERATIONS, VIDEOS = "videos/generations", "videos"
ID = re.compile(r"[\w.-]{1,200}")
_VIDEO = Dialect(size=as_ratio_and_lines, seconds=("duration", ""), names=same("aspect_ratio", "resolution"))
_MODERATION = re.compile(r"moderat|polic|guideline|safety", re.IGNORECASE)


def body(submission: MediaSubmission) -> dict[str, Any]:
    """Raises `UpstreamRefused` for what xAI has no form for."""
    written: dict[str, Any] = {"model": submission.request.model, **_VIDEO.fields(submission.request)}
    for given in submission.inputs:
        image = {"url": media_data.uri(given)}
        if given.role == "reference":
            written.setdefault("reference_images", []).append(image)
        elif given.role in ("image", "first_frame") and "image" not in written:
            written["image"] = image
        else:
            raise UpstreamRefused
    if "image" in written and "reference_images" in written:
        raise UpstreamRefused
    return written


def name(answer: Mapping[str, Any]) -> str:
    return media_data.job_id(answer.get("request_id"), ID)


def progress(answer: Mapping[str, Any]) -> Progress:
    """Return the state. An empty one is of a video that runs: xAI then answers 202, at times without a body."""
    state = answer.get("status")
    percent = answer.get("progress")
    known = percent if isinstance(percent, int) and 0 <= percent <= 100 else None
    if state == "pending" or not answer:
        return Progress(Stage.RUNNING, percent=known)
    try:
        url(answer)
    except UpstreamError as error:
        return media_data.failed(error)
    return Progress(Stage.DONE, percent=100)


def url(answer: Mapping[str, Any]) -> str:
    """Return the address of a finished video. Raises an error if there is none that may be served."""
    video = answer.get("video")
    if isinstance(video, Mapping):
        if video.get("respect_moderation") is False:
            raise ContentPolicyViolation
        address = video.get("url")
        if answer.get("status") in ("done", None) and isinstance(address, str) and address:
            return address
    error = answer.get("error")
    code = str(error.get("code")) if isinstance(error, Mapping) else ""
    raise ContentPolicyViolation if _MODERATION.search(code) else UpstreamError


def duration(answer: Mapping[str, Any]) -> float | None:
    video = answer.get("video")
    seconds = video.get("duration") if isinstance(video, Mapping) else None
    return float(seconds) if isinstance(seconds, int | float) and 0 < seconds < 3600 else None
