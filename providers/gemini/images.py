"""Images of Gemini's models by generateContent: how one is asked for, and what an answer has.

A call makes one image. Models answer with text around it, and with images of their thoughts, which are left out.
"""

import math
from collections.abc import Mapping
from typing import Any

from domain.errors import UpstreamRefused
from domain.media import MediaInput, MediaRequest
from providers.base import MediaSubmission
from providers.gemini import generated
from providers.media_data import DataFile
from providers.media_fields import AUTO

RATIOS = (
    (1, 1),
    (2, 3),
    (3, 2),
    (3, 4),
    (4, 3),
    (4, 5),
    (5, 4),
    (9, 16),
    (16, 9),
    (21, 9),
    (1, 4),
    (4, 1),
    (1, 8),
    (8, 1),
)
SIZES = ((512, "512"), (1024, "1K"), (2048, "2K"), (4096, "4K"))
"""Sides of a square as large as the image, and what Gemini calls them."""
_TOLERANCE = 0.06
"""What Gemini makes for 16:9 has 1344 x 768 pixels: not quite that ratio."""
_ROLES = frozenset({"image", "reference"})


def body(submission: MediaSubmission, index: int) -> dict[str, Any]:
    """Return the body of the call for one image. Raises `UpstreamRefused` for what Gemini has no form for.

    With a seed, each image of a job has a seed of its own: they would be the same otherwise.
    """
    request = submission.request
    config: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
    image: dict[str, Any] = {}
    for name, value in request.parameters.items():
        if value is None or value == AUTO or name == "n":
            continue
        if name == "seed" and isinstance(value, int):
            config["seed"] = value + index
        else:
            image |= _image_field(request, name, value)
    if image:
        config["imageConfig"] = image
    parts = [*(_part(given) for given in submission.inputs), {"text": request.prompt}]
    return {"contents": [{"role": "user", "parts": parts}], "generationConfig": config}


def _image_field(request: MediaRequest, name: str, value: Any) -> dict[str, Any]:
    match name:
        case "size" if request.width and request.height:
            return {"aspectRatio": _ratio(request.width, request.height), "imageSize": _size(request)}
        case "aspect_ratio":
            return {"aspectRatio": value}
        case "resolution":
            return {"imageSize": value}
    raise UpstreamRefused


def _ratio(width: int, height: int) -> str:
    across, down = min(RATIOS, key=lambda ratio: abs(math.log(width / height * ratio[1] / ratio[0])))
    if not math.isclose(width / height, across / down, rel_tol=_TOLERANCE):
        raise UpstreamRefused
    return f"{across}:{down}"


def _size(request: MediaRequest) -> str:
    side = math.sqrt((request.width or 0) * (request.height or 0))
    return min(SIZES, key=lambda size: abs(math.log(side / size[0])))[1]


def _part(given: MediaInput) -> dict[str, Any]:
    if given.role not in _ROLES:
        raise UpstreamRefused
    return generated.inline(given)


def read(answer: Mapping[str, Any]) -> list[DataFile]:
    """Return the images. Raises `ContentPolicyViolation`, or another error of `generated.files`."""
    return generated.files(answer, "image/")
