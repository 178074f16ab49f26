"""Turns the deltas of OpenAI's chunks into Anthropic's content blocks, of which one is open at a time.

Providers may write several calls of tools at once. Then the later ones wait until the open one is complete.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from api.wire import anthropic_messages_answer as answer
from api.wire import anthropic_messages_reasoning as reasoning

Event = Callable[..., bytes]
_MARK = re.compile(r'[{}\[\]"]|\\.?', re.DOTALL)
"""What may change how deep a text is in JSON. A backslash takes the next character with it."""
_CUSTOM_BEGINS, _CUSTOM_ENDS = f'{{"{answer.CUSTOM_INPUT}":"', '"}'


@dataclass(slots=True, eq=False)
class _Block:
    key: object = field(repr=False)
    """What its deltas have in common: two parts with one key belong to one block."""
    content: dict[str, Any] = field(repr=False)
    """As it starts."""
    waiting: list[dict[str, Any]] = field(default_factory=list, repr=False)
    """Deltas that were not written yet."""
    arguments: "_Arguments" = field(default_factory=lambda: _Arguments(), repr=False)
    custom: bool = False
    """It calls a custom tool: its text is written as one string of a JSON object."""

    @property
    def complete(self) -> bool:
        """Tell whether nothing more of it can come. The arguments of a tool are complete when they are JSON."""
        return self.content["type"] != "tool_use" or (self.arguments.complete and not self.custom)


class _Arguments:
    """Tells when a text that comes in pieces is JSON. It is scanned once, and parsed once: when its brackets close."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._depth = 0
        self._in_string = self._escaped = self._closed = False
        self._is_json: bool | None = None
        """None until its brackets close. What is no JSON then never becomes any."""

    def add(self, text: str) -> None:
        self._pieces.append(text)
        begin, self._escaped = int(self._escaped), False
        for mark in _MARK.finditer(text, begin):
            match mark[0]:
                case "\\":
                    self._escaped = True
                case '"':
                    self._in_string = not self._in_string
                case "{" | "[" if not self._in_string:
                    self._depth += 1
                case "}" | "]" if not self._in_string:
                    self._depth -= 1
                    self._closed = True

    @property
    def complete(self) -> bool:
        if self._is_json is None and self._closed and self._depth <= 0 and not self._in_string:
            try:
                orjson.loads("".join(self._pieces))
                self._is_json = True
            except orjson.JSONDecodeError:
                self._is_json = False
        return self._is_json is True


class Blocks:
    def __init__(self, event: Event, *, thinks: bool) -> None:
        self._event = event
        self._thinks = thinks
        """Whether the client wants to read what the model thinks."""
        self._index = 0
        self._open: _Block | None = None
        self._queue: list[_Block] = []
        self._tools: dict[int, _Block] = {}
        self._sealed: list[str] = []
        """Data of reasoning that cannot be read. It is written before the first call of a tool, or at the end."""

    def add(self, delta: Mapping[str, Any]) -> bytes:
        """Write the events of a delta."""
        return b"".join([*self._thoughts(delta), *self._texts(delta), *self._calls(delta)])

    def end(self) -> bytes:
        """Write what waits, and close the last block."""
        if self._thinks:
            self._seal()
        written = [part for block in self._queue for part in self._switch(block)]
        self._queue.clear()
        return b"".join([*written, *self._close()])

    def _thoughts(self, delta: Mapping[str, Any]) -> Iterator[bytes]:
        for detail in answer.details(delta):
            if data := reasoning.data_of(detail):
                self._sealed.append(data)
            if self._thinks:
                yield from self._thought(detail)

    def _thought(self, detail: Mapping[str, Any]) -> Iterator[bytes]:
        text, signature = reasoning.text_of(detail), reasoning.signature_of(detail)
        if not text and not signature:
            return
        block = self._block(("thinking", detail.get("index")), type="thinking", thinking="", signature="")
        if text:
            yield from self._say(block, {"type": "thinking_delta", "thinking": text})
        if signature:
            yield from self._say(block, {"type": "signature_delta", "signature": signature})

    def _texts(self, delta: Mapping[str, Any]) -> Iterator[bytes]:
        for name in ("content", "refusal"):
            if isinstance(text := delta.get(name), str) and text:
                block = self._block("text", type="text", text="")
                yield from self._say(block, {"type": "text_delta", "text": text})

    def _calls(self, delta: Mapping[str, Any]) -> Iterator[bytes]:
        for call in delta.get("tool_calls") or ():
            place, inner = call["index"], call.get("function") or call.get("custom") or {}
            block = self._tools.get(place)
            if block is None:
                self._seal()
                started = {**answer.tool_use(call), "input": {}}
                block = self._tools[place] = _Block(place, started, custom="custom" in call)
                self._queue.append(block)
                yield from self._advance()
                if block.custom:
                    yield from self._say(block, _json_part(_CUSTOM_BEGINS))
            text = inner.get("input") if block.custom else inner.get("arguments")
            if isinstance(text, str) and text:
                part = orjson.dumps(text)[1:-1].decode() if block.custom else text
                block.arguments.add(part)
                yield from self._say(block, _json_part(part))

    def _seal(self) -> None:
        sealed, self._sealed = self._sealed, []
        self._queue += [_Block(data, {"type": "redacted_thinking", "data": data}) for data in sealed]

    def _block(self, key: object, **content: Any) -> _Block:
        """Return the newest block if it has this key, or a new one."""
        newest = self._queue[-1] if self._queue else self._open
        if newest is None or newest.key != key:
            newest = _Block(key, content)
            self._queue.append(newest)
        return newest

    def _say(self, block: _Block, delta: dict[str, Any]) -> Iterator[bytes]:
        if block is self._open:
            yield self._event("content_block_delta", index=self._index, delta=delta)
        else:
            block.waiting.append(delta)
        yield from self._advance()

    def _advance(self) -> Iterator[bytes]:
        """Open the next block, if the open one is complete."""
        while self._queue and (self._open is None or self._open.complete):
            yield from self._switch(self._queue.pop(0))

    def _switch(self, block: _Block) -> Iterator[bytes]:
        yield from self._close()
        self._open = block
        yield self._event("content_block_start", index=self._index, content_block=block.content)
        for delta in block.waiting:
            yield self._event("content_block_delta", index=self._index, delta=delta)
        block.waiting.clear()

    def _close(self) -> Iterator[bytes]:
        if self._open is not None:
            if self._open.custom:
                yield self._event("content_block_delta", index=self._index, delta=_json_part(_CUSTOM_ENDS))
            self._open = None
            yield self._event("content_block_stop", index=self._index)
            self._index += 1


def _json_part(text: str) -> dict[str, Any]:
    return {"type": "input_json_delta", "partial_json": text}
