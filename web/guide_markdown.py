"""Markdown of our own documents to HTML: anchors, code with the server's address, links between files, pictures."""

import re
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path, PurePosixPath
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from web import code
from web.budget import Budget
from web.markdown import ScrollingTables

ROOT = Path(__file__).parent.parent
_COMMENT = re.compile(r"^<!--.*?-->\n", re.MULTILINE | re.DOTALL)
_STYLE = re.compile(r"<style>.*?</style>\s*", re.DOTALL)
_SIZE = re.compile(r' (?:width|height)="[\d.]+"')
_UNBOUNDED = 10**9
"""Of a budget: these documents are ours."""
_ADDRESSES = (
    (re.compile(r"^export YOUT_URL=.*$", re.MULTILINE), "export YOUT_URL={url}"),
    (re.compile(r"^export YOUT_KEY=.*$", re.MULTILINE), "export YOUT_KEY=yout-…   # a key of yours"),
    (re.compile(r'os\.environ\["YOUT_URL"\] \+ "'), '"{url}'),
    (re.compile(r'os\.environ\["YOUT_URL"\]'), '"{url}"'),
    (re.compile(r"\$\{process\.env\.YOUT_URL\}|\$\{YOUT_URL\}|\$YOUT_URL\b"), "{url}"),
    (re.compile(r"process\.env\.YOUT_URL"), '"{url}"'),
)
"""How examples name this server, and what stands there on a page."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which file is rendered, and for which server."""

    file: str
    """Its path in `docs/`, without the ending."""
    server: str
    address_of: Callable[[str], str | None]
    """Where a file of the repository is served."""

    def resolve(self, link: str) -> str:
        """Return the path in the repository that a relative link leads to."""
        parts: list[str] = list(PurePosixPath("docs", self.file).parent.parts)
        for part in PurePosixPath(link).parts:
            if part == "..":
                parts.pop()
            else:
                parts.append(part)
        return "/".join(parts)


def addressed(text: str, server: str) -> str:
    """Put the address of the server where an example has its variable."""
    for pattern, written in _ADDRESSES:
        text = pattern.sub(written.replace("{url}", server).replace("\\", r"\\"), text)
    return text


def plain(token: Token) -> str:
    """Return the words of an inline token."""
    return "".join(child.content or " " for child in token.children or () if child.type != "html_inline")


def parsed(source: str, place: Place) -> list[Token]:
    """Return the tokens of a document without its title. Headings have anchors, and links lead to pages."""
    tokens = _PARSER.parse(_COMMENT.sub("", source))
    begin = 3 if tokens and tokens[0].tag == "h1" else 0
    tokens, used = _without_contents(tokens[begin:]), dict[str, int]()
    for token, inline in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and inline is not None:
            token.attrs["id"] = _anchor(inline.content, used)
        if token.type == "inline":
            _lead(token.children or (), place)
    return tokens


def _without_contents(tokens: list[Token]) -> list[Token]:
    """Leave out the list of links to headings that a file begins with: the page has one of its own."""
    kinds = [token.type for token in tokens]
    if "bullet_list_open" not in kinds or "heading_open" not in kinds:
        return tokens
    begin, first = kinds.index("bullet_list_open"), kinds.index("heading_open")
    if begin > first:
        return tokens
    end = kinds.index("bullet_list_close") + 1
    children = [child for token in tokens[begin:end] for child in token.children or ()]
    links = [child for child in children if child.type == "link_open"]
    other = "".join(child.content for child in children if child.level == 0).strip(" ·")
    own = links and all(str(link.attrs["href"]).startswith("#") for link in links)
    return tokens[:begin] + tokens[end:] if own and not other.replace("·", "").strip() else tokens


def html(tokens: Sequence[Token], place: Place) -> str:
    written: str = _PARSER.renderer.render(tokens, _PARSER.options, {"place": place})
    return written


def _anchor(heading: str, used: dict[str, int]) -> str:
    """As GitHub makes them."""
    anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    used[anchor] = used.get(anchor, -1) + 1
    return f"{anchor}-{used[anchor]}" if used[anchor] else anchor


def _lead(tokens: Sequence[Token], place: Place) -> None:
    """Lead links to pages. What is served nowhere is named, and leads nowhere."""
    open_links: list[Token] = []
    for token in tokens:
        if token.type == "link_open":
            open_links.append(token)
            _lead_one(token, place)
        elif token.type == "link_close":
            token.tag = open_links.pop().tag


def _lead_one(token: Token, place: Place) -> None:
    link = str(token.attrs["href"])
    path, hash_, anchor = link.partition("#")
    if re.match(r"[a-z]+:", link):
        token.attrs["rel"] = "noopener noreferrer"
    elif path:
        file = place.resolve(path)
        address = place.address_of(file)
        if address is None:
            token.tag, token.attrs = "span", {"class": "file", "title": f"In the repository: {file}"}
        else:
            token.attrs["href"] = f"{address}{hash_}{anchor}"


class _Renderer(ScrollingTables):
    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        token, place = tokens[idx], env["place"]
        text, language = addressed(token.content, place.server), token.info.strip()
        return block(f"code-{idx}", language, text)

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        return block(f"code-{idx}", "", tokens[idx].content)

    def code_inline(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        text = tokens[idx].content
        return f"<code>{escape(addressed(text, env['place'].server) if env else text)}</code>"

    def heading_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        anchor = escape(str(tokens[idx].attrs["id"]))
        return f'<{tokens[idx].tag} id="{anchor}"><a href="#{anchor}">'

    def heading_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        return f"</a></{tokens[idx].tag}>\n"

    def th_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        return _cell(tokens, idx)

    def td_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        return _cell(tokens, idx)

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        token = tokens[idx]
        text = self.renderInlineAsText(token.children or [], options, env)
        return picture(ROOT / env["place"].resolve(str(token.attrs["src"])), text)


def picture(path: Path, text: str) -> str:
    """Return a drawing as a part of the page: its colours are then those of the page, in light and in dark."""
    drawing = _SIZE.sub("", _STYLE.sub("", path.read_text("utf-8")), count=2)
    drawing = re.sub(r' aria-label="[^"]*"', "", drawing, count=1)
    labelled = drawing.replace("<svg", f'<svg class="drawing drawing-{path.stem}" aria-label="{escape(text)}"', 1)
    return f'<span class="scroll figure-scroll" tabindex="0">{labelled}</span>'


def block(id_: str, language: str, text: str) -> str:
    """Return a block of code with its language and a button that copies it."""
    shown = code.highlighted(text, language, Budget(code=_UNBOUNDED, seconds=_UNBOUNDED))
    copy = (
        f'<yout-copy for="{id_}" hidden><button type="button" class="button plain small">'
        '<svg class="icon" aria-hidden="true"><use href="#i-copy"/></svg><span>Copy</span></button></yout-copy>'
    )
    head = f'<header><span class="grow">{escape(language) or "text"}</span>{copy}</header>'
    return f'<div class="code">{head}<pre tabindex="0"><code id="{id_}">{shown}</code></pre></div>\n'


def _cell(tokens: Sequence[Token], idx: int) -> str:
    """A cell of the head that has no words is no head of anything."""
    token = tokens[idx]
    tag = token.tag if token.tag == "td" or tokens[idx + 1].content else "td"
    return f'<{tag} class="end">' if "right" in str(token.attrs.get("style", "")) else f"<{tag}>"


_PARSER = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table")


def snippet(text: str) -> str:
    """Render a few sentences."""
    written: str = _PARSER.render(text, {})
    return written
