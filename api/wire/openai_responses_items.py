"""The output items of one response: each begins, grows and ends in events, as OpenAI has them."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from api.wire import openai_responses_reasoning
from api.wire.openai_responses_tools import INPUT

Event = dict[str, Any]
COMPLETED, INCOMPLETE = "completed", "incomplete"


class Item:
    """One output item. `item` has all of it so far."""

    def __init__(self, item: dict[str, Any], output_index: int) -> None:
        self.item = item
        self.output_index = output_index

    def begin(self) -> Iterator[Event]:
        empty = {name: [] if isinstance(value, list) else value for name, value in self.item.items()}
        yield {"type": "response.output_item.added", "output_index": self.output_index, "item": empty}

    def end(self, status: str) -> Iterator[Event]:
        if "status" in self.item:
            self.item["status"] = status
        yield {"type": "response.output_item.done", "output_index": self.output_index, "item": self.item}

    def event(self, kind: str, **fields: Any) -> Event:
        return {"type": f"response.{kind}", "item_id": self.item["id"], "output_index": self.output_index, **fields}


class Message(Item):
    """Text and refusals of the assistant."""

    def __init__(self, item_id: str, output_index: int) -> None:
        item = {"id": item_id, "type": "message", "status": "in_progress", "role": "assistant", "content": []}
        super().__init__(item, output_index)
        self._text: list[str] = []
        """Of the part that grows."""

    @property
    def _part(self) -> dict[str, Any] | None:
        parts: list[dict[str, Any]] = self.item["content"]
        return parts[-1] if parts else None

    def _event(self, kind: str, **fields: Any) -> Event:
        return self.event(kind, content_index=len(self.item["content"]) - 1, **fields)

    def _begin_part(self, kind: str) -> Iterator[Event]:
        part = self._part
        if part is not None and part["type"] == kind:
            return
        yield from self._end_part()
        empty: dict[str, Any] = {"type": "refusal", "refusal": ""}
        if kind == "output_text":
            empty = {"type": kind, "text": "", "annotations": [], "logprobs": []}
        self.item["content"].append(empty)
        yield self._event("content_part.added", part={name: value or type(value)() for name, value in empty.items()})

    def add_text(self, text: str, logprobs: list[Any]) -> Iterator[Event]:
        yield from self._begin_part("output_text")
        self._text.append(text)
        if logprobs:
            self.item["content"][-1]["logprobs"].extend(logprobs)
        yield self._event("output_text.delta", delta=text, logprobs=logprobs)

    def add_refusal(self, text: str) -> Iterator[Event]:
        yield from self._begin_part("refusal")
        self._text.append(text)
        yield self._event("refusal.delta", delta=text)

    def annotate(self, annotation: dict[str, Any]) -> Iterator[Event]:
        yield from self._begin_part("output_text")
        known: list[Any] = self.item["content"][-1]["annotations"]
        known.append(annotation)
        yield self._event("output_text.annotation.added", annotation_index=len(known) - 1, annotation=annotation)

    def _end_part(self) -> Iterator[Event]:
        part, text = self._part, "".join(self._text)
        self._text = []
        if part is None:
            return
        if part["type"] == "refusal":
            part["refusal"] = text
            yield self._event("refusal.done", refusal=text)
        else:
            part["text"] = text
            yield self._event("output_text.done", text=text, logprobs=part["logprobs"])
        yield self._event("content_part.done", part=part)

    def end(self, status: str) -> Iterator[Event]:
        yield from self._end_part()
        yield from super().end(status)


class Reasoning(Item):
    """What a model thought: a summary, or its own words, and what a client has to send back."""

    def __init__(self, item_id: str, output_index: int) -> None:
        super().__init__({"id": item_id, "type": "reasoning", "summary": []}, output_index)
        self._text: list[str] = []
        self._kind: str | None = None
        self._index: Any = None
        self._details: list[Any] = []

    def add_details(self, details: list[Any]) -> None:
        self._details += details

    def add_text(self, text: str, kind: str, index: Any = None) -> Iterator[Event]:
        """`kind` is `summary` or `content`. A summary with another `index` is another part of it."""
        if kind != self._kind or (kind == "summary" and index != self._index):
            yield from self._end_part()
            yield from self._begin_part(kind)
            self._kind, self._index = kind, index
        self._text.append(text)
        yield self._event("text.delta", delta=text)

    def _event(self, what: str, **fields: Any) -> Event:
        name, at = ("reasoning_summary", "summary_index") if self._kind == "summary" else ("reasoning", "content_index")
        return self.event(f"{name}_{what}", **{at: len(self.item[self._kind or ""]) - 1}, **fields)

    def _begin_part(self, kind: str) -> Iterator[Event]:
        self._kind = kind
        part = {"type": "summary_text" if kind == "summary" else "reasoning_text", "text": ""}
        self.item.setdefault(kind, []).append(part)
        if kind == "summary":
            yield self._event("part.added", part=dict(part))
        else:
            yield self.event("content_part.added", content_index=len(self.item[kind]) - 1, part=dict(part))

    def _end_part(self) -> Iterator[Event]:
        if self._kind is None:
            return
        parts = self.item[self._kind]
        parts[-1]["text"] = text = "".join(self._text)
        self._text = []
        yield self._event("text.done", text=text)
        if self._kind == "summary":
            yield self._event("part.done", part=parts[-1])
        else:
            yield self.event("content_part.done", content_index=len(parts) - 1, part=parts[-1])

    def end(self, status: str) -> Iterator[Event]:
        yield from self._end_part()
        encrypted = openai_responses_reasoning.encrypted_content(openai_responses_reasoning.merged(self._details))
        if encrypted is not None:
            self.item["encrypted_content"] = encrypted
        yield from super().end(status)


class FunctionCall(Item):
    def __init__(self, item_id: str, output_index: int, call: Mapping[str, str]) -> None:
        item = {"id": item_id, "type": "function_call", "status": "in_progress", **call, "arguments": ""}
        super().__init__(item, output_index)
        self._parts: list[str] = []

    def add(self, text: str) -> Iterator[Event]:
        self._parts.append(text)
        yield self.event("function_call_arguments.delta", delta=text)

    def end(self, status: str) -> Iterator[Event]:
        self.item["arguments"] = arguments = "".join(self._parts)
        yield self.event("function_call_arguments.done", name=self.item["name"], arguments=arguments)
        yield from super().end(status)


class CustomCall(Item):
    """A call of a custom tool. `packed`: it came as the argument of a function, and can be read when it is whole."""

    def __init__(self, item_id: str, output_index: int, call: Mapping[str, str], *, packed: bool) -> None:
        item = {"id": item_id, "type": "custom_tool_call", "status": "in_progress", **call, "input": ""}
        super().__init__(item, output_index)
        self._parts: list[str] = []
        self._packed = packed

    def add(self, text: str) -> Iterator[Event]:
        self._parts.append(text)
        if not self._packed:
            yield self.event("custom_tool_call_input.delta", delta=text)

    def end(self, status: str) -> Iterator[Event]:
        given = "".join(self._parts)
        if self._packed:
            given = _unpacked(given)
            yield self.event("custom_tool_call_input.delta", delta=given)
        self.item["input"] = given
        yield self.event("custom_tool_call_input.done", input=given)
        yield from super().end(status)


def _unpacked(arguments: str) -> str:
    """Return the text inside the arguments, or the arguments themselves if a model wrote something else."""
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments
    if isinstance(value, dict) and isinstance(given := value.get(INPUT), str):
        return given
    return value if isinstance(value, str) else arguments
