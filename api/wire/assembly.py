"""Puts a stream's chunks together into the answer that they make, so that it can be replayed."""

from collections.abc import Iterator, Mapping
from typing import Any

_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")


class Assembly:
    def __init__(self) -> None:
        self._choices: dict[int, dict[str, Any]] = {}
        self.size = 0
        """Characters of text so far."""

    def add(self, chunk: Mapping[str, Any], text: str) -> None:
        self.size += len(text)
        for choice in chunk.get("choices") or ():
            index = choice.get("index", 0)
            kept = self._choices.setdefault(
                index, {"index": index, "message": {"role": "assistant", "content": None}, "finish_reason": None}
            )
            kept["finish_reason"] = choice.get("finish_reason") or kept["finish_reason"]
            _merge(kept["message"], choice.get("delta") or {})

    @property
    def choices(self) -> list[dict[str, Any]]:
        return [self._choices[index] for index in sorted(self._choices)]


def _merge(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for name in _TEXTS:
        if isinstance(delta.get(name), str):
            message[name] = (message.get(name) or "") + delta[name]
    for call in delta.get("tool_calls") or ():  # their indexes are checked where they come in
        calls = message.setdefault("tool_calls", [])
        index = call.get("index", len(calls))
        while len(calls) <= index:
            calls.append({"id": None, "type": "function", "function": {"name": "", "arguments": ""}})
        kept, function = calls[index], call.get("function") or {}
        kept["id"] = call.get("id") or kept["id"]
        kept["function"]["name"] += function.get("name") or ""
        kept["function"]["arguments"] += function.get("arguments") or ""


def deltas(choices: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The choices of a replayed stream: one chunk with all of a choice's content, and one that ends it."""
    for choice in choices:
        index, message = choice.get("index", 0), dict(choice.get("message") or {})
        if message.get("tool_calls"):
            message["tool_calls"] = [{"index": n, **call} for n, call in enumerate(message["tool_calls"])]
        yield {"index": index, "delta": message, "finish_reason": None}
        yield {"index": index, "delta": {}, "finish_reason": choice.get("finish_reason") or "stop"}
