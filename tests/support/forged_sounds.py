"""Recordings whose heads say less than they have. The sound itself is whole."""

import re
import struct
from collections.abc import Callable, Mapping

from tests.support.media_samples import sound

CLAIMED = 1
"""Seconds, in the heads."""


def mp4(content: bytes) -> bytes:
    """Every length in the tree of boxes, that of each sample too, and an edit list that hides the rest."""
    forged = bytearray(content)
    for name, at in ((b"mvhd", 16), (b"mdhd", 16), (b"tkhd", 20)):
        for match in re.finditer(name, content):
            rate = 1000 if name == b"tkhd" else struct.unpack_from(">I", content, match.end() + 12)[0]
            struct.pack_into(">I", forged, match.end() + at, CLAIMED * rate)
    for match in re.finditer(b"stts", content):
        (entries,) = struct.unpack_from(">I", content, match.end() + 4)
        for entry in range(entries):
            struct.pack_into(">I", forged, match.end() + 12 + entry * 8, 1)
    for match in re.finditer(b"elst", content):
        struct.pack_into(">I", forged, match.end() + 8, CLAIMED * 1000)
    return bytes(forged)


def ogg(content: bytes) -> bytes:
    """The position of each page, with a right checksum."""
    pages = [b"OggS" + page for page in content.split(b"OggS")[1:]]
    return b"".join(_page(page) for page in pages)


def _page(page: bytes) -> bytes:
    (position,) = struct.unpack_from("<q", page, 6)
    forged = bytearray(page)
    struct.pack_into("<qII", forged, 6, min(position, CLAIMED * 48_000), *struct.unpack_from("<II", page, 14))
    struct.pack_into("<I", forged, 22, 0)
    struct.pack_into("<I", forged, 22, _ogg_checksum(bytes(forged)))
    return bytes(forged)


def _ogg_checksum(page: bytes) -> int:
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


def flac(content: bytes) -> bytes:
    """The number of samples, of 36 bits."""
    forged = bytearray(content)
    forged[21] &= 0xF0
    struct.pack_into(">I", forged, 22, CLAIMED * 48_000)
    return bytes(forged)


def webm(content: bytes) -> bytes:
    """The length, a float of 8 bytes in milliseconds."""
    at = content.index(b"\x44\x89\x88") + 3
    return content[:at] + struct.pack(">d", CLAIMED * 1000) + content[at + 8 :]


def mp3(content: bytes) -> bytes:
    """The number of frames and of bytes in the head of the encoder."""
    at = re.search(b"Info|Xing", content).end() + 4  # type: ignore[union-attr]  # the encoder writes one
    return content[:at] + struct.pack(">II", 40, 4000) + content[at + 8 :]


def wav(content: bytes) -> bytes:
    """The size of the sound."""
    at = content.index(b"data") + 4
    return content[:at] + struct.pack("<I", CLAIMED * 96_000) + content[at + 4 :]


def flac_in_id3() -> bytes:
    """A head of MP3 before another format: who reads the head alone finds no frame."""
    return b"ID3\x04\0\0\0\0\0\x0a" + b"\0" * 10 + sound("flac", "flac")


FORGERIES: Mapping[str, tuple[str, str, Callable[[bytes], bytes]]] = {
    "m4a": ("ipod", "aac", mp4),
    "mp4": ("mp4", "aac", mp4),
    "ogg": ("ogg", "libopus", ogg),
    "flac": ("flac", "flac", flac),
    "webm": ("webm", "libopus", webm),
    "mp3": ("mp3", "libmp3lame", mp3),
    "wav": ("wav", "pcm_s16le", wav),
}
"""By a name: the container, the codec, and who forges it."""
