"""Videos of servers with the API that OpenAI had for Sora: how one is asked for, and what its state is."""

import re
from collections.abc import Mapping
from typing import Any

from domain.errors import ContentPolicyViolation, UpstreamError
from domain.media import MediaRequest
from providers import media_data
from providers.base import Progress, Stage
from providers.media_fields import Dialect, same

VIDEOS = "videos"
ID = re.compile(r"[\w.-]{1,200}")
_POLICY = re.compile(r"moderation|polic|safety", re.IGNORECASE)


def _pixels(width: int, height: int) -> dict[str, Any]:
    return {"size": f"{width}x{height}"}


_VIDEO = Dialect(size=_pixels, seconds=("seconds", "{:g}"), names=same("seed", "negative_prompt"))
"""The length is a text there."""


def fields(request: MediaRequest) -> dict[str, Any]:
    return {"model": request.model, **_VIDEO.fields(request)}


def name(answer: Any) -> str:
    return media_data.job_id(answer.get("id") if isinstance(answer, Mapping) else None, ID)


def progress(answer: Mapping[str, Any]) -> Progress:
    """Return the state. One that is not known is of a video under way: the deadline ends it."""
    percent = answer.get("progress")
    known = percent if type(percent) is int and 0 <= percent <= 100 else None
    match answer.get("status"):
        case "completed":
            return Progress(Stage.DONE, percent=100)
        case "failed":
            error = answer.get("error")
            code = str(error.get("code")) if isinstance(error, Mapping) else ""
            policy = _POLICY.search(code)
            return Progress(Stage.FAILED, failure=ContentPolicyViolation.code if policy else UpstreamError.code)
        case "cancelled" | "canceled":
            return Progress(Stage.CANCELLED)
        case state:
            return Progress(Stage.RUNNING, percent=known, queued=state == "queued")


def seconds(answer: Mapping[str, Any]) -> float | None:
    """Return how long the video is, which is a text or a number."""
    try:
        length = float(answer.get("seconds", 0))
    except (TypeError, ValueError):
        return None
    return length if 0 < length < 3600 else None
