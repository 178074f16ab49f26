"""Videos of Gemini's Omni models: interactions that run in the background, polled and deleted afterwards."""

import re
from collections.abc import Mapping
from typing import Any

from domain.errors import ContentPolicyViolation, UpstreamError, UpstreamRefused
from domain.media import MediaInput
from providers import media_data, media_fields
from providers.base import MediaSubmission, Progress, Stage
from providers.gemini.veo import FILE
from providers.media_data import mappings
from providers.media_fields import Dialect, same

_VIDEO = Dialect(
    text="prompt",
    size=media_fields.as_ratio_and_lines,
    seconds=("duration", "{:g}s"),
    names=same("aspect_ratio", "resolution"),
)
INTERACTION = re.compile(r"[\w.-]{1,512}")
_TASKS = {
    frozenset[str](): "text_to_video",
    frozenset({"image"}): "image_to_video",
    frozenset({"first_frame"}): "image_to_video",
    frozenset({"reference"}): "reference_to_video",
}
_WAITS = frozenset({"queued", "in_progress"})
_POLICY = re.compile(r"safety|polic|prohibited|blocked", re.IGNORECASE)


def body(submission: MediaSubmission) -> dict[str, Any]:
    """Return the interaction to begin. Raises `UpstreamRefused` for what these models have no form for.

    Google keeps it until it is deleted: only what is kept runs in the background.
    """
    form = _VIDEO.fields(submission.request)
    content = [_image(given) for given in submission.inputs] + [{"type": "text", "text": form.pop("prompt")}]
    task = _TASKS.get(frozenset(given.role for given in submission.inputs))
    if task is None:
        raise UpstreamRefused
    return {
        "model": submission.request.model,
        "input": [{"type": "user_input", "content": content}],
        "response_format": {"type": "video", **form, "delivery": "uri"},
        "generation_config": {"video_config": {"task": task}},
        "background": True,
        "store": True,
    }


def _image(given: MediaInput) -> dict[str, Any]:
    data = media_data.encoded(given)
    return {"type": "image", "data": data, "mime_type": given.content_type}


def name(answer: Mapping[str, Any]) -> str:
    return media_data.job_id(answer.get("id"), INTERACTION)


def progress(interaction: Mapping[str, Any]) -> Progress:
    status = interaction.get("status")
    if status in _WAITS:
        return Progress(Stage.RUNNING, queued=status == "queued")
    if status == "cancelled":
        return Progress(Stage.CANCELLED)
    try:
        videos(interaction)
    except UpstreamError as error:
        return media_data.failed(error)
    return Progress(Stage.DONE, percent=100)


def videos(interaction: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the videos of an interaction: each has `data` or `uri`. Raises an error if there are none."""
    outputs = [
        part
        for step in mappings(interaction.get("steps"))
        if step.get("type") == "model_output"
        for part in mappings(step.get("content"))
        if part.get("type") == "video" and (part.get("data") or FILE.search(str(part.get("uri"))))
    ]
    if interaction.get("status") != "completed" or not outputs:
        codes = [str(error.get("code")) for error in mappings(interaction.get("errors"))]
        raise ContentPolicyViolation if any(map(_POLICY.search, codes)) else UpstreamError
    return outputs
