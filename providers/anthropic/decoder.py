"""Decodes a streamed answer into events. A whole answer is the same events, without the bytes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from domain.errors import UpstreamError
from domain.pricing import Usage
from providers import sse, upstream_json
from providers.answer_decoder import MAX_VALUES, AnswerDecoder
from providers.anthropic import errors, texts
from providers.anthropic.blocks import Blocks, Part
from providers.anthropic.usage import UsageReports
from providers.anthropic.written import Written
from providers.base import ChatCall, Delta, Done, Paused, ProviderEvent, Report
from providers.openai.errors import value_of

WIRE = "anthropic"
_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "compaction": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""`pause_turn` ends a turn that is not complete. Of a translated search it is no end: see `Paused`."""


class AnthropicDecoder(AnswerDecoder):
    """Implements `providers.base.StreamDecoder`."""

    def __init__(self, call: ChatCall) -> None:
        super().__init__(call)
        self._native = call.native is not None and call.native.wire == WIRE
        self._begun = False
        """True when the first delta was given."""
        self._finished = False
        self._functions = bool(call.body.get("functions")) and not call.body.get("tools")
        searched = call.body.get("web_search_options") is not None
        self._written = Written() if searched and not self._native else None
        """Only an answer that its provider may pause is put together."""
        self._paused = False
        self._blocks = Blocks(f"{len(call.body.get('messages') or ())}", functions=self._functions)
        self._usage = UsageReports(searched=searched)

    def _document(self, document: bytes) -> Iterator[ProviderEvent]:
        return self.answer(upstream_json.read_whole(document), document)

    def _at_eof(self) -> Iterator[ProviderEvent]:
        return self._stop()

    def answer(self, message: Any, body: bytes) -> Iterator[ProviderEvent]:
        """Give the events of a whole answer. Raises `UpstreamError` if it is none, or the failure that it reports."""
        if not isinstance(message, Mapping) or message.get("type") == "error":
            raise errors.within(self._call, message, body)
        content = message.get("content")
        if not isinstance(content, list):
            raise UpstreamError
        yield from self._accept()
        yield from self._resume()
        if not self._begun:
            yield from self._delta(Part({"content": None}))
        yield from self._whole_blocks(content)
        yield from self._finish({**message, "stop_reason": message.get("stop_reason") or "end_turn"})
        yield from self._report(self._usage.end(message.get("usage")))
        yield self._last()

    def _read(self, events: Iterable[bytes | sse.Failure]) -> Iterator[ProviderEvent]:
        for data in events:
            if isinstance(data, sse.Failure):
                raise errors.within(self._call, value_of(data.data), data.data)
            event, data = upstream_json.read_object(data, MAX_VALUES)
            if event.get("type") == "error":
                raise errors.within(self._call, event, data)
            if self._written is not None:
                self._written.take(event)
            yield from self._event(event, data.strip() if self._native else None)
            if self._done:
                return

    def _event(self, event: dict[str, Any], native: bytes | None) -> Iterator[ProviderEvent]:
        match event.get("type"):
            case "message_start":
                yield from self._start(event, native)
            case "content_block_start":
                yield from self._report(self._usage.shown(event.get("content_block")))
                yield from self._block(self._blocks.start(event), event.get("content_block"), native)
            case "content_block_delta":
                yield from self._block(self._blocks.delta(event), event.get("delta"), native)
            case "content_block_stop":
                yield from self._block(self._blocks.stop(event), None, native)
            case "message_delta":
                yield from self._end(event, native)
            case "message_stop":
                yield from self._stop()
            case "ping":
                return
            case _:
                yield from self._block(iter(()), event, native)

    def _start(self, event: Mapping[str, Any], native: bytes | None) -> Iterator[ProviderEvent]:
        message = event.get("message")
        if not isinstance(message, Mapping):
            raise UpstreamError
        yield from self._accept()
        yield from self._report(self._usage.begin(message.get("usage")))
        yield from self._resume()
        if not self._begun:
            yield from self._delta(Part({"content": ""}), native)
        content = message.get("content")
        yield from self._whole_blocks(content if isinstance(content, list) else ())  # an answer that goes on

    def _stop(self) -> Iterator[ProviderEvent]:
        if not self._finished:
            raise UpstreamError
        yield self._last()

    def _last(self) -> ProviderEvent:
        self._done = True
        if not self._paused or self._written is None:
            return Done()
        return Paused((*self._call.continues, *self._written.blocks()))

    def _resume(self) -> Iterator[ProviderEvent]:
        """Continue what was written before a pause. A stream has sent it; a whole answer has all of it."""
        if self._call.continues and not self._begun:
            given = [part for block in self._call.continues for part in self._parts_of_block(block)]
            if self._call.stream:
                self._begun = True
            else:
                yield from self._parts(given)

    def _parts_of_block(self, block: object, index: int = 0) -> Iterator[Part]:
        event = {"index": index, "content_block": block}
        yield from self._blocks.start(event)
        yield from self._blocks.stop(event)

    def _whole_blocks(self, content: Sequence[object]) -> Iterator[ProviderEvent]:
        for index, block in enumerate(content):
            if self._written is not None:
                self._written.start({"index": index, "content_block": block})
            yield from self._parts(self._parts_of_block(block, index))

    def _block(self, parts: Iterator[Part], content: object, native: bytes | None) -> Iterator[ProviderEvent]:
        """Give the parts of an event. A client of the same wire gets the event once, with all of its text."""
        if native is None:
            yield from self._parts(parts)
            return
        merged = Part({})
        for part in parts:
            merged = Part(_joined(merged.delta, part.delta), merged.text + part.text)
        text = merged.text or texts.of(content)
        yield from self._delta(Part(merged.delta, text), native)

    def _end(self, event: Mapping[str, Any], native: bytes | None) -> Iterator[ProviderEvent]:
        delta = event.get("delta")
        if not isinstance(delta, Mapping):
            raise UpstreamError
        yield from self._report(self._usage.end(event.get("usage")))
        if delta.get("stop_reason") is None or self._finished:
            return
        yield from self._finish(delta, native)

    def _finish(self, message: Mapping[str, Any], native: bytes | None = None) -> Iterator[ProviderEvent]:
        yield from self._parts(self._blocks.end())
        reason, details = message.get("stop_reason"), message.get("stop_details")
        explanation = details.get("explanation") if isinstance(details, Mapping) else None
        if reason == "refusal" and isinstance(explanation, str) and explanation:
            yield from self._delta(Part({"refusal": explanation}))
        if not self._begun:
            yield from self._delta(Part({"content": ""}))
        self._finished = True
        if reason == "pause_turn" and self._written is not None:
            self._paused = True
            return
        finish = _FINISH_REASONS.get(reason, "stop") if isinstance(reason, str) else "stop"
        if self._functions and finish == "tool_calls":
            finish = "function_call"
        yield Delta({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}, "", (0,), native)

    def _parts(self, parts: Iterable[Part]) -> Iterator[ProviderEvent]:
        for part in parts:
            yield from self._delta(part)

    def _delta(self, part: Part, native: bytes | None = None) -> Iterator[ProviderEvent]:
        yield from self._accept()
        delta = part.delta
        if not self._begun and (delta or native is None):
            self._begun = True
            delta = {"role": "assistant", **delta}
        if part.text:
            self._events.spoken()
        choices = [{"index": 0, "delta": delta, "finish_reason": None}] if delta or native is None else []
        yield Delta({"choices": choices}, part.text, (), native)

    def _report(self, usage: Usage | None) -> Iterator[ProviderEvent]:
        if usage is not None:
            yield from self._accept()
            yield Report(usage)


def _joined(delta: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Join two parts of one block."""
    joined = dict(delta)
    for name, value in more.items():
        known = joined.get(name)
        joined[name] = value if known is None else known + value
    return joined
