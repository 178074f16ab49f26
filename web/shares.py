"""`GET /c/<slug>`: a shared page. No script, no cookie, no image of somebody else, no trace of who looks."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import orjson
from starlette.responses import Response, StreamingResponse

from domain.errors import RateLimited, ServiceUnavailable
from gateway.fair_turns import FairTurns
from gateway.shares import PageContent, Published, Shares
from web import pages, templating
from web.rendering import Renderings, render

MAX_RUNNING = 1
"""Pages that a process renders at a time."""
MAX_WAITING = 32
"""Different pages of one account that wait for that. More are answered with 503."""
TIMEOUT_SECONDS = 20.0
"""How long a page waits for its turn and is rendered, before it is answered with 503."""
_RETRY = {"retry-after": "2", "refresh": "5"}
"""A browser loads the page again by itself."""
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class SharedPages:
    """Shows shared pages. Whoever reads a page first has it rendered, a bounded number at a time; others who come at
    the same moment share that rendering. Each of them has found the page alive in the database.
    """

    shares: Shares
    contact: str | None
    """Of the operator: an e-mail address, or a link."""
    render: Callable[[bytes], Awaitable[bytes]] = render
    turns: FairTurns = field(default_factory=lambda: FairTurns(MAX_RUNNING, MAX_WAITING))
    renderings: Renderings = field(default_factory=Renderings, repr=False)
    _under_way: dict[bytes, asyncio.Task[bytes | None]] = field(default_factory=dict, repr=False)

    async def answer(self, slug: str, *, gzip: bool) -> Response:
        """Return the page. `gzip`: the reader takes it compressed."""
        try:
            page = await self.shares.published(slug)
            packed = None if page is None else await self._packed(page)
        except (ServiceUnavailable, RateLimited, TimeoutError):
            return pages.answer(templating.html("unavailable.html", {"contact": None}), status=503, headers=_RETRY)
        return missing() if packed is None else _shown(packed, gzip=gzip)

    async def _packed(self, page: Published) -> bytes | None:
        if (sealed := self.renderings.get(page.digest)) is not None:
            return page.open(sealed)
        under_way = self._under_way.get(page.digest)
        if under_way is None:
            under_way = self._under_way[page.digest] = asyncio.create_task(self._rendered(page), name="shared page")
            under_way.add_done_callback(partial(self._ended, page.digest))
        return await asyncio.shield(under_way)

    async def _rendered(self, page: Published) -> bytes | None:
        async with asyncio.timeout(TIMEOUT_SECONDS), self.turns.turn(page.owner):
            content = await self.shares.content(page)
            if content is None:
                return None
            packed = await self.render(self._written(page, content))
        self.renderings.put(page.digest, page.seal(packed))
        return packed

    def _written(self, page: Published, content: PageContent) -> bytes:
        """Write what `web/document.py` reads."""
        return orjson.dumps(
            {
                "heading": orjson.Fragment(content.heading),
                "messages": orjson.Fragment(content.messages),
                "created_at": page.created_at,
                "operator": self.contact,
            }
        )

    def _ended(self, digest: bytes, task: asyncio.Task[bytes | None]) -> None:
        self._under_way.pop(digest, None)
        if not task.cancelled():
            task.exception()  # whoever waits gets it: nobody may


def missing() -> Response:
    """The page of every address that has none, whatever the reason."""
    return pages.answer(templating.html("missing.html", {"contact": None}), status=404)


def _shown(packed: bytes, *, gzip: bool) -> Response:
    vary = {"vary": "accept-encoding"}
    if gzip:
        return pages.answer(packed, headers={"content-encoding": "gzip", **vary})
    size = int.from_bytes(packed[-4:], "little")  # RFC 1952: the length before compression
    headers = {**pages.STILL_PAGE, "content-length": str(size), **vary}
    return StreamingResponse(_unpacked(packed), 200, headers, pages.HTML)


async def _unpacked(packed: bytes) -> AsyncIterator[bytes]:
    """Give pieces, so that a slow reader does not occupy the memory of a whole document."""
    unpacking = zlib.decompressobj(wbits=31)
    while not unpacking.eof:
        yield unpacking.decompress(packed, _PIECE)
        packed = unpacking.unconsumed_tail
