"""Turns the deltas of OpenAI's chat into the output items of a response, and the events that tell of them."""

from collections.abc import Iterator, Mapping
from typing import Any

from api.wire import openai_responses_tools
from api.wire.openai_responses_items import COMPLETED, CustomCall, Event, FunctionCall, Item, Message, Reasoning

_PLAIN = ("reasoning_content", "reasoning")
UNLIKELY = -9999.0
"""The log probability that OpenAI writes for a token that is not among the likely ones."""


class Output:
    """The output of one response. Items are numbered in the order in which they begin."""

    def __init__(self, request: Mapping[str, Any], seed: str) -> None:
        self._seed = seed
        self._called = openai_responses_tools.called(request)
        reasoning = request.get("reasoning")
        self._summary = isinstance(reasoning, dict) and bool(reasoning.get("summary"))
        """True if the client asked for a summary: then it gets what the model thought as one."""
        self._items: list[Item] = []
        self._growing: Message | Reasoning | None = None
        self._calls: dict[int, FunctionCall | CustomCall] = {}
        """Calls that have begun and not ended, by their indexes."""

    @property
    def items(self) -> list[dict[str, Any]]:
        return [each.item for each in self._items]

    def delta(self, choice: Mapping[str, Any]) -> Iterator[Event]:
        """Yield the events of a choice's part. `choice` may also have a whole message as its delta."""
        delta: Mapping[str, Any] = choice.get("delta") or {}
        yield from self._reasoning(delta)
        content, refused = delta.get("content"), delta.get("refusal")
        if isinstance(content, str) and content:
            yield from self._grow(Message, "msg")
            assert isinstance(self._growing, Message)  # noqa: S101  # it has just begun
            yield from self._growing.add_text(content, _logprobs(choice))
        if isinstance(refused, str) and refused:
            yield from self._grow(Message, "msg")
            assert isinstance(self._growing, Message)  # noqa: S101
            yield from self._growing.add_refusal(refused)
        for annotation in _listed(delta.get("annotations")):
            yield from self._annotation(annotation)
        for call in _listed(delta.get("tool_calls")):
            yield from self._call(call)

    def end(self, status: str = COMPLETED) -> Iterator[Event]:
        """End what has begun. `status` is that of the last item."""
        begun: list[Item] = [*([self._growing] if self._growing else []), *self._calls.values()]
        begun.sort(key=lambda item: item.output_index)
        self._growing, self._calls = None, {}
        for item in begun:
            yield from item.end(status if item is begun[-1] else COMPLETED)

    def _reasoning(self, delta: Mapping[str, Any]) -> Iterator[Event]:
        details = [each for each in _listed(delta.get("reasoning_details")) if isinstance(each, dict)]
        texts = [_text_of(each) for each in details]
        plain = next((text for name in _PLAIN if isinstance(text := delta.get(name), str) and text), None)
        if not any(text for text, _, _ in texts) and plain is not None:
            texts = [(plain, "content", None)]
        if not details and not texts:
            return
        yield from self._grow(Reasoning, "rs", next((each["id"] for each in details if each.get("id")), None))
        assert isinstance(self._growing, Reasoning)  # noqa: S101  # it has just begun
        self._growing.add_details(details)
        for text, kind, index in texts:
            if text:
                yield from self._growing.add_text(text, "summary" if self._summary else kind, index)

    def _grow(self, kind: type[Message] | type[Reasoning], prefix: str, own_id: Any = None) -> Iterator[Event]:
        """Let an item of this kind be the one that grows: end another one, and begin this one."""
        growing = self._growing
        if type(growing) is kind:
            known = growing.item["id"]
            if own_id in (None, known) or known == self._id(prefix, growing.output_index):
                return
        if growing is not None:
            yield from growing.end(COMPLETED)
        fresh = isinstance(own_id, str) and all(own_id != each.item["id"] for each in self._items)
        item_id = own_id if fresh else self._id(prefix, len(self._items))
        self._growing = kind(item_id, len(self._items))
        yield from self._begin(self._growing)

    def _begin(self, item: Item) -> Iterator[Event]:
        self._items.append(item)
        return item.begin()

    def _id(self, prefix: str, output_index: int) -> str:
        return f"{prefix}_{self._seed}{output_index:04x}"

    def _annotation(self, annotation: Any) -> Iterator[Event]:
        if not isinstance(annotation, dict):
            return
        kind = annotation.get("type")
        inner = annotation.get(kind) if isinstance(kind, str) else None
        if kind != "url_citation" or not isinstance(inner, dict):
            return
        yield from self._grow(Message, "msg")
        assert isinstance(self._growing, Message)  # noqa: S101  # it has just begun
        places = {"start_index": inner.get("start_index") or 0, "end_index": inner.get("end_index") or 0}
        texts = {"title": inner.get("title") or "", "url": inner.get("url") or ""}
        yield from self._growing.annotate({"type": kind, **places, **texts})

    def _call(self, call: Mapping[str, Any]) -> Iterator[Event]:
        index = call.get("index", len(self._calls))
        known = self._calls.get(index)
        inner = call.get("function") or call.get("custom") or {}
        if known is None:
            if self._growing is not None:
                yield from self._growing.end(COMPLETED)
                self._growing = None
            known = self._calls[index] = self._new_call(call, inner)
            yield from self._begin(known)
        if text := inner.get("arguments") or inner.get("input"):
            yield from known.add(text)

    def _new_call(self, call: Mapping[str, Any], inner: Mapping[str, Any]) -> FunctionCall | CustomCall:
        index, name, call_id = len(self._items), inner.get("name") or "", call.get("id") or ""
        known = self._called.get(name)
        call_of = {"call_id": call_id, "name": known.name if known else name}
        if known is not None and known.namespace is not None:
            call_of["namespace"] = known.namespace
        packed = known is not None and known.custom and "custom" not in call
        if packed or "custom" in call:
            return CustomCall(self._id("ctc", index), index, call_of, packed=packed)
        return FunctionCall(self._id("fc", index), index, call_of)


def _text_of(detail: Mapping[str, Any]) -> tuple[str, str, Any]:
    """The text of one of `reasoning_details`, what it is in an item, and its index."""
    match detail:
        case {"type": "reasoning.summary", "summary": str() as text}:
            return text, "summary", detail.get("index")
        case {"type": "reasoning.text", "text": str() as text}:
            return text, "content", detail.get("index")
    return "", "content", None


def _logprobs(choice: Mapping[str, Any]) -> list[Any]:
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    return [
        {**_logprob(each), "top_logprobs": [_logprob(other) for other in _tokens(each.get("top_logprobs"))]}
        for each in _tokens(content)
    ]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _tokens(listed: Any) -> list[dict[str, Any]]:
    return [each for each in _listed(listed) if isinstance(each, dict) and isinstance(each.get("token"), str)]


def _logprob(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Here each token has its bytes, and a number: a chat may leave both out."""
    token, logprob, given = entry["token"], entry.get("logprob"), entry.get("bytes")
    known = isinstance(logprob, int | float) and not isinstance(logprob, bool)
    return {
        "token": token,
        "bytes": given if isinstance(given, list) else list(token.encode("utf-8", "replace")),
        "logprob": logprob if known else UNLIKELY,
    }
