"""Posters of films, made by the real program; and what is no film, or takes too long, has none."""

import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from io import BytesIO

import pytest
from PIL import Image

from storage.posters import MAX_FILM_BYTES, Posters
from tests.support.media_samples import film, picture

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


@pytest.mark.parametrize("content", [b"", b"no film", picture()[:40], film(0.2)[:300]])
async def test_what_is_no_film_has_no_poster(content: bytes) -> None:
    assert await Posters()(chunks(content), len(content)) is None


@pytest.mark.parametrize("program", [SLOW, LOUD], ids=["slow", "loud"])
async def test_a_program_that_fails_is_no_fault_of_the_job(program: tuple[str, ...]) -> None:
    assert await Posters(*program, timeout=timedelta(seconds=0.5))(chunks(b"x"), 1) is None


async def test_a_large_film_is_not_read() -> None:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError
        yield b""

    assert await Posters()(unread(), MAX_FILM_BYTES + 1) is None
