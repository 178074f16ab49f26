"""Puts a stream's chunks together into the answer that they make, and takes such an answer apart again for a replay."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.answers import ANSWER_FIELDS
from gateway.idempotency import MAX_REPLAY_BYTES
from providers.base import Delta

_OF_A_CHOICE = ("index", "delta", "message", "finish_reason")
_NOT_CONCATENATED = frozenset({"role", "id", "type"})


class Assembly:
    def __init__(self) -> None:
        self._choices: dict[int, dict[str, Any]] = {}
        self.beside: dict[str, Any] = {}
        """What the chunks say beside their choices; the last one counts."""
        self.size = 0
        """Characters of text so far."""
        self.natives: list[tuple[bytes, bool]] = []
        """The provider's own events, each with whether it ends a choice. Empty if they are too many for a replay."""
        self._native_bytes_left = MAX_REPLAY_BYTES

    def take(self, delta: Delta) -> None:
        """Add a delta, with the provider's own event."""
        self.add(delta.chunk, delta.text)
        if delta.native is not None and self._native_bytes_left >= 0:
            self._native_bytes_left -= len(delta.native)
            self.natives.append((delta.native, bool(delta.finished)))
            if self._native_bytes_left < 0:
                self.natives = []

    def add(self, chunk: Mapping[str, Any], text: str) -> None:
        self.size += len(text)
        for name in ANSWER_FIELDS:
            if chunk.get(name) is not None:
                self.beside[name] = chunk[name]
        for choice in chunk["choices"]:
            index = choice["index"]
            whole = self._choices.setdefault(
                index, {"index": index, "message": {"role": "assistant", "content": None}, "finish_reason": None}
            )
            whole["finish_reason"] = choice.get("finish_reason") or whole["finish_reason"]
            _merge(whole["message"], choice.get("delta") or {})
            _merge_choice(whole, choice)

    @property
    def choices(self) -> list[dict[str, Any]]:
        """The choices by index. Tool calls keep their `index`, so that a replay names them as the stream did."""
        return [self._choices[index] for index in sorted(self._choices)]


def _merge_choice(whole: dict[str, Any], choice: Mapping[str, Any]) -> None:
    """Merge the fields beside the message: log probabilities and other lists grow; vendors' fields are replaced."""
    for name, value in choice.items():
        if name in _OF_A_CHOICE:
            continue
        if name == "logprobs" or isinstance(value, list):
            _merge(whole, {name: value})
        elif value is not None or name not in whole:
            whole[name] = value


def _merge(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Merge a delta as OpenAI's own clients do: texts and lists grow, tool calls are merged by index."""
    for name, value in delta.items():
        known: Any = message.get(name)
        if name == "tool_calls":
            _merge_calls(message.setdefault(name, []), value or ())
        elif isinstance(value, dict):
            message[name] = known if isinstance(known, dict) else {}
            _merge(message[name], value)
        elif name not in _NOT_CONCATENATED and type(known) is type(value) and isinstance(known, str | list):
            known += value
            message[name] = known
        elif value is not None or known is None:
            message[name] = list(value) if isinstance(value, list) else value  # the chunk's own does not grow


def _merge_calls(calls: list[dict[str, Any]], delta: Iterable[Mapping[str, Any]]) -> None:
    """Merge tool calls, in the order in which they began. The adapter has completed their indexes."""
    for part in delta:
        index = part["index"]
        call = next((known for known in calls if known["index"] == index), None)
        if call is None:
            call = {"index": index}
            calls.append(call)
        _merge(call, {name: value for name, value in part.items() if name != "index"})


def native_deltas(events: Iterable[tuple[str, bool]]) -> list[Delta]:
    """Return a replayed stream in the provider's own events."""
    return [Delta({"choices": []}, finished=(0,) if last else (), native=native.encode()) for native, last in events]


def deltas(answer: Mapping[str, Any]) -> Iterator[Delta]:
    """Yield a replayed stream: one delta with all content for each choice, then one that ends each choice."""
    beside = {name: answer[name] for name in ANSWER_FIELDS if name in answer}
    for choice in answer["choices"]:
        more = {name: value for name, value in choice.items() if name not in _OF_A_CHOICE}
        whole = {**more, "index": choice["index"], "delta": choice["message"], "finish_reason": None}
        yield Delta({"choices": [whole], **beside})
    for choice in answer["choices"]:
        last = {"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"] or "stop"}
        yield Delta({"choices": [last]}, finished=(choice["index"],))
