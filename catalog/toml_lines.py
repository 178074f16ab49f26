"""The line of a TOML text on which each table, key and array element begins. The standard library's parser has none."""

import re
from collections.abc import Iterator

Path = tuple[str | int, ...]

_TOKEN = re.compile(
    r"""(?P<skip>[ \t\r]+|\#[^\n]*)
    |(?P<newline>\n)
    |(?P<string>\"\"\"(?:\\.|[^\\])*?\"{3,5}|'''.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')
    |(?P<mark>[\[\]{}=,.])
    |(?P<bare>[^\s\[\]{}=,.\#"']+)""",
    re.VERBOSE | re.DOTALL,
)
_END = ("end", "", 0)
Token = tuple[str, str, int]


def index(text: str) -> dict[Path, int]:
    """Map the path of each table, key and array element to its line, counted from 1. The text must be valid TOML."""
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._next = 0
        self._lines: dict[Path, int] = {}

    def read(self) -> dict[Path, int]:
        table: Path = ()
        while (token := self._peek()) != _END:
            if token[0] == "newline":
                self._take()
            elif token[1] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _peek(self) -> Token:
        return self._tokens[self._next] if self._next < len(self._tokens) else _END

    def _take(self) -> Token:
        token = self._peek()
        self._next += 1
        return token

    def _note(self, path: Path, line: int) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], line)

    def _header(self) -> Path:
        line = self._take()[2]
        array = self._peek()[1] == "["
        if array:
            self._take()
        path = self._key("]")
        if array:
            self._take()
            count = 0
            while (*path, count) in self._lines:
                count += 1
            path = (*path, count)
        self._note(path, line)
        return path

    def _pair(self, table: Path) -> None:
        line = self._peek()[2]
        path = (*table, *self._key("="))
        self._note(path, line)
        self._value(path)

    def _key(self, end: str) -> Path:
        parts: list[str | int] = []
        while (token := self._take())[1] != end and token != _END:
            if token[0] == "string":
                parts.append(token[1][1:-1])
            elif token[0] == "bare":
                parts.append(token[1])
        return tuple(parts)

    def _value(self, path: Path) -> None:
        opening = self._peek()[1]
        if self._peek()[0] == "mark" and opening in "[{":
            self._take()
            self._elements(path, "]" if opening == "[" else "}")
            return
        while (token := self._peek()) != _END and token[0] != "newline" and token[1] not in ("]", "}", ","):
            self._take()

    def _elements(self, path: Path, closing: str) -> None:
        """Read an array or an inline table up to its closing bracket, which is consumed."""
        count = 0
        while (token := self._peek()) != _END:
            if token[0] == "newline" or token[1] == ",":
                self._take()
            elif token[0] == "mark" and token[1] == closing:
                self._take()
                return
            elif closing == "}":
                self._pair(path)
            else:
                self._note((*path, count), token[2])
                self._value((*path, count))
                count += 1


def _tokens(text: str) -> Iterator[Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "bare"
        if kind != "skip":
            yield kind, match[0], line
        line += match[0].count("\n")
