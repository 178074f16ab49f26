"""Decodes a streamed answer into events by its content: some providers send a wrong content type."""

from collections.abc import Iterable, Iterator
from typing import Any

from domain.errors import UpstreamError
from domain.pricing import Usage
from providers import sse, upstream_json
from providers.answer_decoder import MAX_VALUES, AnswerDecoder
from providers.base import ChatCall, Delta, Done, ProviderEvent, Report, WholeAnswer
from providers.openai import errors, shapes, text, usage, whole
from providers.openai.calls import ToolCalls
from providers.openai.surrogates import Halves

_OBJECT = ord("{")
_MAY_FAIL = frozenset({"error", "base_resp", "x_groq"})
"""Fields beside choices that may report a failure."""
_COMMON = frozenset({"index", "delta", "finish_reason", "logprobs", "native_finish_reason", "stop_reason", "token_ids"})
"""Fields of a choice that goes on. A choice with any other field does not take the short path."""


class _Choice:
    """What is known of one choice so far."""

    __slots__ = ("begun", "calls", "finished", "spoken")

    def __init__(self, seed: str) -> None:
        self.begun = False
        self.finished = False
        self.spoken = False
        """True when it has had any content beside its role."""
        self.calls = ToolCalls(seed)


class OpenAIDecoder(AnswerDecoder):
    """Implements `providers.base.StreamDecoder`."""

    def __init__(self, call: ChatCall) -> None:
        super().__init__(call)
        self._choices: dict[int, _Choice] = {}
        self._halves = Halves()
        self._usage: Usage | None = None
        self._service_tier: object = None

    def feed(self, data: bytes) -> Iterable[ProviderEvent]:
        if not self._source.is_stream or self._done:
            return super().feed(data)
        event = self._events.whole(data)
        if event is None:
            return super().feed(data)
        chunk, doubtful = upstream_json.read(event, MAX_VALUES)
        delta = None if doubtful else self._common(chunk)
        if delta is not None:
            return (delta,)
        self._events.silent(len(event))
        return self._chunk(chunk, doubtful)

    def _at_eof(self) -> Iterator[ProviderEvent]:
        ended = sum(choice.finished for choice in self._choices.values())
        if ended < self._call.choices or ended < len(self._choices):  # cut off: no [DONE], nor a finish reason for each
            raise UpstreamError
        self._done = True
        yield Done()

    def _document(self, document: bytes) -> Iterator[ProviderEvent]:
        complete = self._read_whole(upstream_json.read_whole(document))
        yield from self._accept()
        yield from whole.events(complete)
        self._done = True
        yield Done()

    def _read_whole(self, body: Any) -> WholeAnswer:
        return whole.answer(self._call, body)

    def _read(self, events: Iterable[bytes | sse.Failure]) -> Iterator[ProviderEvent]:
        for event in events:
            if type(event) is bytes and event[0] == _OBJECT:
                try:
                    chunk, doubtful = upstream_json.read(event, MAX_VALUES)
                except UpstreamError:
                    if b"\n" not in event:
                        raise
                    yield from self._read(filter(None, event.split(b"\n")))  # events without an empty line between them
                    continue
                delta = None if doubtful else self._common(chunk)
                if delta is not None:
                    yield delta
                else:
                    yield from self._chunk(chunk, doubtful)
            else:
                yield from self._odd_event(event)
                if self._done:
                    return

    def _odd_event(self, event: bytes | sse.Failure) -> Iterator[ProviderEvent]:
        """Read an event that does not begin as an object: `[DONE]`, or a failure."""
        if isinstance(event, sse.Failure):
            raise self._failure(errors.value_of(event.data))
        event = event.strip()
        if event.strip(b'"')[:6].upper() == b"[DONE]" or event.upper() == b"DONE":
            yield from self._end()
        elif event[:1] == b"{":
            yield from self._chunk(*upstream_json.read(event, MAX_VALUES))
        elif event != b"null":
            raise UpstreamError

    def _common(self, chunk: dict[str, Any]) -> Delta | None:
        """The short path for most chunks: one choice that goes on with `content`. None for any other chunk."""
        choices = chunk.get("choices")
        if type(choices) is not list or len(choices) != 1 or type(choice := choices[0]) is not dict:
            return None
        delta, index = choice.get("delta"), choice.get("index")
        if type(delta) is not dict or len(delta) != 1 or type(index) is not int or index not in self._choices:
            return None
        content = delta.get("content")
        if not content or type(content) is not str or not self._is_plain(chunk, choice):
            return None
        self._choices[index].spoken = True
        self._events.spoken()
        return Delta({"choices": choices, **self._beside(chunk)}, content)

    def _is_plain(self, chunk: dict[str, Any], choice: dict[str, Any]) -> bool:
        """Tell whether the chunk ends nothing, reports nothing and needs no repair."""
        if chunk.get("error") or chunk.get("usage") or "base_resp" in chunk or self._halves.pending:
            return False
        return choice.get("finish_reason", 0) is None and choice.get("logprobs") is None and choice.keys() <= _COMMON

    def _chunk(self, chunk: dict[str, Any], doubtful: bool) -> Iterator[ProviderEvent]:
        choices = chunk.get("choices")
        if not choices or not _MAY_FAIL.isdisjoint(chunk):
            yield from self._odd(chunk)
        if choices:
            if not self._accepted:
                yield from self._accept()
            yield from self._deltas(chunk, doubtful)
        if (report := usage.report_in(chunk)) is not None:
            self._service_tier = chunk.get("service_tier") or self._service_tier
            yield from self._report(report)

    def _odd(self, chunk: dict[str, Any]) -> Iterator[ProviderEvent]:
        """Raise the failure that a chunk reports, after its usage. Do nothing for another chunk."""
        if errors.reports_failure(chunk):
            yield from self._report(chunk.get("usage"))
            raise self._failure(chunk)

    def _failure(self, value: Any) -> Exception:
        """Translate a failure for the caller. After the first choice it is always an `UpstreamError`."""
        return errors.within(value, self._call.body) if not self._choices else UpstreamError()

    def _report(self, report: object) -> Iterator[ProviderEvent]:
        """Give a usage report. Reports are cumulative, so one with less output than the last is ignored."""
        used = usage.of_report(report, self._service_tier)
        if used is None:
            return
        if self._usage is not None and used.output_tokens < self._usage.output_tokens:
            return
        yield from self._accept()
        self._usage = used
        yield Report(used)

    def _deltas(self, chunk: dict[str, Any], doubtful: bool) -> Iterator[ProviderEvent]:
        beside = self._beside(chunk)
        if doubtful:
            beside = upstream_json.repaired(beside)
        ends: list[dict[str, Any]] = []
        listed = enumerate(shapes.choices_of(chunk))
        completed = [self._part(choice, shapes.index_of(choice, n), chunk, ends) for n, choice in listed]
        if doubtful or self._halves.pending:
            completed = [self._whole_characters(part, ends) for part in completed]
        parts = [part for part in completed if part["delta"] or part.get("logprobs")]
        if parts:
            words = "".join([text.of_delta(part["delta"]) for part in parts])
            if words:
                self._events.spoken()
            yield Delta({"choices": parts, **beside}, words)
        if ends:  # in a delta of its own: the relay holds it back
            yield _ending(ends, beside)

    def _beside(self, chunk: dict[str, Any]) -> dict[str, Any]:
        beside = shapes.beside(chunk)
        if beside:
            self._service_tier = beside.get("service_tier", self._service_tier)
        return beside

    def _part(
        self, choice: dict[str, Any], index: int, chunk: dict[str, Any], ends: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Complete the part of a choice. Its end, if it is the first one, is appended to `ends`."""
        known = self._choices.get(index)
        if known is None:
            known = self._choices[index] = self._new(index, chunk)
        delta = self._delta(choice, known)
        reason = shapes.finish_of(choice)
        if reason and not known.finished:
            known.finished = True
            ends.append({"index": index, "delta": {}, "finish_reason": reason})
        return {"index": index, "delta": delta, "finish_reason": None, **shapes.of_choice(choice)}

    def _whole_characters(self, part: dict[str, Any], ends: list[dict[str, Any]]) -> dict[str, Any]:
        index = part["index"]
        delta = self._halves.joined(index, part["delta"])
        if any(end["index"] == index for end in ends):
            delta = self._halves.flush(index, delta)
        return {**upstream_json.repaired({**part, "delta": None}), "delta": delta}

    def _new(self, index: int, chunk: dict[str, Any]) -> _Choice:
        return _Choice(f"{chunk.get('id')}:{len(self._call.body.get('messages') or ())}:{index}")

    def _delta(self, choice: dict[str, Any], known: _Choice) -> dict[str, Any]:
        """Complete a delta: only the first one of a choice has a role, and tool calls have indexes.

        Raises `UpstreamError` for a malformed one.
        """
        delta, message = choice.get("delta") or {}, choice.get("message") or {}
        if not isinstance(delta, dict) or not isinstance(message, dict):
            raise UpstreamError
        if not _says_something(delta) and not (known.spoken and "delta" in choice):  # else it repeats the whole text
            delta = message or delta
        if "delta" not in choice and "message" not in choice and "text" in choice:  # a text completion
            raise UpstreamError
        delta = shapes.content(delta, known.calls)
        known.spoken = known.spoken or _says_something(delta)
        if known.begun:
            return {name: value for name, value in delta.items() if name != "role"} if "role" in delta else delta
        known.begun = True
        return {**delta, "role": "assistant"} if "role" in delta else {"role": "assistant", **delta}

    def _end(self) -> Iterator[ProviderEvent]:
        """Give `Done`, after a finish reason for each choice without one. Raises `UpstreamError` without choices."""
        if not self._choices:
            raise UpstreamError
        missing: list[dict[str, Any]] = [
            {"index": index, "delta": {}, "finish_reason": "tool_calls" if len(choice.calls) else "stop"}
            for index, choice in sorted(self._choices.items())
            if not choice.finished
        ]
        self._done = True
        if missing:
            yield _ending(missing, {})
        yield Done()


def _says_something(delta: dict[str, Any]) -> bool:
    return any(delta[name] for name in delta if name != "role")


def _ending(choices: list[dict[str, Any]], beside: dict[str, Any]) -> Delta:
    return Delta({"choices": choices, **beside}, "", tuple([choice["index"] for choice in choices]))
