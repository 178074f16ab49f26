"""Posters of films, made by the real program; and what is no film, or takes too long, has none."""

import random
import re
import struct
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from io import BytesIO

import pytest
from PIL import Image

from storage.poster_program import MAX_SIDE
from storage.posters import MAX_FILM_BYTES, Posters
from tests.support.media_samples import film, picture, sound

SIDES = re.compile(rb"(?<=\x9d\x01\x2a)....", re.DOTALL)
"""In each whole picture of VP8."""
SLOW = (sys.executable, "-c", "import time; time.sleep(600)")
LOUD = (sys.executable, "-c", "print('no picture')")


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), 1000):
        yield content[at : at + 1000]


@pytest.mark.parametrize(
    ("container", "size", "expected"), [("mp4", (64, 48), (64, 48)), ("webm", (1920, 480), (1280, 320))]
)
async def test_a_film_has_a_picture_of_its_shape(
    container: str, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    content = film(0.2, *size, container=container)
    poster = await Posters()(chunks(content), len(content))
    assert poster is not None
    shown = Image.open(BytesIO(poster))
    shown.load()
    assert (shown.format, shown.size) == ("JPEG", expected)


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "no film": b"no film",
    "no end": film(0.2)[:300],
    "a head": film(0.2, container="webm")[:200],
    "a picture": picture(),
    "large sides": SIDES.sub(struct.pack("<HH", 16_383, 16_383), film(0.2, container="webm")),
    "no sides": SIDES.sub(bytes(4), film(0.2, container="webm")),
    "sound alone": sound("ipod", "aac"),
    "another container": sound("wav", "pcm_s16le"),
    "a playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttps://films.example/a.ts\n",
    "a list of files": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    "boxes without end": film(0.2)[:40] + b"\0\0\0\x08free" * 100_000,
    "a box that is too long": b"\0\0\0\x18ftypisom" + bytes(12) + b"\xff\xff\xff\xffmoov" + bytes(9999),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_what_is_no_film_has_no_poster(case: str) -> None:
    content = HOSTILE[case]
    assert await Posters()(chunks(content), len(content)) is None


@pytest.mark.parametrize("container", ["mp4", "webm"])
async def test_a_damaged_film_has_a_poster_or_none(container: str) -> None:
    whole = film(0.2, container=container)
    chance = random.Random(container)
    for _ in range(4):
        damaged = bytearray(whole)
        for _ in range(12):
            damaged[chance.randrange(32, len(damaged))] = chance.randrange(256)
        poster = await Posters()(chunks(bytes(damaged)), len(damaged))
        assert poster is None or max(Image.open(BytesIO(poster)).size) <= MAX_SIDE


FAULTS = {
    "endless": "p.MAX_CPU_SECONDS = 1; p.jpeg = lambda film: [None for _ in iter(int, 1)]",
    "large": "p.MAX_MEMORY_BYTES = 2**29; p.jpeg = lambda film: PICTURE + bytearray(2**30)",
    "file": "p.jpeg = lambda film: PICTURE + open('/etc/passwd', 'rb').read()",
    "network": "p.jpeg = lambda film: PICTURE + bytes([socket.socket().fileno()])",
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_program_ends_with_its_limits(fault: str) -> None:
    """A decoder that was taken over has no more than they allow. Without the fault, the program answers."""
    begin = f"import socket, storage.poster_program as p; PICTURE = {picture(form='JPEG')!r}"
    for script, answers in ((FAULTS[fault], False), ("p.jpeg = lambda film: PICTURE", True)):
        posters = Posters(sys.executable, "-c", f"{begin}; {script}; p.main()")
        assert (await posters(chunks(b"x"), 1) is not None) is answers


@pytest.mark.parametrize("program", [SLOW, LOUD], ids=["slow", "loud"])
async def test_a_program_that_fails_is_no_fault_of_the_job(program: tuple[str, ...]) -> None:
    assert await Posters(*program, timeout=timedelta(seconds=0.5))(chunks(b"x"), 1) is None


async def test_a_large_film_is_not_read() -> None:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError
        yield b""

    assert await Posters()(unread(), MAX_FILM_BYTES + 1) is None
