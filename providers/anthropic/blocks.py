"""Turns the content blocks of an answer into parts of OpenAI's deltas, as they arrive.

A block that OpenAI's shape has no place for, such as the result of a provider's own tool, gives nothing here.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.errors import UpstreamError
from providers import upstream_json
from providers.anthropic import citations

FORMAT = "anthropic-claude-v1"
"""OpenRouter's name for Anthropic's reasoning, in `reasoning_details`."""
MAX_BLOCKS = 4096


@dataclass(slots=True)
class Part:
    """A part of a delta, and the text in it."""

    delta: dict[str, Any] = field(repr=False)
    text: str = field(default="", repr=False)


@dataclass(slots=True)
class _Block:
    kind: str
    place: int
    """Among the blocks of its kind: the index of a tool call, or of an element of `reasoning_details`."""
    input: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Of a tool call that begins with its arguments."""
    empty: bool = True
    """True until there was any text."""
    begins_at: int = 0
    """The length of the answer's content before this block."""
    citations: list[dict[str, Any]] = field(default_factory=list, repr=False)


class Blocks:
    """The blocks of one answer, by the provider's index. `seed` makes the ids of tool calls that lack one.

    `functions`: the request has the older form of tools, and so has the answer.
    """

    def __init__(self, seed: str, *, functions: bool = False) -> None:
        self._seed = seed
        self._functions = functions
        self._open: dict[int, _Block] = {}
        self._calls = 0
        self._reasoning = 0
        self._begun = 0
        self._length = 0
        """Characters of content so far."""

    def start(self, event: Mapping[str, Any]) -> Iterator[Part]:
        block = event.get("content_block")
        if not isinstance(block, Mapping):
            raise UpstreamError
        self._begun += 1
        if self._begun > MAX_BLOCKS:
            raise UpstreamError
        index = _index(event)
        yield from self._close(index)
        match block.get("type"):
            case "text":
                self._open[index] = _Block("text", 0, begins_at=self._length)
                for citation in _list(block.get("citations")):
                    self._cite(self._open[index], citation)
                yield from self._text(self._open[index], block.get("text"))
            case "thinking":
                known = self._open[index] = _Block("thinking", self._reasoning)
                self._reasoning += 1
                yield from self._thinking(known, block.get("thinking"), _text(block.get("signature")))
            case "redacted_thinking":
                place, self._reasoning = self._reasoning, self._reasoning + 1
                hidden = {"type": "reasoning.encrypted", "data": _text(block.get("data")), "format": FORMAT}
                yield Part({"reasoning_details": [{**hidden, "index": place}]})
            case "tool_use":
                yield self._call(index, block)

    def delta(self, event: Mapping[str, Any]) -> Iterator[Part]:
        delta = event.get("delta")
        if not isinstance(delta, Mapping):
            raise UpstreamError
        block = self._open.get(_index(event))
        if block is None:
            return
        match (block.kind, delta.get("type")):
            case ("text", "text_delta"):
                yield from self._text(block, delta.get("text"))
            case ("text", "citations_delta"):
                self._cite(block, delta.get("citation"))
            case ("thinking", "thinking_delta"):
                yield from self._thinking(block, delta.get("thinking"))
            case ("thinking", "signature_delta"):
                yield from self._thinking(block, "", _text(delta.get("signature")))
            case ("tool_use", "input_json_delta"):
                yield from self._arguments(block, _text(delta.get("partial_json")))

    def stop(self, event: Mapping[str, Any]) -> Iterator[Part]:
        yield from self._close(_index(event))

    def end(self) -> Iterator[Part]:
        """Close the blocks that the provider left open, as it does when the limit ends an answer in a tool call."""
        for index in sorted(self._open):
            yield from self._close(index)

    def _close(self, index: int) -> Iterator[Part]:
        block = self._open.pop(index, None)
        if block is None:
            return
        if block.kind == "tool_use" and block.empty:
            yield from self._arguments(block, upstream_json.written(block.input).decode())
        if block.citations:
            yield Part({"annotations": [citations.placed(each, self._length) for each in block.citations]})

    def _call(self, index: int, block: Mapping[str, Any]) -> Part:
        name, own, given = _text(block.get("name")), _text(block.get("id")), block.get("input")
        place, self._calls = self._calls, self._calls + 1
        self._open[index] = _Block("tool_use", place, given if isinstance(given, Mapping) else {})
        if self._functions:
            return Part({"function_call": {"name": name, "arguments": ""}}, name)
        shown = own or self._mint(place, name)
        call = {"index": place, "id": shown, "type": "function", "function": {"name": name, "arguments": ""}}
        return Part({"tool_calls": [call]}, name)

    def _mint(self, place: int, name: str) -> str:
        return "toolu_" + hashlib.sha256(f"{self._seed}:{place}:{name}".encode("utf-8", "replace")).hexdigest()[:24]

    def _arguments(self, block: _Block, text: str) -> Iterator[Part]:
        if text:
            block.empty = False
            if self._functions:
                yield Part({"function_call": {"arguments": text}}, text)
                return
            yield Part({"tool_calls": [{"index": block.place, "function": {"arguments": text}}]}, text)

    def _text(self, block: _Block, value: object) -> Iterator[Part]:
        if text := _text(value):
            self._length += len(text)
            yield Part({"content": text}, text)

    def _thinking(self, block: _Block, value: object, signature: str = "") -> Iterator[Part]:
        text = _text(value)
        if not text and not signature:
            return
        detail = {"type": "reasoning.text", "text": text, **({"signature": signature} if signature else {})}
        shown = {"reasoning_content": text} if text else {}
        yield Part({**shown, "reasoning_details": [{**detail, "format": FORMAT, "index": block.place}]}, text)

    def _cite(self, block: _Block, citation: object) -> None:
        if isinstance(citation, Mapping) and len(block.citations) < MAX_BLOCKS:
            block.citations.append(citations.annotation(citation, block.begins_at))


def _index(event: Mapping[str, Any]) -> int:
    index = upstream_json.integer(event.get("index"))
    if index is None or index < 0:
        raise UpstreamError
    return index


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
