"""The guide: the Markdown files of `docs/` as pages. They are ours, so that each is rendered whole, and once."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from markdown_it.token import Token
from markupsafe import Markup

from web import guide_markdown

FOLDER = Path(__file__).parent.parent / "docs"
"""Beside this package: in the repository, in the image and where a wheel is installed."""
DECISIONS = "decisions"
GROUPS: Mapping[str, Mapping[str, str]] = {
    "First steps": {
        "quickstart": "From one command to a call, a video, a refund, a receipt and a purge",
        "concepts": "Credits, holds, jobs and privacy, with pictures",
        "faq": "What is asked most",
        "comparison": "Other gateways, and what each does better",
    },
    "Calling the API": {
        "api": "Streams, jobs, idempotency, keys, sign-in, shared pages: how each works",
        "clients": "SDKs, coding agents and chat programs: a snippet for each",
        "media": "Images, videos, speech and transcription: inputs, sizes, lengths",
        "webhooks": "Signed messages about jobs and keys",
        "errors": "Every error: its code, its status, what to do",
        "testing": "Models that fail, wait and break off, for tests of your program",
        "scopes": "Who may call which operation",
    },
    "Money and privacy": {
        "billing": "Holds, charges, quotes, receipts, statements",
        "payments": "Plans, and how payments become credits",
        "ledger": "The books: what is written, and what is checked",
        "privacy": "What is stored, for how long, and who can read it",
        "security": "Who is kept out, and how",
    },
    "Running a server": {
        "operating": "The command line, settings, metrics, the log",
        "production": "Your own PostgreSQL and Temporal, behind nginx or on Kubernetes",
        "catalog": "Models, routes, prices, providers",
        "providers": "Each vendor's key, quirks, and what it does with prompts",
        "routing": "Which route answers, fallback, keys, breakers, limits",
        "workers": "Fleets of workers: queues, slots, secrets, networks",
        "runbooks": "What to do when an alert fires",
        "failures": "What happens when a part is killed",
        "scaling": "What a call, a stream and a waiting job take",
        "benchmark": "What was measured, the missed targets included",
    },
}
"""The files of the guide without their endings, in the order in which they are read, and what each has."""
_NAMES = {"api": "api-guide"}
"""Addresses that differ from the file's name: the reference is at `/docs/api`."""
_DECISION = re.compile(r"\d{4}-[\w-]+")


@dataclass(frozen=True, slots=True)
class Topic:
    file: str
    """Its path in the folder, without the ending."""
    address: str
    title: str
    about: str
    group: str


@dataclass(frozen=True, slots=True)
class Section:
    """What stands below a heading, up to the next one: for searching."""

    id: str
    """Empty: the beginning of the page."""
    heading: str
    level: int
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rendered:
    html: Markup = field(repr=False)
    uses_key: bool
    """It has examples with `YOUT_KEY`."""


@cache
def topics() -> Mapping[str, Topic]:
    """Return the files of the guide and the decisions by their addresses, in the order in which they are read."""
    listed = [
        Topic(file, f"/docs/{_NAMES.get(file, file)}", _title(file), about, group)
        for group, files in GROUPS.items()
        for file, about in files.items()
    ]
    overview = Topic(f"{DECISIONS}/README", f"/docs/{DECISIONS}", "Decisions", "Why it is built so", "")
    files = [f"{DECISIONS}/{path.stem}" for path in sorted((FOLDER / DECISIONS).glob("*.md"))]
    decisions = [
        Topic(file, f"/docs/{file}", _title(file), "", "") for file in files if _DECISION.fullmatch(file.split("/")[1])
    ]
    return {topic.address: topic for topic in (*listed, overview, *decisions)}


def neighbours(topic: Topic) -> tuple[Topic | None, Topic | None]:
    """Return what is read before it, and after it."""
    of_kind = [one for one in topics().values() if bool(one.group) == bool(topic.group)]
    at = of_kind.index(topic)
    return of_kind[at - 1] if at else None, of_kind[at + 1] if at + 1 < len(of_kind) else None


@cache
def rendered(topic: Topic, server: str) -> Rendered:
    """Render a file for the server at this address, which stands in its examples."""
    source = _source(topic.file)
    place = guide_markdown.Place(topic.file, server, address_of)
    tokens = guide_markdown.parsed(source, place)
    html = Markup(guide_markdown.html(tokens, place))  # noqa: S704  # from our own files
    return Rendered(html, "YOUT_KEY" in source)


@cache
def sections(topic: Topic) -> Sequence[Section]:
    """Return what stands below each heading of a file, without rendering it."""
    place = guide_markdown.Place(topic.file, "", address_of)
    return list(_sections(guide_markdown.parsed(_source(topic.file), place)))


def address_of(path: str) -> str | None:
    """Return where a file of the repository is served. None: nowhere."""
    folder, _, inside = path.partition("/")
    if folder != FOLDER.name:
        return None
    if inside == "openapi.json":
        return "/openapi.json"
    addresses = (topic.address for topic in topics().values() if f"{topic.file}.md" == inside)
    return next(addresses, f"/docs/{DECISIONS}" if inside == DECISIONS else None)


def _source(file: str) -> str:
    return (FOLDER / f"{file}.md").read_text("utf-8")


def _title(file: str) -> str:
    return _source(file).partition("\n")[0].removeprefix("# ")


def _sections(tokens: Sequence[Token]) -> Iterator[Section]:
    id_, heading, level, texts = "", "", 1, list[str]()
    for token, inline in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and inline is not None:
            yield Section(id_, heading, level, " ".join(texts))
            id_, heading, level, texts = str(token.attrs["id"]), guide_markdown.plain(inline), int(token.tag[1]), []
        elif token.type == "inline":
            texts.append(guide_markdown.plain(token))
        elif token.type == "fence":
            texts.append(token.content)
    yield Section(id_, heading, level, " ".join(texts))
