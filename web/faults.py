"""Pages for what went wrong: what happened, what it did to the money, and the ways on. They need no database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from web import pages, templating
from web.visit import theme_of

_NOT_PAGES = (
    "/api/",
    "/v1",
    "/media/",
    "/codec/",
    "/metrics",
    "/healthz",
    "/readyz",
    "/assets/",
    "/c/",
    "/openapi.json",
)


@dataclass(frozen=True, slots=True)
class _Sentence:
    title: str
    text: str
    ways: Sequence[tuple[str, str]] = ()


_HOME = (("Start page", "/"), ("Models", "/models"), ("Docs", "/docs"))
_SENTENCES: Mapping[int, _Sentence] = {
    403: _Sentence("This is not yours to do.", "Nothing was changed.", _HOME),
    404: _Sentence("There is no such page.", "The address may be mistyped, or what was there is gone.", _HOME),
    405: _Sentence("This page cannot do that.", "Nothing was changed.", _HOME),
    413: _Sentence("That was too large to take.", "Nothing was kept, and nothing was charged.", _HOME),
    429: _Sentence("That was too much at once.", "Nothing was charged."),
    503: _Sentence("We cannot reach our books, so we do not start anything.", "Nothing was charged."),
}
_BROKEN = _Sentence("Something broke on our side.", "Nothing was charged for this page.", _HOME[:1])


@dataclass(frozen=True, slots=True)
class Problem:
    status: int
    message: str = field(default="", repr=False)
    """What the API says of it. Empty: nothing more is known."""
    retry_after: str | None = None
    request_id: str = ""


def concerns(request: Request) -> bool:
    """Tell whether a browser asks for a page: then an error is a page too."""
    path = request.url.path
    return "text/html" in request.headers.get("accept", "") and not path.startswith(_NOT_PAGES)


def page(problem: Problem, request: Request) -> Response:
    """Return the page of a problem, in the theme of its browser, which loads one again that passes by itself."""
    sentence = _SENTENCES.get(problem.status, _BROKEN)
    values = {
        "title": sentence.title,
        "text": sentence.text,
        "message": problem.message if problem.status in {403, 429} else "",
        "ways": sentence.ways,
        "request_id": problem.request_id if sentence is _BROKEN else "",
        "seconds": problem.retry_after if problem.status in {429, 503} else None,
        "theme": theme_of(request),
    }
    headers = {}
    if values["seconds"]:
        headers = {"retry-after": str(values["seconds"]), "refresh": str(values["seconds"])}
    return pages.live(templating.html("fault.html", values), status=problem.status, headers=headers)
