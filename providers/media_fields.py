"""What queues of many models have in common: our parameters and input files, in the words of each family of models.

The tables are closed. A parameter, size or file that a family does not take is an `UpstreamRefused`: it is never left
out in silence, since it may be what the caller pays for.
"""

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, TypeVar

from domain.errors import UpstreamRefused
from domain.media import Kind, MediaInput, MediaRequest
from domain.records import record

Fields = dict[str, Any]
RATIOS = ((1, 1), (16, 9), (9, 16), (4, 3), (3, 4), (3, 2), (2, 3), (21, 9), (9, 21), (4, 5), (5, 4))
RATIO_TOLERANCE = 0.02
"""854x480 is called 16:9."""
AUTO = "auto"
"""A value by which a caller leaves the choice to the model: nothing is sent."""


def as_object(width: int, height: int) -> Fields:
    return {"image_size": {"width": width, "height": height}}


def as_sides(width: int, height: int) -> Fields:
    return {"width": width, "height": height}


def as_custom(width: int, height: int) -> Fields:
    return {"aspect_ratio": "custom", "width": width, "height": height}


def as_ratio(width: int, height: int) -> Fields:
    return {"aspect_ratio": _ratio(width, height)}


def as_ratio_and_k(width: int, height: int) -> Fields:
    """The longer side in thousands of pixels: 1K, 2K or 4K."""
    thousands = max(1, max(width, height) // 1024)
    if thousands not in (1, 2, 4):
        raise UpstreamRefused
    return as_ratio(width, height) | {"resolution": f"{thousands}K"}


def as_ratio_and_lines(width: int, height: int) -> Fields:
    """The shorter side in lines: 480p, 720p, 1080p or 4k."""
    lines = {480: "480p", 720: "720p", 1080: "1080p", 2160: "4k"}.get(min(width, height))
    if lines is None:
        raise UpstreamRefused
    return as_ratio(width, height) | {"resolution": lines}


def _ratio(width: int, height: int) -> str:
    for across, down in RATIOS:
        if math.isclose(width / height, across / down, rel_tol=RATIO_TOLERANCE):
            return f"{across}:{down}"
    raise UpstreamRefused


def same(*names: str) -> dict[str, str]:
    return dict(zip(names, names, strict=True))


SAME_NAMES = same(
    *("aspect_ratio", "resolution", "quality", "style", "background", "seed", "negative_prompt"),
    *("output_format", "output_compression", "generate_audio"),
)
"""Parameters that most models know by the names that they have here."""


@record
class Dialect:
    """How a family of models is asked."""

    text: str = "prompt"
    count: str | None = None
    """The field with the number of outputs. None: a request makes one."""
    size: Callable[[int, int], Fields] | None = None
    seconds: tuple[str, str] | None = None
    """The field with the length, and its format. An empty format is a number."""
    names: Mapping[str, str] = field(default_factory=lambda: SAME_NAMES)

    def fields(self, request: MediaRequest) -> Fields:
        """Return the request without its files."""
        written: Fields = {self.text: request.prompt}
        for name, value in request.parameters.items():
            if value is not None and value != AUTO:
                written |= self._field(request, name, value)
        if request.n != 1:
            if self.count is None:
                raise UpstreamRefused
            written[self.count] = request.n
        return written

    def _field(self, request: MediaRequest, name: str, value: Any) -> Fields:
        match name:
            case "n":
                return {}
            case "size" if self.size and request.width and request.height:
                return self.size(request.width, request.height)
            case "seconds" if self.seconds and request.seconds:
                field_name, form = self.seconds
                return {field_name: form.format(request.seconds) if form else _plain(request.seconds)}
            case _ if name in self.names:
                return {self.names[name]: value}
        raise UpstreamRefused


def _plain(seconds: float) -> int | float:
    return int(seconds) if seconds == int(seconds) else seconds


@record
class ModelFamily:
    """Models whose names begin alike."""

    prefix: str
    dialect: Dialect


Family = TypeVar("Family", bound=ModelFamily)


def family_of(request: MediaRequest, families: Sequence[Family], others: Mapping[Kind, Family]) -> Family:
    """Return the family of the request's model, or that of what it makes. Raises `UpstreamRefused` without one."""
    for family in families:
        if request.model.startswith(family.prefix):
            return family
    if request.kind not in others:
        raise UpstreamRefused
    return others[request.kind]


def files(inputs: Sequence[MediaInput], names: Mapping[str, str]) -> Fields:
    """Return the files as data URIs. A name that ends in `[]` takes a list of them."""
    written: Fields = {}
    for given in inputs:
        name = names.get(given.role, "")
        several = name.endswith("[]")
        name = name.removesuffix("[]")
        if not name or (name in written and not several):
            raise UpstreamRefused
        encoded = base64.b64encode(given.content).decode()
        uri = f"data:{given.content_type};base64,{encoded}"
        written[name] = [*written.get(name, []), uri] if several else uri
    return written
