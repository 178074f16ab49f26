"""The length of a WAV file whose samples are not compressed: by the bytes of its sound, and nothing else."""

import struct
from collections.abc import Iterator
from fractions import Fraction

MAX_CHUNKS = 4096
"""Of a file. One with more is not measured here."""
_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_FIXED = {_PCM, _FLOAT, _ALAW, _MULAW}
_SOUND = (b"data", b"")
_BEGIN = 12
_HEAD = 8


def seconds(content: bytes) -> Fraction | None:
    """Return the length. None for samples that are compressed, and for what is no WAV file.

    A size in the head that says less than there is, is believed only as far as other chunks follow.
    """
    rate, sound = 0, 0
    for number, (name, start, end) in enumerate(_chunks(content)):
        if number >= MAX_CHUNKS or (name == b"fmt " and rate):
            return None
        if name == b"fmt ":
            rate = _bytes_per_second(content[start:end])
        elif name in _SOUND:
            sound += end - start
    return Fraction(sound, rate) if rate else None


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, the begin and the end of each chunk. What is no chunk is one with an empty name, to the end."""
    at = _BEGIN
    while len(content) - at > _HEAD:
        name, size = struct.unpack_from("<4sI", content, at)
        if not all(32 <= letter < 127 for letter in name):
            yield b"", at, len(content)
            return
        start = at + _HEAD
        size = size or (len(content) if name == b"data" else 0)  # a recorder that was cut off wrote none
        yield name, start, min(start + size, len(content))
        at = start + size + size % 2


def _bytes_per_second(head: bytes) -> int:
    """Return what a second takes; 0 for samples that are compressed. The rate of bytes in the head is not believed."""
    if len(head) < 16:
        return 0
    form, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", head)
    if form == _EXTENSIBLE and len(head) >= 26:
        (form,) = struct.unpack_from("<H", head, 24)
    return int(rate * channels * ((bits + 7) // 8)) if form in _FIXED else 0
