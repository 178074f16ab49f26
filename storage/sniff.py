"""Finds the content type of a file by its first bytes. A browser never gets the type that a provider claims."""

import re

FIRST = 64
"""The number of bytes that `content_type` needs."""

CONTENT_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    "pcm": "audio/pcm",
}
"""Content types by file name extension. Raw PCM cannot be recognised by its bytes."""

# Brands of an MP4 that browsers play; QuickTime, HEIC and AVIF share the box but are something else.
_VIDEO_BRANDS = rb"isom|iso[2-9a]|mp4[12]|avc1|dash|msdh|M4V |MSNV|3gp[4-6]|cmf[cs2]"

_MAGIC = tuple(
    (re.compile(pattern, re.DOTALL), content_type)
    for pattern, content_type in (
        (rb"\x89PNG\r\n\x1a\n", "image/png"),
        (rb"\xff\xd8\xff", "image/jpeg"),
        (rb"RIFF....WEBPVP8", "image/webp"),
        (rb"GIF8[79]a", "image/gif"),
        (rb"....ftyp(?:" + _VIDEO_BRANDS + rb")", "video/mp4"),
        (rb"....ftypM4A ", "audio/mp4"),
        (rb"\x1aE\xdf\xa3.{0,40}\x42\x82.webm", "video/webm"),
        (rb"RIFF....WAVE", "audio/wav"),
        (rb"OggS\x00", "audio/ogg"),
        (rb"fLaC", "audio/flac"),
        (rb"ID3[\x02-\x04]", "audio/mpeg"),
        # A frame's 11 sync bits; then the layer: 00 is ADTS, 01 is MP3's. Bit rate 15 and sampling 3 do not exist.
        (rb"\xff[\xf0\xf1\xf8\xf9]", "audio/aac"),
        (rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]", "audio/mpeg"),
    )
)


def content_type(first_bytes: bytes) -> str | None:
    """Return the type of a file that begins with `first_bytes`, or None if it is no media type that we serve."""
    for pattern, media_type in _MAGIC:
        if pattern.match(first_bytes):
            return media_type
    return None


def by_extension(key: str) -> str:
    """Return the content type for the extension of a key."""
    return CONTENT_TYPES.get(key.rpartition(".")[2].lower(), "application/octet-stream")
