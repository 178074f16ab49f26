"""A size in pixels, for a model whose videos have a resolution and an aspect ratio instead."""

from collections.abc import Mapping

from domain.errors import RequestInvalid
from domain.media_schema import MediaSchema

RESOLUTION, RATIO = "resolution", "aspect_ratio"
LINES = {"480p": 480, "720p": 720, "1080p": 1080, "4k": 2160}
"""The shorter side."""


def of(schema: MediaSchema) -> Mapping[str, Mapping[str, str]]:
    """Return what each size means for the model. Empty: it has a size of its own, or nothing that tells one."""
    if "size" in schema.parameters or not {RESOLUTION, RATIO} <= schema.parameters.keys():
        return {}
    sizes = dict[str, Mapping[str, str]]()
    for resolution in schema.parameters[RESOLUTION].enum:
        for ratio in schema.parameters[RATIO].enum:
            across, _, down = str(ratio).partition(":")
            if str(resolution) in LINES and across.isdigit() and down.isdigit():
                size = _pixels(LINES[str(resolution)], int(across), int(down))
                sizes[size] = {RESOLUTION: str(resolution), RATIO: str(ratio)}
    return sizes


def _pixels(lines: int, across: int, down: int) -> str:
    """The longer side is even, as that of every film: 854x480."""
    longer = 2 * round(lines * max(across, down) / min(across, down) / 2)
    return f"{longer}x{lines}" if across > down else f"{lines}x{longer}"


def translated(schema: MediaSchema, size: str, given: Mapping[str, object]) -> Mapping[str, object]:
    """Return the parameters with what the size means. Raises `RequestInvalid` for one that the model does not make."""
    meaning = of(schema).get(size)
    if meaning is None:
        raise RequestInvalid(f"'size' must be one of {', '.join(of(schema))}.", param="size", code="invalid_value")
    for name, value in meaning.items():
        if given.get(name, value) != value:
            raise RequestInvalid(f"'size' contradicts '{name}'.", param="size", code="invalid_value")
    return {**given, **meaning}
