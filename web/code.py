"""Highlights code with Pygments: spans with classes of our stylesheet, and nothing else."""

from collections.abc import Iterator
from html import escape
from itertools import groupby
from typing import Any

from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
from pygments.token import (  # type: ignore[import-untyped]
    Comment,
    Keyword,
    Literal,
    Name,
    Number,
    Operator,
    String,
    Token,
)

from web.budget import Budget, TooMuch

LEXERS = {
    name: lexer
    for lexer, names in {
        "bash": ("sh", "shell", "zsh"),
        "c": ("h",),
        "cpp": ("c++", "cc", "hpp"),
        "csharp": ("c#", "cs"),
        "css": (),
        "diff": ("patch",),
        "docker": ("dockerfile",),
        "go": ("golang",),
        "haskell": ("hs",),
        "html": (),
        "java": (),
        "javascript": ("js", "jsx", "mjs", "node"),
        "json": ("jsonc",),
        "kotlin": ("kt",),
        "lua": (),
        "make": ("makefile",),
        "perl": ("pl",),
        "php": (),
        "powershell": ("ps1", "pwsh"),
        "python": ("py", "python3"),
        "r": (),
        "ruby": ("rb",),
        "rust": ("rs",),
        "scala": (),
        "sql": ("postgresql", "postgres", "mysql", "sqlite"),
        "swift": (),
        "toml": (),
        "typescript": ("ts", "tsx"),
        "xml": ("svg",),
        "yaml": ("yml",),
    }.items()
    for name in (lexer, *names)
}
"""The languages that are highlighted, by the names that fences give them. All others are shown as they are."""
MAX_CODE = 8_000
"""Characters of one block: a single regular expression of a lexer may take time with the square of them."""
_CLASSES: tuple[tuple[Any, str], ...] = (
    (Comment, "c-c"),
    (Keyword, "c-k"),
    (Operator.Word, "c-k"),
    (String, "c-s"),
    (Number, "c-n"),
    (Literal.Number, "c-n"),
    (Name.Function, "c-f"),
    (Name.Class, "c-f"),
    (Name.Tag, "c-f"),
    (Name.Attribute, "c-f"),
    (Name.Builtin, "c-f"),
    (Name.Decorator, "c-f"),
    (Token.Generic.Inserted, "c-s"),
    (Token.Generic.Deleted, "c-n"),
)
CLASSES = frozenset(name for _, name in _CLASSES)


def highlighted(code: str, language: str, budget: Budget) -> str:
    """Return HTML. Code of another language, or for which too little of the budget is left, is only escaped."""
    name = LEXERS.get(language.lower())
    if name is None or len(code) > MAX_CODE:
        return escape(code)
    try:
        budget.take("code", len(code))
    except TooMuch:
        return escape(code)
    pieces = _pieces(get_lexer_by_name(name), code, budget)
    return "".join(_span(name, "".join(text for _, text in group)) for name, group in groupby(pieces, lambda p: p[0]))


def _pieces(lexer: Any, code: str, budget: Budget) -> Iterator[tuple[str, str]]:
    """Yield classes and texts, which together are the code. When the time is used up, the rest has no class."""
    began = budget.clock()
    end = 0
    for start, kind, text in lexer.get_tokens_unprocessed(code):
        if budget.clock() - began > budget.seconds:
            break
        if start != end or not text:
            continue
        end = start + len(text)
        yield _class(kind), text
    budget.seconds -= budget.clock() - began
    yield "", code[end:]


def _class(kind: Any) -> str:
    return next((name for parent, name in _CLASSES if kind in parent), "")


def _span(name: str, text: str) -> str:
    return f'<span class="{name}">{escape(text)}</span>' if name else escape(text)
