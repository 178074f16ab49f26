"""Moves what a model thinks from `<think>` tags at the beginning of `content` to `reasoning_content`.

For routes whose catalog entry says so: elsewhere, such a tag is text.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from providers.base import Delta, Done, Headers, ProviderEvent, StreamDecoder, WholeAnswer
from providers.openai import text

OPENING, CLOSING = "<think>", "</think>"
_BLANK = " \t\r\n"


class Splitter:
    """Splits the text of one choice, cut anywhere, into thoughts and content."""

    def __init__(self) -> None:
        self._held = ""
        """Text that may be the beginning of a tag, or the white space around one."""
        self._thinks: bool | None = None
        """None before the first letter that decides it."""
        self._trims = False
        self.plain = False
        """True when all that follows is content, and nothing is held."""

    def feed(self, piece: str) -> tuple[str, str]:
        """Return the thoughts and the content that are certain now."""
        if self.plain:
            return "", piece
        self._held += piece
        if self._thinks is None:
            begun = self._held.lstrip(_BLANK)
            if len(begun) < len(OPENING) and OPENING.startswith(begun):
                return "", ""
            self._thinks = begun.startswith(OPENING)
            if self._thinks:
                self._held = begun[len(OPENING) :].lstrip("\n")
        return self._thoughts() if self._thinks else ("", self._content())

    def end(self) -> tuple[str, str]:
        """Return what was held to the end: an unfinished tag is text."""
        held, self._held, self.plain = self._held, "", True
        return (held, "") if self._thinks else ("", held)

    def _thoughts(self) -> tuple[str, str]:
        thoughts, closed, rest = self._held.partition(CLOSING)
        if closed:
            self._thinks, self._trims, self._held = False, True, rest
            return thoughts.rstrip("\n"), self._content()
        certain = len(self._held) - _overlap(self._held)
        self._held, thoughts = self._held[certain:], self._held[:certain]
        return thoughts, ""

    def _content(self) -> str:
        if self._trims:
            self._held = self._held.lstrip(_BLANK)
            if not self._held:
                return ""
        held, self._held, self.plain = self._held, "", True
        return held


def _overlap(held: str) -> int:
    """Characters at the end that may belong to the closing tag: with the line ends before it."""
    longest = next((n for n in range(len(CLOSING) - 1, 0, -1) if held.endswith(CLOSING[:n])), 0)
    before = held[: len(held) - longest]
    return longest + len(before) - len(before.rstrip("\n"))


class ThinkTags:
    """Implements `providers.base.StreamDecoder` around another one."""

    def __init__(self, decoder: StreamDecoder) -> None:
        self._decoder = decoder
        self._splitters: dict[int, Splitter] = {}

    def begin(self, headers: Headers) -> Iterable[ProviderEvent]:
        return self._decoder.begin(headers)

    def feed(self, data: bytes) -> Iterator[ProviderEvent]:
        for event in self._decoder.feed(data):
            yield from self._split(event)

    def eof(self) -> Iterator[ProviderEvent]:
        for event in self._decoder.eof():
            yield from self._split(event)

    def _split(self, event: ProviderEvent) -> Iterator[ProviderEvent]:
        if isinstance(event, Done):
            yield from self._rest(tuple(self._splitters))
        if not isinstance(event, Delta):
            yield event
            return
        yield from self._rest(event.finished)
        if event.finished or all(self._is_plain(choice) for choice in event.chunk["choices"]):
            yield event
            return
        parts = [{**choice, "delta": self._delta(choice)} for choice in event.chunk["choices"]]
        words = "".join([text.of_delta(part["delta"]) for part in parts])
        yield Delta({**event.chunk, "choices": parts}, words)

    def _is_plain(self, choice: dict[str, Any]) -> bool:
        splitter = self._splitters.get(choice["index"])
        return splitter.plain if splitter else not choice["delta"].get("content")

    def _delta(self, choice: dict[str, Any]) -> dict[str, Any]:
        delta = choice["delta"]
        content = delta.get("content")
        if not content:
            return dict(delta)
        thoughts, answer = self._splitters.setdefault(choice["index"], Splitter()).feed(content)
        return _of(thoughts, answer) | {name: value for name, value in delta.items() if name != "content"}

    def _rest(self, indexes: tuple[int, ...]) -> Iterator[ProviderEvent]:
        """Give what is held of choices that end here."""
        for index in indexes:
            splitter = self._splitters.get(index)
            delta = {} if splitter is None or splitter.plain else _of(*splitter.end())
            if delta:
                part = {"index": index, "delta": delta, "finish_reason": None}
                yield Delta({"choices": [part]}, text.of_delta(delta))


def _of(thoughts: str, content: str) -> dict[str, Any]:
    return ({"reasoning_content": thoughts} if thoughts else {}) | ({"content": content} if content else {})


def split(answer: WholeAnswer) -> WholeAnswer:
    """Move the thoughts of a whole answer."""
    choices = [{**choice, "message": _message(choice["message"])} for choice in answer.body["choices"]]
    return WholeAnswer({**answer.body, "choices": choices}, answer.text, answer.usage, answer.native)


def _message(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if not isinstance(content, str) or not content.lstrip(_BLANK).startswith(OPENING):
        return message
    splitter = Splitter()
    thoughts, answer = (first + last for first, last in zip(splitter.feed(content), splitter.end(), strict=True))
    return {**message, "reasoning_content": thoughts, "content": answer}
