"""Posters of films: a picture of the first frame, where the library that decodes films is installed."""

import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator
from datetime import timedelta

from programs import child
from storage import sniff

PROGRAM = (sys.executable, "-m", "storage.poster_program")
CONTENT_TYPE = "image/jpeg"
LIBRARY = "av"
MAX_RUNNING = 2
MAX_FILM_BYTES = 64 * 1024 * 1024
TIMEOUT = timedelta(seconds=20)


class Posters:
    """Makes posters in programs of their own, a few at a time. A film without one is served all the same."""

    def __init__(self, *program: str, timeout: timedelta = TIMEOUT) -> None:
        self._program = program or PROGRAM
        self._available = bool(program) or importlib.util.find_spec(LIBRARY) is not None
        self._running = asyncio.Semaphore(MAX_RUNNING)
        self._timeout = timeout

    async def __call__(self, film: AsyncIterator[bytes], size: int) -> bytes | None:
        """Return a JPEG. None for a film that is large or cannot be decoded, and where the library is not installed."""
        if not self._available or size > MAX_FILM_BYTES:
            return None
        async with self._running:
            content = b"".join([chunk async for chunk in film])
            answer = await child.answer(self._program, content, self._timeout)
        return answer if sniff.content_type(answer[: sniff.FIRST]) == CONTENT_TYPE else None
