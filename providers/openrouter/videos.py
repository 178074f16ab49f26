"""OpenRouter's videos: how one is asked for, and what its state is. Its files need our key."""

import re
from collections.abc import Mapping
from typing import Any

from domain.errors import ContentPolicyViolation, UpstreamError, UpstreamRefused
from providers import media_data
from providers.base import MediaSubmission, Progress, Stage
from providers.media_fields import Dialect, same

VIDEOS = "videos"
ID = re.compile(r"[\w.-]{1,200}")
MAX_FILES = 16


def _pixels(width: int, height: int) -> dict[str, Any]:
    return {"size": f"{width}x{height}"}


_NAMES = same("aspect_ratio", "resolution", "generate_audio", "seed")
_VIDEO = Dialect(size=_pixels, seconds=("duration", ""), names=_NAMES)
_POLICY = re.compile(r"polic|moderat|safety|guideline", re.IGNORECASE)
_FRAMES = {"image": "first_frame", "first_frame": "first_frame", "last_frame": "last_frame"}
_WAITS = ("pending", "in_progress")


def body(submission: MediaSubmission) -> dict[str, Any]:
    """Raises `UpstreamRefused` for what OpenRouter has no form for."""
    written: dict[str, Any] = {"model": submission.request.model, **_VIDEO.fields(submission.request)}
    for given in submission.inputs:
        image: dict[str, Any] = {"type": "image_url", "image_url": {"url": media_data.uri(given)}}
        if given.role in _FRAMES:
            written.setdefault("frame_images", []).append(image | {"frame_type": _FRAMES[given.role]})
        elif given.role == "reference":
            written.setdefault("input_references", []).append(image)
        else:
            raise UpstreamRefused
    return written


def name(answer: Mapping[str, Any]) -> str:
    return media_data.job_id(answer.get("id"), ID)


def progress(answer: Mapping[str, Any]) -> Progress:
    status = answer.get("status")
    if status in _WAITS:
        return Progress(Stage.RUNNING, queued=status == "pending")
    if status == "cancelled":
        return Progress(Stage.CANCELLED)
    if status == "completed" and files(answer):
        return Progress(Stage.DONE, percent=100)
    policy = status == "failed" and _POLICY.search(str(answer.get("error")))
    return Progress(Stage.FAILED, failure=ContentPolicyViolation.code if policy else UpstreamError.code)


def files(answer: Mapping[str, Any]) -> int:
    """Return how many files there are."""
    urls = answer.get("unsigned_urls") or answer.get("urls")
    return min(len(urls), MAX_FILES) if isinstance(urls, list) else 0
