"""OpenRouter's images: by its endpoint of images, or in the answer of a chat.

The endpoint knows more parameters and makes several images in a call. Only a chat takes the signal against keeping
prompts: a request that must not be kept goes there.
"""

from collections.abc import Mapping
from typing import Any

from domain.errors import ContentPolicyViolation, UpstreamError, UpstreamRefused
from domain.media import MediaRequest
from domain.privacy import PrivacyClass
from providers import media_data, media_fields
from providers.base import MediaSubmission
from providers.media_data import DataFile, mappings
from providers.media_fields import Dialect, same

IMAGES, CHAT = "images", "chat/completions"
_NAMES = ("aspect_ratio", "resolution", "quality", "background", "output_format", "output_compression", "seed")


def _pixels(width: int, height: int) -> dict[str, Any]:
    return {"size": f"{width}x{height}"}


def _chat_size(width: int, height: int) -> dict[str, Any]:
    size = media_fields.as_ratio_and_k(width, height)
    return {"aspect_ratio": size["aspect_ratio"], "image_size": size["resolution"]}


_IMAGE = Dialect(count="n", size=_pixels, names=same(*_NAMES))
_CHAT = Dialect(
    count="n", size=_chat_size, names={"aspect_ratio": "aspect_ratio", "resolution": "image_size", "seed": "seed"}
)
_IMAGE_CONFIG = ("aspect_ratio", "image_size")


def forbids_retention(request: MediaRequest) -> bool:
    return request.privacy not in (PrivacyClass.UNKNOWN, PrivacyClass.RETAINED)


def written(submission: MediaSubmission) -> dict[str, Any]:
    """Return the body for the endpoint of images. Raises `UpstreamRefused` for what it has no form for."""
    body = {"model": submission.request.model, **_IMAGE.fields(submission.request)}
    if submission.inputs:
        body["input_references"] = _references(submission)
    return body


def chat(submission: MediaSubmission, index: int) -> dict[str, Any]:
    """Return the body of a chat that makes one of the images."""
    request = submission.request
    fields = _CHAT.fields(request)
    content = [{"type": "text", "text": fields.pop("prompt")}, *_references(submission)]
    config = {name: fields[name] for name in _IMAGE_CONFIG if name in fields}
    body: dict[str, Any] = {"model": request.model, "messages": [{"role": "user", "content": content}]}
    body |= {"modalities": ["image", "text"]} | ({"image_config": config} if config else {})
    return body | ({"seed": request.seed + index} if request.seed is not None else {})


def _references(submission: MediaSubmission) -> list[dict[str, Any]]:
    if any(given.role not in ("image", "reference") for given in submission.inputs):
        raise UpstreamRefused
    return [{"type": "image_url", "image_url": {"url": media_data.uri(given)}} for given in submission.inputs]


def read(answer: Mapping[str, Any], request: MediaRequest) -> list[DataFile]:
    """Return the images, of those that were ordered. Raises `UpstreamError` if there are none."""
    given = mappings(answer.get("data"))[: request.n]
    if not given:
        raise UpstreamError
    return [DataFile(str(each.get("media_type")), media_data.decoded(each.get("b64_json"))) for each in given]


def read_chat(answer: Mapping[str, Any]) -> list[DataFile]:
    """Return the image of a chat's answer. Raises `ContentPolicyViolation` if it was filtered."""
    choices = mappings(answer.get("choices"))
    for choice in choices:
        message = choice.get("message")
        images = mappings(message.get("images")) if isinstance(message, Mapping) else []
        if images:
            link = images[0].get("image_url")
            return [media_data.of_uri(link.get("url") if isinstance(link, Mapping) else None)]
    if any(choice.get("finish_reason") == "content_filter" for choice in choices):
        raise ContentPolicyViolation
    raise UpstreamRefused if choices else UpstreamError
