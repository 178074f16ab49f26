"""Files that callers send for media jobs: what a role takes, how large they may be, and what is known of one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from uuid import UUID

from domain.records import record

MIB = 1024 * 1024
FORM_MARGIN_BYTES = MIB
"""What a form has beside its largest file."""
IMAGES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})
VIDEOS = frozenset({"video/mp4", "video/webm"})
SOUNDS = frozenset({"audio/mpeg", "audio/wav", "audio/ogg", "audio/flac", "audio/aac", "audio/mp4"})
ACCEPTED = IMAGES | VIDEOS | SOUNDS
ROLES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "image": IMAGES,
        "mask": IMAGES,
        "first_frame": IMAGES,
        "last_frame": IMAGES,
        "reference": IMAGES,
        "audio": SOUNDS | VIDEOS,
        "video": VIDEOS,
    }
)
"""The content types that each role takes, where a model's schema does not say less. A film has a sound track."""
UPLOAD_PREFIX = "upload_"


@record
class FileFacts:
    """What a file says of itself in its head. Nothing of it is decoded."""

    content_type: str
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    """Of a recording. None: the file does not say."""


@dataclass(frozen=True, slots=True)
class FileLimits:
    max_image_bytes: int = 20 * MIB
    max_audio_bytes: int = 25 * MIB
    max_video_bytes: int = 50 * MIB
    max_pixels: int = 50_000_000
    """Of a picture, decoded: a small file may claim to be a huge one."""

    def max_bytes(self, content_type: str) -> int:
        match content_type.partition("/")[0]:
            case "image":
                return self.max_image_bytes
            case "audio":
                return self.max_audio_bytes
        return self.max_video_bytes

    @property
    def largest(self) -> int:
        return max(self.max_image_bytes, self.max_audio_bytes, self.max_video_bytes)

    @property
    def largest_body(self) -> int:
        """Bytes of a request that is a file, or a form with files."""
        return self.largest + FORM_MARGIN_BYTES

    def problem(self, facts: FileFacts, size: int) -> str | None:
        """Return what is wrong with a file of so many bytes, or None."""
        limit = self.max_bytes(facts.content_type)
        if size > limit:
            return f"has {size:,} bytes; a file of type {facts.content_type} may have {limit:,}"
        if facts.content_type in IMAGES:
            if facts.width is None or facts.height is None:
                return "is a picture without a size that can be read"
            if facts.width * facts.height > self.max_pixels:
                return f"is a picture of {facts.width}x{facts.height}; it may have {self.max_pixels:,} pixels"
        return None


@record
class MediaFile:
    """A file with what is known of it."""

    facts: FileFacts
    content: bytes = field(repr=False)


def upload_name(upload_id: UUID) -> str:
    """Return the public id of an upload."""
    return f"{UPLOAD_PREFIX}{upload_id.hex}"


def upload_id(name: str) -> UUID | None:
    """Return the id behind a public one. None for what cannot be one."""
    digits = name.removeprefix(UPLOAD_PREFIX)
    if not name.startswith(UPLOAD_PREFIX) or len(digits) != 32 or not digits.isalnum() or digits != digits.lower():
        return None
    try:
        return UUID(hex=digits)
    except ValueError:
        return None
