"""The document of a shared page: a program of its own, `python -m web.document`, so that hostile pages stop nobody.

It reads a page as JSON from its standard input, and writes the document with gzip. It has no secrets, a limited time of
computing, and a low priority.
"""

import gzip
import os
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from markupsafe import Markup

from domain.shares import SharedMessage
from web import templating
from web.budget import Budget
from web.markdown import link, readable, rendered
from web.rendering import PLAIN

UNTITLED = "Shared chat"
MAX_CPU_SECONDS = 4
NICENESS = 5
"""Calls come first. On a machine that is busy with them, a page still gets its turn."""
_ROLES = {
    "system": "System",
    "developer": "Developer",
    "user": "Question",
    "assistant": "Answer",
    "tool": "Tool result",
}


@dataclass(frozen=True, slots=True)
class Page:
    title: str | None = field(repr=False)
    created_at: datetime
    messages: Sequence[SharedMessage] = field(repr=False)
    operator: str | None = field(default=None, repr=False)
    """How to reach the operator: an e-mail address, or a link."""
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """A message, ready for the template."""

    role: str
    heading: str = field(repr=False)
    glyph: str
    html: Markup = field(repr=False)
    images: Sequence[Markup] = field(repr=False)
    omitted: int


def document(page: Page) -> str:
    models = dict.fromkeys(readable(message.model) for message in page.messages if message.model)
    values = {
        "title": readable(page.title or UNTITLED),
        "created_at": page.created_at,
        "day": f"{page.created_at.day} {page.created_at:%B %Y}",
        "models": list(models)[:5],
        "messages": [_shown(message, page.budget) for message in page.messages],
        "contact": contact(page.operator),
    }
    return templating.html("share.html", values)


def _shown(message: SharedMessage, budget: Budget) -> ShownMessage:
    name = readable(message.model) if message.model else _ROLES[message.role]
    return ShownMessage(
        role=message.role,
        heading=name,
        glyph=name[:1].upper(),
        html=Markup(rendered(message.text, budget)),  # noqa: S704  # sanitized
        images=[Markup(link(address, f"Image: {address}")) for address in message.images],  # noqa: S704  # escaped
        omitted=message.omitted,
    )


def contact(operator: str | None) -> dict[str, str] | None:
    """Return how the operator is named, and where a page is reported."""
    if not operator:
        return None
    return {"name": operator, "address": f"mailto:{operator}" if "@" in operator else operator}


def read(written: bytes, budget: Budget) -> Page:
    fields: dict[str, Any] = orjson.loads(written)
    messages = [SharedMessage(**one | {"images": tuple(one["images"])}) for one in fields["messages"]]
    created_at = datetime.fromisoformat(fields["created_at"])
    return Page(fields["heading"]["title"], created_at, messages, fields["operator"], budget)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
    os.nice(NICENESS)
    budget = Budget(characters=0) if PLAIN in sys.argv[1:] else Budget()
    page = read(sys.stdin.buffer.read(), budget)
    sys.stdout.buffer.write(gzip.compress(document(page).encode(), compresslevel=6, mtime=0))


if __name__ == "__main__":
    main()
