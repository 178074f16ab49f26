"""Completes OpenAI's shapes, where compatible providers leave fields out, name them otherwise or repeat them.

The result has all that a client's SDK relies on: indexes, roles, ids, text as text, a known finish reason.
"""

from collections.abc import Mapping
from typing import Any

from domain.errors import UpstreamError
from providers.openai.calls import MAX_INDEX, ToolCalls
from providers.upstream_json import integer

_BESIDE_CHOICES: tuple[tuple[str, type], ...] = (
    ("system_fingerprint", str),
    ("service_tier", str),
    ("obfuscation", str),
    ("citations", list),
    ("search_results", list),
    ("images", list),
)
"""Fields beside `choices` that are passed on, with their types. None is about the provider's accounts and hosts."""
_BESIDE_NAMES = frozenset(name for name, _ in _BESIDE_CHOICES)
FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
_FINISH_WORDS = {
    "max_tokens": "length",
    "max_output_tokens": "length",
    "max_length": "length",
    "token_limit": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "tool_call": "tool_calls",
    "safety": "content_filter",
    "sensitive": "content_filter",
    "content_filtered": "content_filter",
    "contentfilter": "content_filter",
    "prohibited_content": "content_filter",
    "blocklist": "content_filter",
    "spii": "content_filter",
    "recitation": "content_filter",
    "refusal": "content_filter",
}
_NOT_YET = frozenset({"null", "none", ""})
"""Finish reasons in text form that mean that the choice goes on."""
_BROKEN_OFF = frozenset({"error", "abort", "aborted", "network_error", "insufficient_system_resource", "cancelled"})
_OF_A_CHOICE = frozenset({"index", "delta", "message", "text", "finish_reason", "error", "usage"})


def beside(body: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if _BESIDE_NAMES.isdisjoint(body):
        return fields
    for name, kind in _BESIDE_CHOICES:
        value = body.get(name)
        if type(value) is kind:
            fields[name] = value
    return fields


def choices_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the choices. Raises `UpstreamError` if one is not an object, or if it contains an error."""
    choices = body.get("choices")
    if choices is None:
        return []
    if not isinstance(choices, list):
        raise UpstreamError
    for choice in choices:
        if not isinstance(choice, dict) or choice.get("error"):
            raise UpstreamError
    return choices


def index_of(choice: Mapping[str, Any], position: int) -> int:
    given = choice.get("index")
    if given is None:
        return position
    index = integer(given)
    if index is None or not 0 <= index < MAX_INDEX:
        raise UpstreamError
    return index


def finish_of(choice: Mapping[str, Any]) -> str | None:
    """Return OpenAI's finish reason, or None if the choice goes on. Raises `UpstreamError` if it was broken off."""
    reason = choice.get("finish_reason")
    if not reason:
        return None
    if not isinstance(reason, str):
        return "stop"
    if reason in FINISH_REASONS:
        return reason
    word = reason.strip().lower()
    if word in _BROKEN_OFF:
        raise UpstreamError
    if word in _NOT_YET:
        return None
    return word if word in FINISH_REASONS else _FINISH_WORDS.get(word, "stop")


def of_choice(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return the other fields of a choice: `logprobs` if there are any, and fields that vendors add."""
    rest = {name: value for name, value in choice.items() if name not in _OF_A_CHOICE}
    if not isinstance(rest.get("logprobs"), dict):
        rest.pop("logprobs", None)
    return rest


def content(message: dict[str, Any], calls: ToolCalls) -> dict[str, Any]:
    """Complete a delta or a message: `content` becomes text, and tool calls get all of their fields."""
    value = message.get("content")
    if isinstance(value, list | dict):
        message = _flattened(message)
    elif not isinstance(value, str | None):
        raise UpstreamError
    if "tool_calls" in message:
        parts = message["tool_calls"]
        completed = [calls.complete(part) for part in (parts if isinstance(parts, list) else [parts]) if part]
        rest = {name: value for name, value in message.items() if name != "tool_calls"}
        message = {**rest, "tool_calls": completed} if completed else rest
    return message


def _flattened(message: dict[str, Any]) -> dict[str, Any]:
    """Turn typed parts, as Mistral sends them, into text fields: `reasoning_content`, `content` and `refusal`."""
    texts: dict[str, str] = {}
    parts = message["content"]
    for part in parts if isinstance(parts, list) else [parts]:
        name, text = _part(part)
        if text:
            texts[name] = texts.get(name, "") + text
    thinking = texts.pop("reasoning_content", None)
    flat = {**message, "content": texts.pop("content", None), **texts}
    if thinking is not None and not (message.get("reasoning_content") or message.get("reasoning")):
        flat["reasoning_content"] = thinking
    return flat


def _part(part: object) -> tuple[str, str]:
    """Return the field that the text of a part belongs to, and the text."""
    if isinstance(part, str):
        return "content", part
    if part is None:
        return "content", ""
    if not isinstance(part, dict):
        raise UpstreamError
    kind = part.get("type")
    if kind in ("thinking", "reasoning"):
        inner = part.get("thinking") or part.get("reasoning") or part.get("text") or ""
        return "reasoning_content", inner if isinstance(inner, str) else "".join(_part(each)[1] for each in inner)
    if kind == "refusal":
        return "refusal", str(part.get("refusal") or "")
    text = part.get("text")
    return "content", text if isinstance(text, str) else ""
