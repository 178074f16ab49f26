"""Reads what a file says of itself: the size of a picture, the length of a recording. Nothing is decoded.

The libraries go through a file step by step. One that was made for it would have them take millions of steps.
"""

from io import BytesIO

import imagesize  # type: ignore[import-untyped]  # it comes without types
from tinytag import TinyTag, TinyTagException

from domain.media_files import ACCEPTED, IMAGES, FileFacts
from storage import sniff, waves

_PCM = "audio/wav"
MAX_READS = 50_000
"""Of one file. A picture takes a few, an hour of Ogg some thousands."""


class _Steps(BytesIO):
    """A file that is read a bounded number of times. Raises `ValueError` after that."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise ValueError
        return super().read(size)


def read(content: bytes) -> FileFacts | None:
    """Return what a file is. None if it is no image, video or sound that is taken."""
    content_type = sniff.content_type(content[: sniff.FIRST])
    if content_type not in ACCEPTED:
        return None
    if content_type in IMAGES:
        return FileFacts(content_type, *_size(content))
    return FileFacts(content_type, seconds=_seconds(content, content_type))


def _size(content: bytes) -> tuple[int | None, int | None]:
    try:
        width, height = imagesize.get(_Steps(content))
    except Exception:  # a parser of foreign bytes: whatever it raises, the size is not known
        return None, None
    return (int(width), int(height)) if width > 0 and height > 0 else (None, None)


def _seconds(content: bytes, content_type: str) -> float | None:
    """Return the length as the head has it. Prices never follow it: see `storage.lengths`."""
    if content_type == _PCM and (exact := waves.seconds(content)):
        return float(exact)
    try:
        tag = TinyTag.get(file_obj=_Steps(content), tags=False)
    except (TinyTagException, Exception):  # as above
        return None
    return tag.duration if tag.duration and tag.duration > 0 else None
