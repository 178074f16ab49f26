"""Renders shared pages in programs of their own, which are ended when they take too long; and remembers what they gave.

A page is written by anybody and read by everybody: its Markdown and its code must not take the interpreter from calls.
"""

import sys
from collections import OrderedDict
from collections.abc import Sequence

from domain.errors import ServiceUnavailable
from programs import child

PROGRAM = (sys.executable, "-m", "web.document")
PLAIN = "plain"
MAX_REMEMBERED_BYTES = 32 * 1024 * 1024


async def render(page: bytes, program: Sequence[str] = PROGRAM) -> bytes:
    """Return the document of a page, with gzip. A page that takes too much computing is shown without its Markdown.

    Raises `ServiceUnavailable`. The program ends when the caller is cancelled.
    """
    shown = await child.answer(program, page) or await child.answer((*program, PLAIN), page)
    if not shown:
        raise ServiceUnavailable
    return shown


class Renderings:
    """The pages that were read last, sealed: a purged page is not readable in memory either."""

    def __init__(self, max_bytes: int = MAX_REMEMBERED_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._sealed: OrderedDict[bytes, bytes] = OrderedDict()

    def get(self, digest: bytes) -> bytes | None:
        sealed = self._sealed.get(digest)
        if sealed is not None:
            self._sealed.move_to_end(digest)
        return sealed

    def put(self, digest: bytes, sealed: bytes) -> None:
        """Remember a page, and forget those that were not read for the longest time."""
        self._bytes += len(sealed) - len(self._sealed.pop(digest, b""))
        self._sealed[digest] = sealed
        while self._bytes > self._max_bytes:
            _, oldest = self._sealed.popitem(last=False)
            self._bytes -= len(oldest)
