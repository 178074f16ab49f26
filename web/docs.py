"""The guide and the API's reference: for everybody, with this server's address in their examples.

What is read and rendered once is done beside the event loop: calls come first.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache

import orjson
from markupsafe import Markup
from starlette.responses import Response

from web import guide, guide_markdown, reference
from web.api import Fault
from web.pages import GUARDS
from web.reference import Operation
from web.visit import Page, Visit

SEARCH_CHARACTERS = 100
MAX_WORDS = 8
"""Of a search: anybody may ask, and each word is looked for in all of the docs."""
MAX_MATCHES = 40
_EXCERPT_CHARACTERS = 180
_BEFORE_WORD = 45
"""Characters of an excerpt before its word."""
_SECTION_LEVEL = 2
"""Of the headings that a page's list of contents has."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A place in the guide or in the reference."""

    kind: str
    name: str
    note: str
    address: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Match:
    goal: Goal
    excerpt: str = field(repr=False)
    """What stands around the first of the words."""


async def index(visit: Visit) -> Response:
    words = visit.request.query_params.get("q", "")[:SEARCH_CHARACTERS]
    groups = {group: [one for one in guide.topics().values() if one.group == group] for group in guide.GROUPS}
    matches = await asyncio.to_thread(_search, words) if words.split() else None
    return visit.render("docs.html", {"groups": groups, "q": words, "matches": matches, "tags": reference.TAGS})


async def topic(visit: Visit) -> Response:
    known = guide.topics().get(visit.request.url.path)
    if known is None:
        raise Fault(404, "There is no such page in the guide.")
    shown = await asyncio.to_thread(guide.rendered, known, visit.api.server.public_url)
    before, after = guide.neighbours(known)
    values = {
        "topic": known,
        "html": shown.html,
        "sections": [section for section in guide.sections(known) if section.id and section.level == _SECTION_LEVEL],
        "key": await _key(visit) if shown.uses_key else None,
        "uses_key": shown.uses_key,
        "before": before,
        "after": after,
    }
    return visit.render("docs-topic.html", values)


async def api(visit: Visit) -> Response:
    known = await asyncio.to_thread(reference.load)
    return visit.render("docs-api.html", {"reference": known, "tags": reference.TAGS})


async def tag(visit: Visit) -> Response:
    name = visit.request.path_params["tag"]
    if name not in reference.TAGS:
        raise Fault(404, "There is no such part of the API.")
    known, server = await asyncio.to_thread(reference.load), visit.api.server.public_url
    operations = known.of(name)
    values = {
        "tag": name,
        "about": reference.TAGS[name],
        "tags": reference.TAGS,
        "operations": list(zip(operations, _calls(name, server), strict=True)),
        "objects": known.objects(operations),
        "errors": _errors(operations),
        "marked": reference.marked,
        "key": await _key(visit),
    }
    return visit.render("docs-operations.html", values)


async def places(visit: Visit) -> Response:
    """List what *Jump to* finds."""
    goals = await asyncio.to_thread(_goals)
    listed = [{"kind": one.kind, "name": one.name, "note": one.note, "href": one.address} for one in goals]
    headers = GUARDS | {"cache-control": "private, max-age=300"}
    return Response(orjson.dumps({"data": listed}), headers=headers, media_type="application/json")


async def _key(visit: Visit) -> str | None:
    """Return the name of a key of the account that works. Never its token: nobody has that but its owner."""
    if visit.account is None:
        return None
    keys = (await visit.get("/api/chat/keys/"))["data"]
    return next((f"{key['name']} ({key['masked']})" for key in keys if key["revoked_at"] is None), None)


def _errors(operations: Sequence[Operation]) -> dict[str, list[str]]:
    """Return what each status means: more than one thing, if operations differ."""
    pairs = dict.fromkeys((status, meaning) for one in operations for status, meaning in one.errors.items())
    return {status: [meaning for other, meaning in pairs if other == status] for status, _ in sorted(pairs)}


@cache
def _calls(tag: str, server: str) -> list[Markup]:
    """Write a call of each operation of a tag."""
    known = reference.load().of(tag)
    blocks = [guide_markdown.block(f"call-{one.id}", "sh", reference.curl(one, server)) for one in known]
    return [Markup(block) for block in blocks]  # noqa: S704  # escaped where they were made


@cache
def _goals() -> list[Goal]:
    return [*_guide_goals(), *_operation_goals()]


def _guide_goals() -> Iterator[Goal]:
    for one in guide.topics().values():
        for section in guide.sections(one):
            name = section.heading or one.title
            address = f"{one.address}#{section.id}" if section.id else one.address
            yield Goal("Docs", name, one.title if section.id else one.about, address, section.text)


def _operation_goals() -> Iterator[Goal]:
    for operation in reference.load().operations:
        name = f"{operation.method} {operation.path}"
        yield Goal("API", name, operation.summary, operation.address, operation.about.striptags())


@cache
def _searched() -> list[tuple[Goal, str, str]]:
    """Return each place with its name, and with all of its words, in small letters."""
    named = [(goal, f"{goal.name} {goal.note}".lower()) for goal in _goals()]
    return [(goal, name, f"{name} {goal.text.lower()}") for goal, name in named]


def _search(words: str) -> list[Match]:
    """Return the places that have all of the words: first those that have them in their names."""
    wanted = list(dict.fromkeys(words.lower().split()))[:MAX_WORDS]
    fits = [(goal, name) for goal, name, text in _searched() if all(word in text for word in wanted)]
    fits.sort(key=lambda fit: not all(word in fit[1] for word in wanted))
    return [Match(goal, _excerpt(goal.text, wanted[0])) for goal, _ in fits[:MAX_MATCHES]]


def _excerpt(text: str, word: str) -> str:
    """Return what stands around a word, from the beginning of one to the end of another."""
    begin = max(text.lower().find(word) - _BEFORE_WORD, 0)
    begin = text.rfind(" ", 0, begin) + 1
    end = begin + _EXCERPT_CHARACTERS
    return text[begin:end].rpartition(" ")[0] if len(text) > end else text[begin:]


PAGES = (
    Page("/docs", index, needs_account=False),
    Page("/docs/places.json", places, needs_account=False, with_account=False),
    Page("/docs/api", api, needs_account=False),
    Page("/docs/api/{tag}", tag, needs_account=False),
    Page("/docs/decisions/{decision}", topic, needs_account=False),
    Page("/docs/{topic}", topic, needs_account=False),
)
