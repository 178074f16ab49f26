"""Puts a stream's chunks together into the answer that they make, so that it can be replayed."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_OF_A_CHOICE = ("index", "delta", "message", "finish_reason")
_SAID_ONCE = frozenset({"role", "id", "type"})


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
            _merge(kept, {name: value for name, value in choice.items() if name not in _OF_A_CHOICE})

    @property
    def choices(self) -> list[dict[str, Any]]:
        return [self._choices[index] for index in sorted(self._choices)]


def _merge(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """As OpenAI's own clients put deltas together: texts grow, lists too, tool calls by their index."""
    for name, value in delta.items():
        kept: Any = message.get(name)
        if name == "tool_calls":
            _merge_calls(message.setdefault(name, []), value or ())
        elif isinstance(value, dict):
            message[name] = kept if isinstance(kept, dict) else {}
            _merge(message[name], value)
        elif name not in _SAID_ONCE and type(kept) is type(value) and isinstance(kept, str | list):
            kept += value
            message[name] = kept
        elif value is not None or kept is None:
            message[name] = list(value) if isinstance(value, list) else value  # the chunk's own does not grow


def _merge_calls(calls: list[dict[str, Any]], delta: Iterable[Mapping[str, Any]]) -> None:
    for call in delta:  # their indexes are checked where they come in
        index = call.get("index", len(calls))
        while len(calls) <= index:
            calls.append({})
        _merge(calls[index], {name: value for name, value in call.items() if name != "index"})


def deltas(choices: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The choices of a replayed stream: one chunk with all of a choice's content, and one that ends it."""
    for choice in choices:
        index, message = choice.get("index", 0), dict(choice.get("message") or {})
        if message.get("tool_calls"):
            message["tool_calls"] = [{"index": n, **call} for n, call in enumerate(message["tool_calls"])]
        beside = {name: value for name, value in choice.items() if name not in _OF_A_CHOICE}
        yield {**beside, "index": index, "delta": message, "finish_reason": None}
        yield {"index": index, "delta": {}, "finish_reason": choice.get("finish_reason") or "stop"}
