"""Assembles streamed answers: some providers stream although they were not asked to."""

from collections.abc import Iterable, Iterator
from typing import Any

from domain.pricing import Usage
from providers.base import Delta, Paused, ProviderEvent, Report, StreamDecoder, WholeAnswer
from providers.streamed_answer import BLANK

_GROWS = frozenset({"content", "refusal", "reasoning_content", "reasoning", "arguments", "input", "transcript", "data"})
"""Text fields whose parts are joined. A later value of any other text field replaces the earlier one."""


def is_streamed(body: bytes) -> bool:
    """Tell whether a body that should be a document is server-sent events."""
    return body[:64].lstrip(BLANK).startswith((b"data:", b"event:", b"id:", b":"))


def decoded(decoder: StreamDecoder, body: bytes) -> WholeAnswer:
    """Assemble the answer of a whole body."""
    return answer(_events(decoder, body))


def _events(decoder: StreamDecoder, body: bytes) -> Iterator[ProviderEvent]:
    yield from decoder.feed(body)
    yield from decoder.eof()


def answer(events: Iterable[ProviderEvent]) -> WholeAnswer:
    """Assemble the answer of the events up to `Done` or `Paused`. What the decoder raises is not caught."""
    choices: dict[int, dict[str, Any]] = {}
    beside: dict[str, Any] = {}
    texts: list[str] = []
    usage: Usage | None = None
    paused: Paused | None = None
    for event in events:
        if isinstance(event, Paused):
            paused = event
        elif isinstance(event, Report):
            usage = event.usage
        elif isinstance(event, Delta):
            texts.append(event.text)
            beside |= {name: value for name, value in event.chunk.items() if name not in ("choices", "obfuscation")}
            for part in event.chunk["choices"]:
                _add(choices.setdefault(part["index"], _empty(part["index"])), part)
    whole = [choices[index] for index in sorted(choices)]
    _end(whole, paused=paused is not None)
    return WholeAnswer({"object": "chat.completion", "choices": whole, **beside}, "".join(texts), usage, paused=paused)


def _end(choices: list[dict[str, Any]], *, paused: bool) -> None:
    for choice in choices:
        for call in choice["message"].get("tool_calls", ()):
            call.pop("index", None)
        if paused:
            choice["finish_reason"] = "length"


def _empty(index: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": None}
    return {"index": index, "message": message, "finish_reason": None, "logprobs": None}


def _add(choice: dict[str, Any], part: dict[str, Any]) -> None:
    _merge(choice["message"], part["delta"])
    rest = {name: value for name, value in part.items() if name not in ("index", "delta") and value is not None}
    _merge(choice, rest)


def _merge(whole: dict[str, Any], part: dict[str, Any]) -> None:
    """Merge a part into the whole: texts and lists are joined, objects merged, other values replaced."""
    for name, value in part.items():
        known: Any = whole.get(name)
        if name == "tool_calls":
            _merge_calls(whole.setdefault(name, []), value)
        elif value is None:
            whole.setdefault(name, None)
        elif type(known) is not type(value):
            whole[name] = value
        elif isinstance(value, dict):
            _merge(known, value)
        elif isinstance(value, list) or name in _GROWS:
            whole[name] = known + value
        else:
            whole[name] = value


def _merge_calls(calls: list[dict[str, Any]], parts: list[dict[str, Any]]) -> None:
    """Merge the parts of tool calls by their indexes, which are consecutive from 0."""
    for part in parts:
        if part["index"] == len(calls):
            calls.append({})
        _merge(calls[part["index"]], part)
