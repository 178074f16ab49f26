"""Reads the items and events of OpenAI's Responses as parts of OpenAI's chat."""

from collections.abc import Iterator, Mapping
from typing import Any

from domain.errors import UpstreamError
from providers.openai_responses.items import OPENAI

Part = dict[str, Any]
"""A delta of OpenAI's chat; `logprobs` beside it, if there are any, are taken out by the decoder."""
MAX_ITEMS = 1024
_CALLS = {"function_call": ("function", "arguments"), "custom_tool_call": ("custom", "input")}


class _Call:
    """A call of a tool, and how much of its text has come."""

    def __init__(self, index: int, kind: str, field: str) -> None:
        self.index, self.kind, self.field = index, kind, field
        self.size = 0

    def text(self, text: str) -> Part:
        self.size += len(text)
        return {"tool_calls": [{"index": self.index, self.kind: {self.field: text}}]}


class Parts:
    """The parts of one answer. Text that an event repeats is given once."""

    def __init__(self) -> None:
        self._calls: dict[int, _Call] = {}
        self._text: dict[int, int] = {}
        """Characters of text and refusals that have come, by output index."""
        self._thought: dict[int, int] = {}
        """Characters of reasoning that have come, by output index."""
        self._searches = 0

    @property
    def calls_tools(self) -> bool:
        return bool(self._calls)

    @property
    def searches(self) -> int:
        return self._searches

    def event(self, event: Mapping[str, Any]) -> Iterator[Part]:
        """Yield what an event adds, at most one part. Raises `UpstreamError` for a malformed one."""
        at = event.get("output_index", 0)
        if type(at) is not int or not 0 <= at < MAX_ITEMS:
            raise UpstreamError
        match event.get("type"):
            case "response.output_text.delta":
                yield {"content": self._more(at, event), "logprobs": event.get("logprobs")}
            case "response.refusal.delta":
                yield {"refusal": self._more(at, event)}
            case "response.reasoning_summary_text.delta":
                yield self._thinking(at, event, "summary", event.get("summary_index"))
            case "response.reasoning_text.delta":
                yield self._thinking(at, event, "text", event.get("content_index"))
            case "response.output_text.annotation.added":
                yield from _annotations([event.get("annotation")])
            case str() as kind:
                yield from self._item_event(kind, at, event)

    def _item_event(self, kind: str, at: int, event: Mapping[str, Any]) -> Iterator[Part]:
        match kind:
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                yield self._call(at).text(_text(event, "delta"))
            case "response.function_call_arguments.done" | "response.custom_tool_call_input.done":
                yield from self._rest(at, event)
            case "response.output_item.added":
                yield from self._added(at, _item(event))
            case "response.output_item.done":
                yield from self._done(at, _item(event))

    def whole(self, output: list[Any]) -> Iterator[Part]:
        """Yield the parts of an answer that came whole."""
        for at, item in enumerate(output):
            if not isinstance(item, dict) or at >= MAX_ITEMS:
                raise UpstreamError
            yield from self._added(at, item)
            for annotations in _annotations_of(item):
                yield from _annotations(annotations)
            for kind, text, logprobs in _texts_of(item):
                part = (
                    self._thinking(at, {"delta": text, "item_id": item.get("id")}, kind, None)
                    if kind in ("summary", "text")
                    else {kind: text}
                )
                yield part | ({"logprobs": logprobs} if logprobs else {})
            self._text[at] = self._thought[at] = 1
            yield from self._done(at, item)

    def rest(self, output: object) -> Iterator[Part]:
        """Yield what only the last event has: some servers send the messages or calls of an answer nowhere else."""
        spoken, called, shown = any(self._text.values()), bool(self._calls), 0
        for at, item in enumerate(output[:MAX_ITEMS] if isinstance(output, list) else ()):
            if not isinstance(item, dict):
                raise UpstreamError
            if item.get("type") == "message" and not spoken:
                for annotations in _annotations_of(item):
                    yield from _annotations(annotations)
                yield from _message(item)
            elif not called and str(item.get("type")) in _CALLS:
                yield from self._done(at, item)
            shown += _searches_in(item)
        self._searches = max(self._searches, shown)

    def _more(self, at: int, event: Mapping[str, Any]) -> str:
        text = _text(event, "delta")
        self._text[at] = self._text.get(at, 0) + len(text)
        return text

    def _thinking(self, at: int, event: Mapping[str, Any], kind: str, index: Any) -> Part:
        text = _text(event, "delta")
        self._thought[at] = self._thought.get(at, 0) + len(text)
        detail = {"type": f"reasoning.{kind}", kind: text, "format": OPENAI, "index": index if index else 0}
        own_id = {"id": event["item_id"]} if isinstance(event.get("item_id"), str) else {}
        return {"reasoning_content": text, "reasoning_details": [{**detail, **own_id}]}

    def _call(self, at: int) -> _Call:
        call = self._calls.get(at)
        if call is None:
            raise UpstreamError
        return call

    def _rest(self, at: int, event: Mapping[str, Any]) -> Iterator[Part]:
        """What was not streamed: some servers send a call's text in its last event only."""
        call = self._call(at)
        given = event.get(call.field)
        if isinstance(given, str) and len(given) > call.size:
            yield call.text(given[call.size :])

    def _added(self, at: int, item: Mapping[str, Any]) -> Iterator[Part]:
        kind = item.get("type")
        if not isinstance(kind, str) or kind not in _CALLS or at in self._calls:
            return
        inner, field = _CALLS[kind]
        call = self._calls[at] = _Call(len(self._calls), inner, field)
        text = item.get(field)
        text = text if isinstance(text, str) else ""
        call.size = len(text)
        called = {"name": _text(item, "name"), field: text}
        call_id = item.get("call_id") or item.get("id") or f"call_{at}"
        yield {"tool_calls": [{"index": call.index, "id": str(call_id), "type": inner, inner: called}]}

    def _done(self, at: int, item: Mapping[str, Any]) -> Iterator[Part]:
        match item.get("type"):
            case "function_call" | "custom_tool_call":
                yield from self._added(at, item)
                yield from self._rest(at, item)
            case "reasoning":
                yield from self._thought_of(at, item)
            case "message" if not self._text.get(at):
                self._text[at] = 1
                yield from _message(item)
            case "web_search_call":
                self._searches += _searches_in(item)

    def _thought_of(self, at: int, item: Mapping[str, Any]) -> Iterator[Part]:
        """The encrypted reasoning of an item that is complete: that of its beginning is another one."""
        part: Part = {}
        if not self._thought.get(at) and (texts := _texts_of(item)):
            kind = texts[0][0]
            words = "".join(text for _, text, _ in texts)
            part = self._thinking(at, {"delta": words, "item_id": item.get("id")}, kind, None)
        if isinstance(data := item.get("encrypted_content"), str) and data:
            own_id = {"id": item["id"]} if isinstance(item.get("id"), str) else {}
            secret = {"type": "reasoning.encrypted", "data": data, "format": OPENAI, "index": 0, **own_id}
            part = {**part, "reasoning_details": [*part.get("reasoning_details", []), secret]}
        if part:
            yield part


def _searches_in(item: Mapping[str, Any]) -> int:
    action = item.get("action")
    searched = not isinstance(action, dict) or action.get("type", "search") == "search"
    return int(item.get("type") == "web_search_call" and searched)


def _item(event: Mapping[str, Any]) -> Mapping[str, Any]:
    item = event.get("item")
    if not isinstance(item, dict):
        raise UpstreamError
    return item


def _text(value: Mapping[str, Any], name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str):
        raise UpstreamError
    return text


def _parts_of(item: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    parts = item.get(name)
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def _texts_of(item: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """The texts of an item that is complete: a message's field or the kind of reasoning, text, log probabilities."""
    fields = {"output_text": ("content", "text"), "refusal": ("refusal", "refusal"), "reasoning_text": ("text", "text")}
    texts = [("summary", part.get("text"), None) for part in _parts_of(item, "summary")]
    for part in _parts_of(item, "content"):
        kind, name = fields.get(str(part.get("type")), ("", ""))
        if kind:
            texts.append((kind, part.get(name), part.get("logprobs")))
    return [(kind, text, logprobs) for kind, text, logprobs in texts if isinstance(text, str) and text]


def _message(item: Mapping[str, Any]) -> Iterator[Part]:
    """The texts of a message that was not streamed, in one part."""
    part: Part = {}
    for kind, text, _ in _texts_of(item):
        part[kind] = part.get(kind, "") + text
    if part:
        yield part


def _annotations_of(item: Mapping[str, Any]) -> Iterator[list[Any]]:
    for part in _parts_of(item, "content"):
        if isinstance(listed := part.get("annotations"), list) and listed:
            yield listed


def _annotations(listed: list[Any]) -> Iterator[Part]:
    names = ("start_index", "end_index", "title", "url")
    cited = [
        {"type": "url_citation", "url_citation": {name: each.get(name) for name in names}}
        for each in listed
        if isinstance(each, dict) and each.get("type") == "url_citation"
    ]
    if cited:
        yield {"annotations": cited}
