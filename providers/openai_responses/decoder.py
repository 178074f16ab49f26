"""Decodes a streamed answer on OpenAI's Responses into events. A whole answer is the same events, without the bytes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from domain.errors import UpstreamError
from domain.pricing import Usage
from providers import sse, upstream_json
from providers.answer_decoder import MAX_VALUES, AnswerDecoder
from providers.base import ChatCall, Delta, Done, ProviderEvent, Report
from providers.openai import text, usage
from providers.openai.errors import value_of
from providers.openai_responses import errors
from providers.openai_responses.native import is_native
from providers.openai_responses.parts import Part, Parts

_ENDS = ("response.completed", "response.incomplete")
_FAILS = ("error", "response.failed", "response.cancelled")


class ResponsesDecoder(AnswerDecoder):
    """Implements `providers.base.StreamDecoder`."""

    def __init__(self, call: ChatCall) -> None:
        super().__init__(call)
        self._native = is_native(call)
        self._begun = False
        """True when the first part was given."""
        self._parts = Parts()

    def _document(self, document: bytes) -> Iterator[ProviderEvent]:
        return self.answer(upstream_json.read_whole(document))

    def _at_eof(self) -> Iterator[ProviderEvent]:
        raise UpstreamError  # cut off: the last event has the whole response

    def answer(self, response: Any) -> Iterator[ProviderEvent]:
        """Give the events of a whole answer. Raises `UpstreamError` if it is none, or the failure that it reports."""
        if not isinstance(response, Mapping):
            raise UpstreamError
        if response.get("error") or response.get("status") == "failed":
            raise errors.within(self._call, response)
        output = response.get("output")
        if not isinstance(output, list) or response.get("status") not in ("completed", "incomplete"):
            raise UpstreamError
        yield from self._accept()
        yield self._delta({"content": None}, None)
        for part in self._parts.whole(output):
            yield self._delta(part, None)
        yield from self._end(response, None)

    def _read(self, events: Iterable[bytes | sse.Failure]) -> Iterator[ProviderEvent]:
        for data in events:
            if isinstance(data, sse.Failure):
                raise self._failure(value_of(data.data))
            if data.strip()[:6] == b"[DONE]":
                raise UpstreamError  # the response that ends the stream did not come
            event, data = upstream_json.read_object(data, MAX_VALUES)
            yield from self._event(event, data.strip() if self._native else None)
            if self._done:
                return

    def _event(self, event: dict[str, Any], native: bytes | None) -> Iterator[ProviderEvent]:
        kind = event.get("type")
        if kind in _FAILS or (kind is None and "error" in event):
            raise self._failure(event)
        if not isinstance(kind, str) or not kind.startswith("response."):
            return
        yield from self._accept()
        if kind in _ENDS:
            response = event.get("response")
            if not isinstance(response, Mapping):
                raise UpstreamError
            for late in self._parts.rest(response.get("output")):
                yield self._delta(late, None)
            yield from self._end(response, native)
            return
        part = next(self._parts.event(event), None)
        if part is not None:
            yield self._delta(part, native)
        elif native is not None:
            yield Delta({"choices": []}, native=native)

    def _failure(self, event: Any) -> Exception:
        """Translate a failure for the caller. After the first part it is always an `UpstreamError`."""
        return UpstreamError() if self._begun else errors.within(self._call, event)

    def _delta(self, part: Part, native: bytes | None) -> Delta:
        logprobs = part.pop("logprobs", None)
        words = text.of_delta(part)
        if words:
            self._events.spoken()
        if not self._begun:
            self._begun = True
            part = {"role": "assistant", **part}
        choice: dict[str, Any] = {"index": 0, "delta": part, "finish_reason": None}
        if isinstance(logprobs, list) and logprobs:
            choice["logprobs"] = {"content": logprobs}
        return Delta({"choices": [choice]}, words, native=native)

    def _end(self, response: Mapping[str, Any], native: bytes | None) -> Iterator[ProviderEvent]:
        if not self._begun:
            yield self._delta({"content": ""}, None)
        tier = response.get("service_tier")
        beside = {"service_tier": tier} if isinstance(tier, str) else {}
        choice = {"index": 0, "delta": {}, "finish_reason": self._finish(response)}
        yield Delta({"choices": [choice], **beside}, finished=(0,), native=native)
        if (used := self._usage(response)) is not None:
            yield Report(used)
        self._done = True
        yield Done()

    def _finish(self, response: Mapping[str, Any]) -> str:
        if response.get("status") == "incomplete":
            details = response.get("incomplete_details")
            reason = details.get("reason") if isinstance(details, Mapping) else None
            return "content_filter" if reason == "content_filter" else "length"
        return "tool_calls" if self._parts.calls_tools else "stop"

    def _usage(self, response: Mapping[str, Any]) -> Usage | None:
        used = usage.of_report(response.get("usage"), response.get("service_tier"))
        if used is None or used.web_searches is not None:
            return used
        tools = response.get("tool_usage")
        search = tools.get("web_search") if isinstance(tools, Mapping) else None
        reported = search.get("num_requests") if isinstance(search, Mapping) else None
        count = reported if type(reported) is int and 0 < reported <= usage.MAX_SEARCHES else self._parts.searches
        searching = self._call.body.get("web_search_options") is not None
        return replace(used, web_searches=count) if count or searching else used
