"""xAI's images: how they are asked for, and what an answer has."""

import re
from collections.abc import Mapping
from typing import Any

from domain.errors import ContentPolicyViolation, UpstreamError, UpstreamRefused
from domain.media import MediaRequest
from providers import media_data, media_fields
from providers.base import MediaSubmission
from providers.media_data import DataFile, mappings
from providers.media_fields import Dialect, same

GENERATIONS, EDITS = "images/generations", "images/edits"
_MODERATION = re.compile(rb"moderat|usage guidelines|content polic", re.IGNORECASE)


def _size(width: int, height: int) -> dict[str, Any]:
    """xAI knows ratios and two sizes. A size in pixels is the one of them that has about as many."""
    return media_fields.as_ratio(width, height) | {"resolution": "1k" if width * height < 2_500_000 else "2k"}


_IMAGE = Dialect(count="n", size=_size, names=same("aspect_ratio", "resolution", "quality"))


def written(submission: MediaSubmission) -> tuple[str, dict[str, Any]]:
    """Return the endpoint and the body. Raises `UpstreamRefused` for what xAI has no form for."""
    body = {"model": submission.request.model, **_IMAGE.fields(submission.request), "response_format": "b64_json"}
    if not submission.inputs:
        return GENERATIONS, body
    if any(given.role not in ("image", "reference") for given in submission.inputs):
        raise UpstreamRefused
    images = [{"url": media_data.uri(given), "type": "image_url"} for given in submission.inputs]
    return EDITS, body | ({"image": images[0]} if len(images) == 1 else {"images": images})


def read(answer: Mapping[str, Any], request: MediaRequest) -> list[DataFile]:
    """Return the images that may be served, of those that were ordered. Raises an error if there are none.

    `ContentPolicyViolation` if xAI's moderation holds all of them back, `UpstreamError` if it is no answer.
    """
    given = mappings(answer.get("data"))[: request.n]
    shown = [each for each in given if each.get("respect_moderation") is not False]
    if not shown:
        raise ContentPolicyViolation if given else UpstreamError
    return [DataFile(str(each.get("mime_type")), media_data.decoded(each.get("b64_json"))) for each in shown]


def is_moderated(status: int, body: bytes) -> bool:
    """Tell whether an error is xAI's moderation: only its text says so."""
    return status in (400, 403) and _MODERATION.search(body) is not None
