"""Renders what people and models wrote: Markdown to HTML that does nothing but show it.

Raw HTML is off, links lead to http, https and mail alone, and images become links. The HTML is made here from tokens,
and a sanitizer behind that lets through only what is listed. All work is bounded by a `Budget`.
"""

import re
from collections.abc import MutableMapping, Sequence
from html import escape
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from domain.shares import is_link
from web import code
from web.budget import Budget, TooMuch

MAX_MESSAGE = 100_000
"""Characters of a message that is read as Markdown."""
MAX_NESTING = 20
HEADINGS = {"h1": "h3", "h2": "h4", "h3": "h5", "h4": "h6", "h5": "h6", "h6": "h6"}
"""A message stands under its page's h1 and its own h2."""
TAGS = {
    *("p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "div", "span"),
}
ATTRIBUTES = {"a": {"href"}, "ol": {"start"}, "pre": {"tabindex", "aria-label", "role"}, "div": {"tabindex"}}
ALLOWED_CLASSES = {
    "div": {"code", "scroll"},
    "p": {"plain", "language"},
    "span": set(code.CLASSES),
    "th": {"end", "center"},
    "td": {"end", "center"},
}
REL = "nofollow ugc noopener noreferrer"
_ALIGNED = {"text-align:right": "end", "text-align:center": "center"}
_MAIL = re.compile(r"mailto:[^\s<>\"]{1,500}")
_BROKEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_LANGUAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+#._-]{0,29}")
_sanitizer = nh3.Cleaner(
    tags=TAGS,
    attributes=ATTRIBUTES,
    allowed_classes=ALLOWED_CLASSES,
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
    link_rel=REL,
)


def rendered(text: str, budget: Budget) -> str:
    """Return safe HTML. A line break is one, as in Playground: people and models mean it."""
    text = readable(text)
    try:
        html = _markdown(text, budget)
    except TooMuch:
        html = plain(text)
    return _sanitizer.clean(html)


def plain(text: str) -> str:
    return f'<p class="plain">{escape(text)}</p>'


def readable(text: str) -> str:
    """Replace what is no character, and show what would turn the reading order around."""
    text = _BROKEN.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _BIDI.sub(lambda match: f"[U+{ord(match[0]):04X}]", text)


def _markdown(text: str, budget: Budget) -> str:
    if len(text) > MAX_MESSAGE:
        raise TooMuch
    budget.take("characters", len(text))
    environment: dict[str, Any] = {"budget": budget}
    html: str = _PARSER.render(text, environment)
    return html


class _Tokens(list[Token]):
    """A list that a budget bounds."""

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self._budget = budget

    def append(self, token: Token, /) -> None:
        self._budget.take("tokens", 1)
        super().append(token)


def _block(state: StateCore) -> None:
    """Instead of the rule of that name: bounded."""
    state.tokens = _Tokens(state.env["budget"])
    state.md.block.parse(state.src, state.md, state.env, state.tokens)


def _inline(state: StateCore) -> None:
    """Instead of the rule of that name: bounded."""
    budget: Budget = state.env["budget"]
    for token in state.tokens:
        if token.type == "inline":
            budget.take("brackets", token.content.count("["))
            token.children = _Tokens(budget)
            state.md.inline.parse(token.content, state.md, state.env, token.children)


class _Markdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:
        return is_link(url) or _MAIL.fullmatch(url) is not None


class ScrollingTables(RendererHTML):
    """A table scrolls by itself where it is wider than the page, also by keyboard."""

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        return '<div class="scroll" tabindex="0"><table>\n'

    def table_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        return "</table></div>\n"


class _Renderer(ScrollingTables):
    def renderInline(self, tokens: Sequence[Token], options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        return super().renderInline(_shallow(tokens, env["budget"]), options, env)

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        token = tokens[idx]
        text = f"Image: {self.renderInlineAsText(token.children or [], options, env) or 'without a description'}"
        return link(str(token.attrs["src"]), text)

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        return _code(tokens[idx].content, tokens[idx].info.strip(), env["budget"])

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        return _code(tokens[idx].content, "", env["budget"])

    def heading_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        return f"<{HEADINGS[tokens[idx].tag]}>"

    def heading_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        return f"</{HEADINGS[tokens[idx].tag]}>\n"

    def th_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        return _cell(tokens[idx])

    def td_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]) -> str:
        return _cell(tokens[idx])


def link(address: str, text: str) -> str:
    """A link that tells nobody where it was found, and recommends nothing."""
    return f'<a href="{escape(address)}" rel="{REL}">{escape(text)}</a>'


def _cell(token: Token) -> str:
    aligned = _ALIGNED.get(str(token.attrs.get("style", "")))
    return f'<{token.tag} class="{aligned}">' if aligned else f"<{token.tag}>"


def _code(text: str, info: str, budget: Budget) -> str:
    named = _LANGUAGE.match(info)
    language = named[0] if named else ""
    label = f"Code, {language}" if language else "Code"
    return (
        f'<div class="code"><p class="language">{language or "code"}</p>'
        f'<pre tabindex="0" role="region" aria-label="{label}"><code>'
        f"{code.highlighted(text, language, budget)}</code></pre></div>\n"
    )


def _shallow(tokens: Sequence[Token], budget: Budget) -> list[Token]:
    """Leave out marks that are nested too deeply, titles of links, and links when there are too many."""
    shown, open_marks = list[Token](), list[bool]()
    for token in tokens:
        if token.nesting == 1:
            open_marks.append(len(open_marks) < MAX_NESTING and _affordable(token, budget))
            keeps = open_marks[-1]
        elif token.nesting == -1:
            keeps = open_marks.pop()
        else:
            keeps = token.type != "image" or _affordable(token, budget)
        if keeps:
            shown.append(token)
    return shown


def _affordable(token: Token, budget: Budget) -> bool:
    token.attrs.pop("title", None)
    address = token.attrs.get("href", token.attrs.get("src", ""))
    try:
        budget.take("links", len(str(address)))
    except TooMuch:
        return False
    return True


def _parser() -> MarkdownIt:
    options = {"html": False, "breaks": True, "maxNesting": MAX_NESTING}
    parser = _Markdown("commonmark", options, renderer_cls=_Renderer).enable(["table", "strikethrough"])
    parser.core.ruler.at("block", _block)
    parser.core.ruler.at("inline", _inline)
    return parser


_PARSER = _parser()
