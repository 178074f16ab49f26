"""Pages for what went wrong: what happened, what it did to the money, and the ways on. They need no database."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

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


_HOME = (("Start page", "/"), ("Models", "/models"), ("Docs", "/docs"))
_PLACES = {
    "/chat": ("Playground", ("chat", "playground", "c")),
    "/studio/image": ("Studio", ("studio", "image", "images", "video", "videos", "speech", "jobs")),
    "/models": ("Models", ("models", "pricing", "prices")),
    "/activity": ("Activity", ("activity", "usage", "charges", "logs", "statement")),
    "/keys": ("Keys", ("keys", "tokens", "api-keys")),
    "/webhooks": ("Webhooks", ("webhooks", "hooks")),
    "/privacy": ("Privacy", ("privacy", "purges", "export", "history", "shares")),
    "/plan": ("Plan and credits", ("plan", "plans", "credits", "billing")),
    "/account": ("Account", ("account", "settings", "profile")),
    "/docs": ("Docs", ("docs", "help", "guide", "redoc", "swagger")),
    "/sign-in": ("Sign in", ("sign-in", "login", "signin")),
    "/sign-up": ("Create account", ("sign-up", "register", "signup")),
}
"""Pages, each with what people may write into an address for it."""
_NAMES = {word: address for address, (_, words) in _PLACES.items() for word in words}
_LIKE, _WAYS, _MAX_WORD = 0.7, 3, 40
_TOO_MANY, _BROKE, _UNAVAILABLE = 429, 500, 503
_RETRY_SECONDS = 5
"""Seconds. Who waits for a server that cannot answer does not ask for a page more often."""
_SENTENCES: Mapping[int, _Sentence] = {
    403: _Sentence("This is not yours to do.", "Nothing was changed."),
    404: _Sentence("There is no such page.", "The address may be mistyped, or what was there is gone."),
    405: _Sentence("This page cannot do that.", "Nothing was changed."),
    413: _Sentence("That was too large to take.", "Nothing was kept, and nothing was charged."),
    429: _Sentence("That was too much at once.", "Nothing was charged."),
    503: _Sentence("We cannot reach our books, so we do not start anything.", "Nothing was charged."),
}
_BUSY = _Sentence("This server cannot do that just now.", "Nothing was charged.")
_OF_BOOKS = re.compile("database|ledger")
"""In the API's message: what is away is our books, and no other part."""
_NOT_DONE = _Sentence("This was not done.", "The server did not take what it was sent.")
_BROKEN = _Sentence("Something broke on our side.", "Nothing was charged for this page.")
_PLAIN = {404, 405, 413}
"""The sentence says all: the API's message adds nothing."""
_SUSPENDED = _Sentence(
    "This account is suspended.",
    "It begins nothing more, and its pages are closed. Write to the operator of this server.",
)


@dataclass(frozen=True, slots=True)
class Problem:
    status: int
    message: str = field(default="", repr=False)
    """What the API says of it. Empty: nothing more is known."""
    retry_after: str | None = None
    request_id: str = ""
    suspended: bool = False
    """It is the account of the browser's session."""


def concerns(request: Request) -> bool:
    """Tell whether a browser asks for a page: then an error is a page too."""
    path = request.url.path
    return "text/html" in request.headers.get("accept", "") and not path.startswith(_NOT_PAGES)


def page(problem: Problem, request: Request) -> Response:
    """Return the page of a problem, in the theme of its browser, which loads one again that passes by itself."""
    ours = problem.status >= _BROKE
    sentence = _SUSPENDED if problem.suspended else _SENTENCES.get(problem.status, _BROKEN if ours else _NOT_DONE)
    if problem.status == _UNAVAILABLE and problem.message and not _OF_BOOKS.search(problem.message):
        sentence = _BUSY
    speaks = sentence is _BUSY or not (ours or problem.suspended or problem.status in _PLAIN)
    values = {
        "title": sentence.title,
        "text": sentence.text,
        "message": problem.message if speaks else "",
        "ways": _ways(sentence, request.url.path),
        "signs_out": problem.suspended,
        "request_id": problem.request_id if sentence is _BROKEN else "",
        "seconds": _pause(problem),
        "theme": theme_of(request),
    }
    headers = {}
    if values["seconds"]:
        headers = {"retry-after": str(values["seconds"]), "refresh": str(values["seconds"])}
    return pages.live(templating.html("fault.html", values), status=problem.status, headers=headers)


def _ways(sentence: _Sentence, path: str) -> Sequence[tuple[str, str]]:
    """Return where to go on, by name and address. A page that waits for our books has no other way."""
    if sentence is _BROKEN:
        return (("Try again", ""), *_HOME[:1])
    return () if sentence in {_SUSPENDED, _BUSY, _SENTENCES[_UNAVAILABLE]} else _likeliest(path)


def _likeliest(path: str) -> Sequence[tuple[str, str]]:
    """Return the three pages that somebody may have wanted who asked for one that is none: by name and address."""
    first = path.strip("/").partition("/")[0][:_MAX_WORD].lower()
    near = [_NAMES[word] for word in get_close_matches(first, _NAMES, _WAYS, _LIKE)]
    ways = dict.fromkeys([*((_PLACES[address][0], address) for address in near), *_HOME])
    return list(ways)[:_WAYS]


def _pause(problem: Problem) -> int | None:
    """Return after how many seconds the page is loaded again: many that wait must not come at once. None: it is not."""
    if problem.status not in {_TOO_MANY, _UNAVAILABLE} or not problem.retry_after:
        return None
    return max(int(problem.retry_after), _RETRY_SECONDS if problem.status == _UNAVAILABLE else 1)
