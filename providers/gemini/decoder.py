"""Decodes an answer into events: server-sent events, or one JSON document (an answer, or an array of its parts)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from domain.errors import UpstreamError
from domain.pricing import Usage
from providers import sse, upstream_json
from providers.answer_decoder import MAX_VALUES, AnswerDecoder
from providers.base import ChatCall, Delta, Done, ProviderEvent, Report
from providers.gemini import choices, errors, usage
from providers.gemini.choices import Choice
from providers.openai.errors import value_of
from providers.streamed_answer import StreamedAnswer

MAX_WHOLE = 32 * 1024 * 1024
"""Bytes of an answer that comes as one document although a stream was requested, and of an event with an image."""
MAX_INDEX = 64


class GeminiDecoder(AnswerDecoder):
    """Implements `providers.base.StreamDecoder`. The end of the stream is the end: Gemini sends no other sign of it."""

    def __init__(self, call: ChatCall) -> None:
        images = "image" in (call.body.get("modalities") or ())
        events = sse.Decoder(MAX_WHOLE if images else sse.MAX_EVENT)
        super().__init__(call, StreamedAnswer(events, MAX_WHOLE, begins=(b"{", b"[")))
        self._blocked = False
        self._choices: dict[int, Choice] = {}
        self._usage: Usage | None = None
        self._searched = call.body.get("web_search_options") is not None

    def _document(self, document: bytes) -> Iterator[ProviderEvent]:
        return self._responses(upstream_json.read_whole(document))

    def _responses(self, value: Any) -> Iterator[ProviderEvent]:
        """Read one response, or several in an array."""
        for response in value if isinstance(value, list) else (value,):
            if not isinstance(response, Mapping):
                raise UpstreamError
            if errors.reports_failure(response):
                raise errors.within(response, self._call.body)
            yield from self._response(response)

    def _read(self, events: Iterable[bytes | sse.Failure]) -> Iterator[ProviderEvent]:
        for event in events:
            if isinstance(event, sse.Failure):
                raise errors.within(value_of(event.data), self._call.body)
            if event.strip() == b"[DONE]":  # a proxy's
                yield from self._at_eof()
                return
            value, doubtful = upstream_json.read(event, MAX_VALUES)
            yield from self._responses(upstream_json.repaired(value) if doubtful else value)

    def _response(self, response: Mapping[str, Any]) -> Iterator[ProviderEvent]:
        yield from self._accept()
        candidates = response.get("candidates")
        if not isinstance(candidates, list | None):
            raise UpstreamError
        feedback = response.get("promptFeedback")
        if isinstance(feedback, Mapping) and feedback.get("blockReason"):
            self._blocked = True
        parts, texts = [], []
        for position, candidate in enumerate(candidates or ()):
            part, text = self._candidate(candidate, position, response.get("responseId"))
            texts.append(text)
            if part["delta"] or ("logprobs" in part and self._choice(part["index"]).begun):
                parts.append(part)
        if parts:
            self._events.spoken()
            yield Delta({"choices": parts}, "".join(texts))
        if (report := self._report(response.get("usageMetadata"))) is not None:
            yield report

    def _candidate(self, candidate: Any, position: int, response_id: object) -> tuple[dict[str, Any], str]:
        if not isinstance(candidate, Mapping):
            raise UpstreamError
        given = candidate.get("index")
        index = position if given is None else upstream_json.integer(given)
        if index is None or not 0 <= index < MAX_INDEX:
            raise UpstreamError
        choice = self._choice(index)
        delta, text = choice.delta(candidate, response_id)
        part: dict[str, Any] = {"index": index, "delta": delta, "finish_reason": None}
        if (logprobs := choices.logprobs(candidate)) is not None:
            part["logprobs"] = logprobs
        return part, text

    def _choice(self, index: int) -> Choice:
        choice = self._choices.get(index)
        if choice is None:
            turns = len(self._call.body.get("messages") or ())
            choice = self._choices[index] = Choice(f"{turns}:{index}")
        return choice

    def _report(self, metadata: Any) -> Report | None:
        each = self._choices.values()
        if self._blocked and not each:
            used = usage.of_blocked(metadata)
        else:
            spoken = any(choice.spoken and not choice.filtered for choice in each)
            searches = sum(choice.sources.searches(self._call.model) for choice in each) if self._searched else None
            used = usage.of_report(metadata, spoken=spoken, searches=searches)
        if used is None or used == self._usage:
            return None
        self._usage = used
        return Report(used)

    def _at_eof(self) -> Iterator[ProviderEvent]:
        """Give the end of each choice. Raises `UpstreamError` if the answer was cut off, or failed."""
        if self._blocked and not self._choices:
            finishes = dict.fromkeys(range(self._call.choices), "content_filter")
        else:
            if not self._choices or not all(choice.ended for choice in self._choices.values()):
                raise UpstreamError
            finishes = {index: choice.finish() for index, choice in sorted(self._choices.items())}
        silent = [index for index, finish in finishes.items() if finish == "content_filter" and self._is_empty(index)]
        if silent:
            refusals = [{"index": n, "delta": self._choice(n).refusal(), "finish_reason": None} for n in silent]
            yield Delta({"choices": refusals})
        ends = [{"index": index, "delta": {}, "finish_reason": finish} for index, finish in finishes.items()]
        self._done = True
        yield Delta({"choices": ends}, finished=tuple(finishes))
        yield Done()

    def _is_empty(self, index: int) -> bool:
        return not self._choice(index).spoken
