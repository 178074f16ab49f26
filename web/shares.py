"""`GET /c/<slug>`: a shared page. No script, no cookie, no image of somebody else, no trace of who looks."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from markupsafe import Markup
from starlette.responses import Response

from domain.errors import RateLimited, ServiceUnavailable
from domain.shares import SharedMessage
from gateway.fair_turns import FairTurns
from gateway.shares import Published, Shares
from web import pages
from web.budget import Budget
from web.markdown import link, readable, rendered

UNTITLED = "Shared chat"
MAX_RUNNING = 1
"""Pages that a process renders at a time."""
MAX_WAITING = 8
"""Different pages of one account that wait for that. More are answered with 503."""
_ROLES = {
    "system": "System",
    "developer": "Developer",
    "user": "Question",
    "assistant": "Answer",
    "tool": "Tool result",
}
_RETRY = {"retry-after": "2"}


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """A message, ready for the template."""

    role: str
    heading: str = field(repr=False)
    glyph: str
    html: Markup = field(repr=False)
    images: Sequence[Markup] = field(repr=False)
    omitted: int


@dataclass(frozen=True, slots=True)
class SharedPages:
    """Renders shared pages, a bounded number at a time. Nothing is saved: readers of one page who come at the same
    moment share one rendering, and each of them has found the page alive in the database.
    """

    shares: Shares
    contact: str | None
    """Of the operator: an e-mail address, or a link."""
    turns: FairTurns = field(default_factory=lambda: FairTurns(MAX_RUNNING, MAX_WAITING))
    _under_way: dict[bytes, asyncio.Task[str]] = field(default_factory=dict, repr=False)

    async def answer(self, slug: str) -> Response:
        try:
            page = await self.shares.published(slug)
            if page is None:
                return missing()
            return pages.answer(await self._rendered(page))
        except (ServiceUnavailable, RateLimited):
            return pages.answer(pages.html("unavailable.html", {"contact": None}), status=503, headers=_RETRY)

    async def _rendered(self, page: Published) -> str:
        under_way = self._under_way.get(page.digest)
        if under_way is None:
            work = self.turns.run(page.owner, partial(document, page, self.contact))
            under_way = self._under_way[page.digest] = asyncio.create_task(work, name="shared page")
            under_way.add_done_callback(partial(self._ended, page.digest))
        return await asyncio.shield(under_way)

    def _ended(self, digest: bytes, task: asyncio.Task[str]) -> None:
        self._under_way.pop(digest, None)
        if not task.cancelled():
            task.exception()  # whoever waits gets it: nobody may


def missing() -> Response:
    """The page of every address that has none, whatever the reason."""
    return pages.answer(pages.html("missing.html", {"contact": None}), status=404)


def document(page: Published, operator: str | None, budget: Budget | None = None) -> str:
    """Render a page. It takes a while: not on the event loop."""
    budget = budget or Budget()
    models = dict.fromkeys(readable(message.model) for message in page.messages if message.model)
    values = {
        "title": readable(page.title or UNTITLED),
        "created_at": page.created_at,
        "day": _day(page.created_at),
        "models": list(models)[:5],
        "messages": [_shown(message, budget) for message in page.messages],
        "contact": contact(operator),
    }
    return pages.html("share.html", values)


def _shown(message: SharedMessage, budget: Budget) -> ShownMessage:
    name = readable(message.model) if message.model else _ROLES[message.role]
    return ShownMessage(
        role=message.role,
        heading=name,
        glyph=name[:1].upper(),
        html=Markup(rendered(message.text, budget, breaks=message.role != "assistant")),  # noqa: S704  # sanitized
        images=[Markup(link(address, f"Image: {address}")) for address in message.images],  # noqa: S704  # escaped
        omitted=message.omitted,
    )


def contact(operator: str | None) -> dict[str, str] | None:
    """Return how the operator is named, and where a page is reported."""
    if not operator:
        return None
    return {"name": operator, "address": f"mailto:{operator}" if "@" in operator else operator}


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"
