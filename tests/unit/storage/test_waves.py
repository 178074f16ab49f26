"""The length of a WAV file by the bytes of its sound: what a head says too little, and what is no sound."""

import struct
from fractions import Fraction

import pytest

from storage import waves
from tests.support.media_samples import SECONDS, sound

RATE = 8000
FORMAT = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, RATE * 2, 2, 16)
LONG = struct.pack("<HHIIHH", 0xFFFE, 2, RATE, 1, 1, 24) + struct.pack("<HHIH", 22, 24, 3, 1) + bytes(14)
SECOND = bytes(RATE * 2)
MP3 = b"fmt " + struct.pack("<IHHIIHH", 16, 0x55, 1, RATE, 1000, 1, 0)


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(content) if size is None else size) + content


def wav(*chunks: bytes) -> bytes:
    return b"RIFF\0\0\0\0WAVE" + b"".join(chunks)


@pytest.mark.parametrize(
    ("chunks", "seconds"),
    [
        ((FORMAT, chunk(b"data", SECOND)), 1),
        ((FORMAT, chunk(b"LIST", b"INFOISFT of an encoder"), chunk(b"data", SECOND)), 1),
        ((FORMAT, chunk(b"data", SECOND), chunk(b"LIST", b"tags")), 1),
        ((FORMAT, chunk(b"data", SECOND), chunk(b"id3 ", b"t"), b"\0", chunk(b"data", SECOND)), 2),
        ((FORMAT, chunk(b"data", SECOND * 3, 100)), 3),
        ((FORMAT, chunk(b"data", SECOND * 3, 0)), 3),
        ((FORMAT, chunk(b"data", SECOND * 3, 2**32 - 1)), 3),
        ((chunk(b"fmt ", LONG), chunk(b"data", bytes(RATE * 6))), 1),
        ((FORMAT, FORMAT, chunk(b"data", SECOND)), None),
        ((MP3, chunk(b"data", SECOND)), None),
        ((chunk(b"data", SECOND),), None),
        ((FORMAT, *[chunk(b"JUNK", b"")] * 5000, chunk(b"data", SECOND)), None),
        ((), None),
    ],
)
def test_sound_is_counted_and_nothing_else(chunks: tuple[bytes, ...], seconds: Fraction | None) -> None:
    assert waves.seconds(wav(*chunks)) == seconds


@pytest.mark.parametrize(("codec", "rate"), [("pcm_s16le", 44_100), ("pcm_s24le", 48_000), ("pcm_mulaw", 8000)])
def test_a_real_file_is_as_long_as_it_is(codec: str, rate: int) -> None:
    assert waves.seconds(sound("wav", codec, rate=rate)) == SECONDS
